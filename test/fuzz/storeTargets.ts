/** What disks and operators hand in: records, logs, plain data, group files, keys. */
import fc from "fast-check"
import { decodePlain, encodePlain, NotPlain } from "../../src/base/plainData.ts"
import type { Prng } from "../../src/base/prng.ts"
import { decodeSegmentHeader } from "../../src/link/logBlock.ts"
import { LogCore } from "../../src/link/logCore.ts"
import { decodeRecord, encodeRecord, explainRecord } from "../../src/link/recordCodec.ts"
import { GroupInvalid, parseGroup } from "../../src/runtime/Group.ts"
import { generateKey, readSigner } from "../../src/runtime/platform-node/nodeKeys.ts"
import { type Files, open, SteppedDisk } from "../support/logs.ts"
import { entry } from "../support/wire.ts"
import type { Target } from "./fuzz.ts"
import { roundTrip } from "./roundTrip.ts"

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))

const record: Target = {
  name: "record",
  cost: 2,
  corpus: (seed) =>
    fc
      .sample(fc.array(entry, { minLength: 1, maxLength: 4 }), { seed, numRuns: 300 })
      .map((entries) => encodeRecord({ entries })),
  run: (bytes) => {
    const taken = roundTrip(bytes, decodeRecord, encodeRecord)
    if (!taken && explainRecord(bytes) === "") throw new Error("refused without a reason")
    return taken
  }
}

/** One file after the other: its length in two bytes, then its bytes. */
const pack = (files: Files): Uint8Array => {
  const parts = [...files.values()].flatMap((it) => [it.length >> 8, it.length & 0xff, ...it])
  return Uint8Array.from(parts)
}
/** More than any valid one here has; what reading a store costs is in its files too. */
const FILES_MAX = 30
const unpack = (bytes: Uint8Array): Files => {
  const files = new Map<string, Uint8Array>()
  for (let at = 0; at + 2 <= bytes.length && files.size < FILES_MAX; ) {
    const end = at + 2 + (bytes[at]! << 8) + bytes[at + 1]!
    const name = `log-${String(files.size + 1).padStart(10, "0")}`
    files.set(name, bytes.slice(at + 2, end))
    at = end
  }
  return files
}

const stores = (seed: number): ReadonlyArray<Uint8Array> =>
  fc.sample(fc.array(entry, { maxLength: 12 }), { seed, numRuns: 40 }).flatMap((entries) => {
    const disk = new SteppedDisk()
    const log = open(disk, { init: true, segment: 1_500 })
    if (!(log instanceof LogCore)) throw new Error(log.what)
    log.listen({ durable: () => {}, failed: () => {} })
    for (const it of entries) {
      log.append(encodeRecord({ entries: [it] }))
      disk.settle()
    }
    const packed = pack(disk.snapshot())
    return packed.length < 8_000 ? [packed] : []
  })

const store: Target = {
  name: "store",
  cost: 30,
  corpus: stores,
  run: (bytes) => {
    const files = unpack(bytes)
    for (const it of files.values()) decodeSegmentHeader(it)
    const log = open(new SteppedDisk(files))
    if (!(log instanceof LogCore)) {
      if (log.what === "" || log.remedy === "") throw new Error("refused without a reason")
      return false
    }
    const wrong = log.replay((it) => void decodeRecord(it))
    if (wrong !== undefined) throw new Error("what open took, replay refuses")
    return true
  }
}

const units = fc.string({ unit: "binary", maxLength: 12 })
const scalar = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, -0, Number.NaN, Infinity, 2 ** 53, -(2 ** 53)),
  fc.integer(),
  fc.double(),
  fc.bigInt(),
  units,
  fc.uint8Array({ maxLength: 20 }),
  fc.constantFrom("__proto__", "constructor", "", "7", "\ud800")
)
const { plain } = fc.letrec<{ plain: unknown }>((tie) => ({
  plain: fc.oneof(
    { maxDepth: 4 },
    scalar,
    fc.array(tie("plain"), { maxLength: 6 }),
    fc.array(fc.tuple(scalar, tie("plain")), { maxLength: 5 }).map((it) => new Map(it)),
    fc.array(scalar, { maxLength: 5 }).map((it) => new Set(it)),
    fc.array(fc.tuple(units, tie("plain")), { maxLength: 5 }).map((it) => Object.fromEntries(it))
  )
}))

const plainData: Target = {
  name: "plain",
  cost: 3,
  corpus: (seed) => fc.sample(plain, { seed, numRuns: 300 }).map(encodePlain),
  run: (bytes) => {
    const decode = (it: Uint8Array) => {
      try {
        return { value: decodePlain(it) }
      } catch (thrown) {
        if (thrown instanceof NotPlain) return undefined
        throw thrown
      }
    }
    return roundTrip(bytes, decode, ({ value }) => encodePlain(value))
  }
}

const GROUPS: ReadonlyArray<object> = [
  { size: 4, faults: "byzantine", durable: false },
  { size: 3, faults: "crash", durable: true, f: 1 },
  { size: 1, faults: "crash", durable: false, f: 0 },
  { size: 7, faults: "byzantine", durable: true, f: 1, keys: true }
].map(({ size, keys = false, ...rest }) => ({
  group: `demo-${size}`,
  ...rest,
  nodes: Array.from({ length: size }, (_, i) => ({
    id: i + 1,
    address: i % 2 === 0 ? `127.0.0.1:${7001 + i}` : `[::1]:${7001 + i}`,
    ...(keys && { key: generateKey().publicKey })
  }))
}))

const ODD: ReadonlyArray<unknown> = [
  ...[null, true, 0, -1, 1.5, 1e300, 2 ** 53, 65_535, 65_536, "", "0", "127.0.0.1:1", "[::1]:0"],
  ...[[], {}, [[]], { id: 1 }, "\n", "é".repeat(70), "crash", "byzantine", "0".repeat(64)]
]

const PROPERTY = { configurable: true, enumerable: true, writable: true }

/** The group with one of its values, at any depth, in another's place, gone, twice or odd. */
const mutateJson = (random: Prng, bytes: Uint8Array): Uint8Array => {
  let root: unknown
  try {
    root = JSON.parse(textOf(bytes))
  } catch {
    return bytes
  }
  const places: Array<{ readonly holder: Record<string, unknown>; readonly key: string }> = []
  const visit = (holder: unknown): void => {
    if (typeof holder !== "object" || holder === null) return
    for (const key of Object.keys(holder)) {
      places.push({ holder: holder as Record<string, unknown>, key })
      visit((holder as Record<string, unknown>)[key])
    }
  }
  visit(root)
  if (places.length === 0) return bytes
  for (let left = 1 + random.below(2); left > 0; left--) {
    const { holder, key } = random.pick(places)
    const other = random.pick(places)
    const put = (at: string, value: unknown): unknown =>
      // Not assigned: a key may be `__proto__`.
      Object.defineProperty(holder, at, { ...PROPERTY, value })
    const changes = [
      () => (holder[key] = random.pick(ODD)),
      () => (holder[key] = structuredClone(other.holder[other.key])),
      () => put(random.pick(["f", "key", "id", "__proto__", "x"]), random.pick(ODD)),
      () => delete holder[key],
      () => Array.isArray(holder) && holder.push(structuredClone(holder[Number(key)]))
    ]
    random.pick(changes)()
  }
  return bytesOf(JSON.stringify(root))
}

const groupFile: Target = {
  name: "group",
  cost: 4,
  corpus: () => GROUPS.map((it) => bytesOf(JSON.stringify(it))),
  mutate: mutateJson,
  run: (bytes) => {
    let value: unknown
    try {
      value = JSON.parse(textOf(bytes))
    } catch {
      return false
    }
    const group = parseGroup(value, "g.json")
    if (group instanceof GroupInvalid) {
      if (/\n/.test(group.message)) throw new Error("its refusal is more than one line")
      return false
    }
    const { system, addresses, digest } = group
    if (digest.length !== 32 || system.members.some((node) => !addresses.has(node))) {
      throw new Error("a group of members that are nowhere")
    }
    return true
  }
}

const key: Target = {
  name: "key",
  cost: 60,
  corpus: () => [bytesOf(generateKey().privateKey), bytesOf(generateKey().privateKey)],
  run: (bytes) => {
    const signer = readSigner(textOf(bytes))
    return signer !== undefined && signer.publicKey.length === 32
  }
}

export const STORED: ReadonlyArray<Target> = [record, store, plainData, groupFile, key]
