/** What a member's listener takes: headers and bodies of calls of a link. */
import { LIMITS } from "../../src/base/limits.ts"
import { Prng } from "../../src/base/prng.ts"
import { decodeFrame, encodeFrame } from "../../src/link/frame.ts"
import { callOf, type LinkCall, packetOf, wayOf } from "../../src/link/unaryCall.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import { methodId, type Word } from "../../src/server/Message.ts"
import type { Target } from "./fuzz.ts"

const CORPUS = 100
const METHOD = "kv.v1.Store/Get"
const LINK = "0123456789abcdef".repeat(2)
const optionsOf = (sequence: number, method: string) => ({
  way: { link: LINK, group: "g", from: 1, to: 2 },
  limits: LIMITS,
  sequence,
  readable: true,
  methodName: (id: number) => (id === methodId(method) ? method : undefined)
})

const wordOf = (random: Prng): Word => ({
  kind: "word",
  position: 1 + random.below(1_000_000),
  lane: random.chance(500) ? "slots" : sessionKey(random.below(2 ** 31), random.bytes(16)),
  index: 1 + random.below(1_000),
  method: methodId(METHOD),
  round: random.below(3),
  ackedBelow: random.below(3),
  body: random.bytes(random.below(60)),
  ...(random.chance(300) && { author: 1 + random.below(9) }),
  ...(random.chance(300) && { signature: random.bytes(64) }),
  ...(random.chance(300) && { trace: random.bytes(25) })
})

/** Method and headers a line each, an empty line, the body. */
const bytesOf = ({ method, headers, body }: LinkCall): Uint8Array => {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return new Uint8Array(
    Buffer.concat([Buffer.from([method, ...lines, "", ""].join("\n"), "latin1"), body])
  )
}
const readCall = (bytes: Uint8Array): LinkCall => {
  const text = Buffer.from(bytes).toString("latin1")
  const end = text.indexOf("\n\n")
  const [method = "", ...lines] = (end < 0 ? text : text.slice(0, end)).split("\n")
  const headers = lines.map((line) => line.split(": ", 2) as [string, string])
  const body = end < 0 ? new Uint8Array(0) : bytes.slice(end + 2)
  return { method, headers: Object.fromEntries(headers), body }
}

const call = (random: Prng): Uint8Array => {
  const sequence = 1 + random.below(1_000)
  const messages = random.chance(800) ? [wordOf(random)] : []
  const content = { kind: "messages", channel: messages.length, messages } as const
  const credit = messages.length * random.below(5)
  const frame = encodeFrame({ sequence, acknowledged: 0, credit, content })
  const tag = random.chance(500) ? { tag: random.bytes(16) } : {}
  return bytesOf(callOf({ frame, ...tag }, optionsOf(sequence, METHOD)))
}

/** What is taken is called the same again, if it is the frame that it says it is. */
const take = (bytes: Uint8Array): boolean => {
  const it = readCall(bytes)
  wayOf(it.headers)
  const found = packetOf(it, LIMITS)
  if (found === undefined) return false
  if (decodeFrame(found.packet.frame)?.sequence !== found.sequence) return true
  const again = packetOf(callOf(found.packet, optionsOf(found.sequence, it.method)), LIMITS)
  if (again === undefined) throw new Error("a frame that was taken goes out as no call")
  if (Buffer.compare(again.packet.frame, found.packet.frame) !== 0) {
    throw new Error("a frame that was taken goes out as another")
  }
  return true
}

export const CALLS: ReadonlyArray<Target> = [
  {
    name: "call of a link",
    cost: 4,
    corpus: (seed) => {
      const random = new Prng(seed)
      return Array.from({ length: CORPUS }, () => call(random))
    },
    run: take
  }
]
