import { describe, expect, it } from "vitest"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import { crc32c } from "../src/link/crc32c.ts"
import { LogCore, type StoreInvalid } from "../src/link/logCore.ts"
import {
  changed,
  OWNER,
  open,
  opened,
  replayed,
  STORE_ID,
  SteppedDisk,
  written
} from "./support/logs.ts"
import { TWIN_HEADER as HEADER, twinBlock, twinCrc, twinHeader } from "./support/logTwin.ts"

const MAGIC = [...Buffer.from("\xf7QUORBLK", "latin1")]
const recordOf = (...bytes: Array<number>): Uint8Array => Uint8Array.from(bytes)
const invalid = (log: LogCore | StoreInvalid): StoreInvalid => {
  if (log instanceof LogCore) throw new Error("opened")
  for (const line of [log.where, log.what, log.remedy]) expect(line).toMatch(/^[^\n]+$/)
  return log
}

describe("the checksum", () => {
  it("is CRC-32C: the vectors of RFC 3720, B.4", () => {
    const of = (bytes: ReadonlyArray<number>) => crc32c(Uint8Array.from(bytes), 0, bytes.length)
    expect(of(new Array(32).fill(0))).toBe(0x8a91_36aa)
    expect(of(new Array(32).fill(0xff))).toBe(0x62a8_ab43)
    expect(of(Array.from({ length: 32 }, (_, at) => at))).toBe(0x46dd_794e)
    expect(of([...Buffer.from("123456789")])).toBe(0xe306_9283)
  })
  it("equals the bitwise one at every length and offset, and goes on from a seed", () => {
    const bytes = new Prng(1).bytes(40)
    for (let start = 0; start < 9; start++) {
      for (let end = start; end <= 40; end++) {
        const crc = twinCrc([...bytes.subarray(start, end)])
        expect(crc32c(bytes, start, end)).toBe(crc)
        expect(crc32c(bytes, start + 3, end, crc32c(bytes, start, start + 3))).toBe(
          start + 3 <= end ? crc : crc32c(bytes, start, start + 3)
        )
      }
    }
  })
})

describe("the bytes on disk", () => {
  it("equal the twin's, whatever the records hold", () => {
    const random = new Prng(2)
    for (let round = 0; round < 40; round++) {
      const disk = new SteppedDisk()
      const log = opened(disk, { init: true })
      const records = Array.from({ length: 1 + random.below(6) }, () => {
        const parts = Array.from({ length: random.below(5) }, () =>
          random.chance(400)
            ? MAGIC.slice(0, 5 + random.below(4))
            : [...random.bytes(random.below(9))]
        )
        return parts.flat()
      })
      for (const record of records) log.append(Uint8Array.from(record))
      disk.settle()
      const [first, ...others] = records
      const twin = [
        ...twinHeader([...STORE_ID], OWNER, 1, 1),
        ...twinBlock([...STORE_ID], 1, [first!])
      ]
      if (others.length > 0) twin.push(...twinBlock([...STORE_ID], 2, others))
      expect([...disk.read("log-0000000001")]).toEqual(twin)
      expect(replayed(opened(new SteppedDisk(disk.snapshot())))).toEqual(records)
    }
  })
  it("cuts a record larger than a piece", () => {
    const record = new Uint8Array(2 ** 24 + 9)
    record.fill(7)
    record.set(MAGIC, 2 ** 24 - 2)
    const disk = new SteppedDisk()
    opened(disk, { init: true, segment: 2 ** 25 }).append(record)
    disk.settle()
    const log = opened(disk)
    let found: Uint8Array | undefined
    log.replay((bytes) => (found = bytes))
    expect(Buffer.compare(found!, record)).toBe(0)
    expect(log.bytes).toBe(HEADER + 28 + record.length + 3 * 5)
  })
  it("hold the block magic only where a block begins", () => {
    const files = written([MAGIC, [...MAGIC, ...MAGIC], [1, ...MAGIC, 2]])
    const text = Buffer.from(files.get("log-0000000001")!).toString("latin1")
    expect(text.split("\xf7QUORBLK").length - 1).toBe(3)
  })
  it("fill segments up to their limit, then the next; a larger record has one of its own", () => {
    const records = Array.from({ length: 30 }, (_, at) => new Array(at === 11 ? 300 : at).fill(at))
    const files = written(records, HEADER + 156)
    expect([...files.keys()]).toContain("log-0000000005")
    for (const [name, bytes] of files) {
      if (bytes.length <= HEADER + 156) continue
      expect([name, bytes.length]).toEqual([name, HEADER + 28 + 5 + 300])
    }
    const log = opened(new SteppedDisk(files))
    expect(replayed(log)).toEqual(records)
    expect(log.bytes).toBe([...files.values()].reduce((sum, bytes) => sum + bytes.length, 0))
  })
  it("are copied at replay: a kept record keeps no segment in memory", () => {
    opened(new SteppedDisk(written([[1, 2, 3]]))).replay((record) => {
      expect(record.buffer.byteLength).toBe(3)
    })
  })
})

describe("group commit", () => {
  it("writes what comes while a write runs with the next one: 100 appends, one more write", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    const told: Array<number> = []
    log.listen({ durable: () => told.push(log.durable), failed: () => told.push(-1) })
    expect(log.append(recordOf(0))).toBe(1)
    for (let at = 1; at <= 100; at++) expect(log.append(recordOf(at))).toBe(at + 1)
    expect([disk.appends, log.appended, log.durable]).toEqual([1, 101, 0])
    disk.finish()
    expect([disk.appends, log.durable, told]).toEqual([2, 1, [1]])
    disk.finish()
    expect([disk.appends, log.durable, told]).toEqual([2, 101, [1, 101]])
    expect(disk.pending).toEqual([])
  })
  it("starts the next write before the listener hears of the last", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    const atDurable: Array<number> = []
    log.listen({ durable: () => atDurable.push(disk.appends), failed: () => {} })
    log.append(recordOf(1))
    log.append(recordOf(2))
    disk.settle()
    expect(atDurable).toEqual([2, 2])
  })
  it("takes appends from the listener", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    log.listen({ durable: () => log.appended < 5 && log.append(recordOf(9)), failed: () => {} })
    log.append(recordOf(1))
    disk.settle()
    expect([log.appended, log.durable, disk.appends]).toEqual([5, 5, 5])
    expect(replayed(opened(disk)).length).toBe(5)
  })
  it("puts no more into one write than a segment holds, and still all in order", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true, segment: HEADER + 256 })
    for (let at = 0; at < 40; at++) log.append(new Uint8Array(20).fill(at))
    disk.settle()
    expect(log.durable).toBe(40)
    for (const bytes of disk.snapshot().values())
      expect(bytes.length).toBeLessThanOrEqual(HEADER + 256)
    expect(replayed(opened(disk)).map(([at]) => at)).toEqual([...Array(40).keys()])
  })
  it("a failed write is never tried again: told once, and durable stays", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    const told: Array<string> = []
    log.listen({ durable: () => told.push("durable"), failed: (failure) => told.push(failure) })
    log.append(recordOf(1))
    disk.settle()
    disk.failure = "no space left on device"
    for (let at = 0; at < 3; at++) log.append(recordOf(2))
    disk.failure = undefined
    disk.settle()
    const { bytes } = log
    expect([log.append(recordOf(3)), log.bytes]).toEqual([5, bytes])
    disk.settle()
    expect(told).toEqual(["durable", "no space left on device"])
    expect([log.durable, disk.appends, log.failure]).toEqual([1, 2, "no space left on device"])
  })
  it("is full from logBytesMax on, what waits included, and still takes records", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true, max: HEADER + 156 })
    log.append(new Uint8Array(50))
    expect([log.full, log.bytes]).toEqual([false, HEADER + 83])
    log.append(new Uint8Array(68))
    expect([log.full, log.bytes]).toEqual([true, HEADER + 83 + 73])
    disk.settle()
    expect(log.bytes).toBe(HEADER + 83 + 73 + 28)
    expect(opened(disk, { max: HEADER + 156 }).full).toBe(true)
  })
})

describe("opening", () => {
  it("refuses a missing or empty folder unless told init", () => {
    const refused = invalid(open(new SteppedDisk()))
    expect(refused.what).toBe("the folder is empty or missing")
    expect(refused.remedy).toContain("init only if this member never spoke")
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    expect([log.made, log.storeId, log.repaired]).toEqual([true, STORE_ID, undefined])
  })
  it("with init opens a store that is there, under its own id", () => {
    const log = opened(new SteppedDisk(written([[1]])), {
      init: true,
      storeId: new Uint8Array(16)
    })
    expect([log.made, log.storeId]).toEqual([false, STORE_ID])
    expect(replayed(log)).toEqual([[1]])
  })
  it("ignores files that are not its own", () => {
    const files = written([[1]])
    for (const name of ["lost+found", "notes.txt", "log-0000000002.making", "log-3"]) {
      files.set(name, recordOf(1))
    }
    expect(replayed(opened(new SteppedDisk(files)))).toEqual([[1]])
  })
  it("belongs to one node of one group: that of another is refused, and left as it is", () => {
    const torn = changed(written([[1], [2]]), "log-0000000001", (file) => file.slice(0, -1))
    for (const ours of ['node 2 of group "reg"', 'node 3 of group "other"']) {
      const disk = new SteppedDisk(torn)
      expect(invalid(open(disk, { owner: ours, init: true }))).toEqual({
        where: "memory",
        what: `this is the store of node 3 of group "reg", not of ${ours}`,
        remedy: `name the data folder of ${ours}`
      })
      expect([disk.snapshot(), disk.truncated]).toEqual([new Map(torn), []])
    }
    const disk = new SteppedDisk()
    const widest = `node 65535 of group "${"g".repeat(64)}"`
    opened(disk, { init: true, owner: widest })
    expect(invalid(open(disk)).what).toBe(`this is the store of ${widest}, not of ${OWNER}`)
  })
  it("with init makes no store among files of others, and names the first", () => {
    for (const name of ["notes.txt", "log-3", "lock-1"]) {
      const disk = new SteppedDisk(
        new Map([
          ["zebra", recordOf(1)],
          [name, recordOf(1)]
        ])
      )
      expect(invalid(open(disk, { init: true }))).toEqual({
        where: "memory",
        what: `it holds no store, and something else: ${name}`,
        remedy: "name a folder of the node's own, empty or not yet made"
      })
      expect(disk.list()).toEqual([name, "zebra"])
    }
    const own = ["log-0000000001.making", "lost+found"].map((name) => [name, recordOf(1)] as const)
    expect(opened(new SteppedDisk(new Map(own)), { init: true }).made).toBe(true)
  })
  it("makes a store anew where a crash interrupted its making, but only with init", () => {
    const header = written([]).get("log-0000000001")!
    for (let cut = 0; cut < header.length; cut++) {
      const zeros = header.slice().fill(0, cut)
      for (const torn of [header.slice(0, cut), zeros].slice(0, cut < HEADER - 3 ? 2 : 1)) {
        const disk = new SteppedDisk(new Map([["log-0000000001", torn]]))
        expect(invalid(open(disk)).what).toContain("a crash interrupted the making of the store")
        let log: LogCore | undefined
        const hits = recordMarks(() => (log = opened(disk, { init: true })))
        expect([log!.made, hits.get("log: making a store was interrupted")]).toEqual([true, 1])
        log!.append(recordOf(5))
        disk.settle()
        expect(replayed(opened(disk))).toEqual([[5]])
      }
    }
  })
  it("never makes a store where later segments or records stand", () => {
    const two = written([new Array(90).fill(1), new Array(90).fill(2)], HEADER + 106)
    const emptied = changed(two, "log-0000000001", () => new Uint8Array(0))
    expect(invalid(open(new SteppedDisk(emptied), { init: true })).what).toContain("damaged")
    const one = changed(written([[1]]), "log-0000000001", (file) => file.fill(0, 0, HEADER))
    expect(invalid(open(new SteppedDisk(one), { init: true })).what).toContain("damaged")
  })
  it("refuses a newer format by its number, also in a later segment", () => {
    const files = written([new Array(90).fill(1), new Array(90).fill(2)], HEADER + 106)
    for (const name of files.keys()) {
      const later = changed(files, name, (file) => file.fill(2, 11, 12))
      expect(invalid(open(new SteppedDisk(later)))).toEqual({
        where: `memory/${name}`,
        what: "written in format 2, this program reads formats up to 1",
        remedy: "start it with the newer version of Quorate that wrote it"
      })
    }
  })
  it("refuses segments that are missing, renamed, or of another store", () => {
    const three = written(
      [1, 2, 3].map((at) => new Array(90).fill(at)),
      HEADER + 106
    )
    expect(three.size).toBe(3)
    const [one, two, last] = [...three.values()] as [Uint8Array, Uint8Array, Uint8Array]
    const files = (...all: Array<Uint8Array | undefined>) =>
      new SteppedDisk(
        new Map(all.flatMap((f, at) => (f === undefined ? [] : [[`log-000000000${at + 1}`, f]])))
      )
    expect(invalid(open(files(undefined, two, last))).what).toContain("segment is missing")
    expect(invalid(open(files(one, undefined, last))).what).toContain("segment is missing")
    expect(invalid(open(files(one, last, two))).what).toContain("under another name")
    expect(invalid(open(files(one, two, two))).what).toContain("under another name")
    const foreign = Uint8Array.from([
      ...twinHeader(new Array(16).fill(9), OWNER, 2, 2),
      ...twinBlock(new Array(16).fill(9), 2, [[1]])
    ])
    expect(invalid(open(files(one, foreign))).what).toContain("another store")
    const gap = Uint8Array.from(twinHeader([...STORE_ID], OWNER, 2, 3))
    expect(invalid(open(files(one, gap))).what).toContain("begins with block 3")
  })
  it("says what the disk said, and where", () => {
    const broken = (what: "list" | "read" | "truncate" | "create") => {
      const disk = new SteppedDisk(what === "create" ? undefined : written([[1]]))
      Object.assign(disk, {
        [what]: () => {
          throw new Error("input/output error (EIO)")
        }
      })
      return invalid(open(disk, { init: true }))
    }
    expect(broken("list").where).toBe("memory")
    for (const what of ["read", "truncate", "create"] as const) {
      expect(broken(what).where).toBe("memory/log-0000000001")
      expect(broken(what).what).toBe("input/output error (EIO)")
    }
  })
  it("syncs what it accepts, for the process before may have died between write and sync", () => {
    const files = written([new Array(90).fill(1), new Array(90).fill(2)], HEADER + 106)
    const disk = new SteppedDisk(files)
    opened(disk)
    expect(disk.truncated).toEqual([`log-0000000002 ${files.get("log-0000000002")!.length}`])
  })
  it("replay refuses a file that changed since open", () => {
    const disk = new SteppedDisk(written([[1], [2]]))
    const log = opened(disk)
    const file = disk.read("log-0000000001").slice()
    disk.create("log-0000000001", file.fill(0, file.length - 1))
    const refused = log.replay(() => {})
    expect(refused?.what).toContain("changed while it was read")
  })
})
