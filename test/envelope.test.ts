import { fromBinary, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { ErrorCode, ErrorCodeSchema } from "../gen/quorate/v1/error_pb.ts"
import { EnvelopeSchema } from "../gen/quorate/v1/link_pb.ts"
import { ERROR_CODES } from "../src/base/errorCode.ts"
import { LIMITS } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { DETAIL_BYTES_MAX, decodeMessage, encodeMessage, wordWire } from "../src/link/envelope.ts"
import { SESSION_BYTES } from "../src/server/laneKey.ts"
import type { Message, Reply, Word } from "../src/server/Message.ts"
import { message, mutate, twinBytes, twinOf, word } from "./support/wire.ts"

const SESSION = "\u0000\u0001abcdefghijklmnopqr\u0080\u00ff"
const decode = (bytes: Uint8Array): Message | undefined => decodeMessage(bytes, 0, bytes.length)
const bytesOf = (...parts: ReadonlyArray<number | Iterable<number>>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "number" ? [part] : [...part])))
const LANE = bytesOf(
  0x22,
  22,
  Array.from(SESSION, (c) => c.charCodeAt(0))
)
const CANCEL = bytesOf(0x08, 7, LANE, 0x28, 1)

describe("the envelope codec", () => {
  it("writes the bytes that protobuf-es writes", () => {
    fc.assert(
      fc.property(message, (m) => {
        expect(encodeMessage(m)).toEqual(twinBytes(m))
      }),
      { numRuns: 400 }
    )
  })

  it("reads back what it wrote, wherever it stands, and nothing around it", () => {
    fc.assert(
      fc.property(message, fc.uint8Array({ maxLength: 30 }), (m, around) => {
        const bytes = encodeMessage(m)
        const { wire, ...plain } = m as Word
        const chunk = bytesOf(around, bytes, around)
        expect(decodeMessage(chunk, around.length, around.length + bytes.length)).toEqual(plain)
        if (m.kind === "word" && m.trace === undefined) expect(wire).toBe(bytes)
      }),
      { numRuns: 400 }
    )
  })

  it("has the error codes of the proto file", () => {
    const ours = Object.entries(ERROR_CODES).map(([name, { number }]) => [name, number])
    const theirs = ErrorCodeSchema.values
      .filter(({ number }) => number !== ErrorCode.OK)
      .map(({ name, number }) => [name.toLowerCase(), number])
    expect(ours).toEqual(theirs)
  })

  it("encodes a word once and gives the kept bytes afterwards", () => {
    const { trace: _, ...said }: Word = fc.sample(word, { seed: 1, numRuns: 1 })[0]!
    const first = encodeMessage(said)
    expect(encodeMessage(said)).toBe(first)
    expect(decode(first)).not.toHaveProperty("wire")
  })

  it("adds the context of a trace to the kept bytes, which stay without", () => {
    const trace = new Uint8Array(25).fill(7)
    const { trace: _, ...said }: Word = fc.sample(word, { seed: 1, numRuns: 1 })[0]!
    const plain = encodeMessage(said)
    const traced = encodeMessage({ ...said, trace })
    expect(traced.length).toBe(plain.length + 28)
    expect(traced.subarray(0, plain.length)).toEqual(plain)
    expect(decode(traced)).toEqual({ ...decode(plain), trace })
    expect(wordWire({ ...said, trace })).toBe(plain)
  })

  it("cuts a long detail between two characters", () => {
    const reply: Reply = {
      kind: "reply",
      session: SESSION,
      index: 1,
      body: new Uint8Array(0),
      code: "internal",
      detail: `a${"é€😀".repeat(200)}\ud800`
    }
    const read = decode(encodeMessage(reply)) as Reply
    expect(reply.detail).toContain(read.detail)
    expect(new TextEncoder().encode(read.detail).length).toBeGreaterThan(DETAIL_BYTES_MAX - 4)
    expect(new TextEncoder().encode(read.detail).length).toBeLessThanOrEqual(DETAIL_BYTES_MAX)
  })
})

describe("bodies", () => {
  const body = (length: number): Word => ({
    ...fc.sample(word, { seed: 2, numRuns: 1 })[0]!,
    body: new Uint8Array(length).fill(5)
  })
  const replyOf = (length: number): Reply => {
    const session = "s".repeat(SESSION_BYTES)
    return { kind: "reply", session, index: 1, body: new Uint8Array(length).fill(5) }
  }
  const bodyIn = (chunk: Uint8Array, length: number): Uint8Array =>
    (decodeMessage(chunk, 0, length) as Word | Reply).body

  it("are views of the chunk when large, copies when small and kept", () => {
    const small = encodeMessage(replyOf(20))
    expect(bodyIn(small, small.length).buffer).not.toBe(small.buffer)
    for (const bytes of [encodeMessage(body(20)), encodeMessage(body(2000))]) {
      expect(bodyIn(bytes, bytes.length).buffer).toBe(bytes.buffer)
    }
  })

  it("do not keep a chunk of many times their size", () => {
    const bytes = encodeMessage(body(2000))
    const chunk = bytesOf(bytes, new Uint8Array(3 * LIMITS.batchBytesTarget))
    expect(bodyIn(chunk, bytes.length).buffer).not.toBe(chunk.buffer)
  })

  it("are plain arrays and true copies when the chunk is a Buffer", () => {
    const bytes = Buffer.from(encodeMessage(replyOf(20)))
    const read = bodyIn(bytes, bytes.length)
    bytes.fill(0)
    expect(read).toEqual(new Uint8Array(20).fill(5))
    expect(Buffer.isBuffer(read)).toBe(false)
  })
})

describe("an envelope is refused when", () => {
  const top = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]
  const refused: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["it is empty", bytesOf()],
    ["its kind is 0", bytesOf(0x08, 0, LANE, 0x28, 1)],
    ["its kind is unknown", bytesOf(0x08, 10, LANE, 0x28, 1)],
    ["a resume has no position", bytesOf(0x08, 9)],
    ["its kind is far away", bytesOf(0x08, 0x87, 0x02, LANE, 0x28, 1)],
    ["a lane is missing", bytesOf(0x08, 7, 0x28, 1)],
    ["an index is missing", bytesOf(0x08, 7, LANE)],
    ["an index is 0", bytesOf(0x08, 7, LANE, 0x28, 0)],
    ["a field has another wire type", bytesOf(CANCEL, 0x12, 1, 1)],
    ["a group begins", bytesOf(CANCEL, 0x83, 0x01)],
    ["a field number is 0", bytesOf(CANCEL, 0x00, 0x01)],
    ["a tag is over 32 bits", bytesOf(CANCEL, 0x80, 0x80, 0x80, 0x80, 0x10, 1)],
    ["a varint does not end", bytesOf(0x08, 7, LANE, 0x28, 0x81)],
    ["a varint has nine bytes", bytesOf(0x08, 7, LANE, 0x28, top, 0x8f, 0x00)],
    ["a counter is 2^53", bytesOf(0x08, 7, LANE, 0x28, new Array(7).fill(0x80), 0x10)],
    ["a length is beyond the end", bytesOf(CANCEL, 0x5a, 0x02, 0x00)],
    ["a session is 21 bytes long", bytesOf(0x08, 7, 0x22, 21, LANE.subarray(3), 0x28, 1)],
    ["a lane is 23 bytes long", bytesOf(0x08, 7, 0x22, 23, LANE.subarray(2), 0, 0x28, 1)],
    ["a lane is empty", bytesOf(0x08, 3, 0x22, 0, 0x28, 1, 0x30, 2)],
    ["a lane's name is not one", bytesOf(0x08, 3, 0x22, 1, 0x41, 0x28, 1, 0x30, 2)],
    ["a call is in a protocol lane", bytesOf(0x08, 7, 0x22, 1, 0x61, 0x28, 1)],
    ["a range is empty", bytesOf(0x08, 3, 0x22, 1, 0x61, 0x28, 1, 0x30, 1)],
    ["a round is over uint32", bytesOf(CANCEL, 0x40, 0x80, 0x80, 0x80, 0x80, 0x10)],
    ["a deadline is over uint32", bytesOf(CANCEL, 0x50, 0x80, 0x80, 0x80, 0x80, 0x10)],
    ["a method is torn", bytesOf(CANCEL, 0x3d, 1, 2, 3)],
    ["an error code is unknown", bytesOf(0x08, 8, LANE, 0x28, 1, 0x60, 99)],
    ["a redirect names nobody", bytesOf(0x08, 8, LANE, 0x28, 1, 0x60, 22)],
    ["a node is no node id", bytesOf(0x08, 8, LANE, 0x28, 1, 0x70, 0x80, 0x80, 0x04)],
    ["a detail is no UTF-8", bytesOf(0x08, 8, LANE, 0x28, 1, 0x6a, 2, 0xc0, 0x80)],
    ["a detail is too long", bytesOf(CANCEL, 0x6a, 0x81, 0x04, new Array(513).fill(0x61))]
  ]
  for (const [what, bytes] of refused) {
    it(what, () => {
      expect(decode(bytes)).toBeUndefined()
    })
  }

  it("its body is over bodyBytesMax", () => {
    const bytes = bytesOf(0x08, 6, 0x5a, 3, 1, 2, 3)
    const copy = false
    expect(decodeMessage(bytes, 0, bytes.length, { bodyBytesMax: 2, copy })).toBeUndefined()
    expect(decodeMessage(bytes, 0, bytes.length, { bodyBytesMax: 3, copy })).toBeDefined()
  })
})

describe("an envelope is taken when", () => {
  it("a counter is 2^53 - 1", () => {
    const bytes = bytesOf(0x08, 7, LANE, 0x28, new Array(7).fill(0xff), 0x0f)
    expect(decode(bytes)).toEqual({
      kind: "cancel",
      session: SESSION,
      index: Number.MAX_SAFE_INTEGER
    })
  })

  it("it has what the refused ones lack", () => {
    expect(decode(CANCEL)).toEqual({ kind: "cancel", session: SESSION, index: 1 })
    expect(decode(bytesOf(0x08, 8, LANE, 0x28, 1, 0x60, 22, 0x70, 3))).toMatchObject({
      code: "redirect",
      node: 3
    })
    expect(decode(bytesOf(0x08, 3, 0x22, 1, 0x61, 0x28, 1, 0x30, 2))).toMatchObject({
      lane: "a",
      from: 1,
      to: 2
    })
  })

  it("it has fields that this version does not know", () => {
    const varint = [0x80, 0x02, ...new Array(9).fill(0xff), 0x01]
    const fixed64 = [0x81, 0x02, 1, 2, 3, 4, 5, 6, 7, 8]
    const block = [0x82, 0x02, 3, 1, 2, 3]
    const fixed32 = [0x85, 0x02, 1, 2, 3, 4]
    expect(decode(bytesOf(varint, fixed64, CANCEL, block, fixed32))).toEqual(decode(CANCEL))
  })
})

describe("random and mutated envelopes", () => {
  it("never throw; what is taken means the same to protobuf-es", () => {
    const prng = new Prng(7)
    const valid = fc.sample(message, { seed: 7, numRuns: 200 }).map(twinBytes)
    const small = valid.filter((bytes) => bytes.length < 400)
    let taken = 0
    for (let i = 0; i < 100_000; i++) {
      const bytes = mutate(prng, prng.pick(small))
      const read = decode(bytes)
      if (read === undefined) continue
      taken++
      if (i % 8 === 0) expect(meaning(read)).toEqual(meaningByTwin(bytes, read))
    }
    expect(taken).toBeGreaterThan(10_000)
    expect(taken).toBeLessThan(90_000)
  })
})

const meaning = (m: Message): Uint8Array => toBinary(EnvelopeSchema, twinOf(m))

/** As protobuf-es reads `bytes`, without the fields that the kind does not use. */
const meaningByTwin = (bytes: Uint8Array, read: Message): Uint8Array => {
  const theirs = fromBinary(EnvelopeSchema, bytes)
  const ours = twinOf(read)
  const used: Record<Message["kind"], ReadonlyArray<keyof typeof ours>> = {
    word: ["position", "lane", "index", "method", "round", "acknowledgedBelow", "body"],
    want: ["position"],
    resume: ["position"],
    cut: ["position"],
    behind: ["lane", "index"],
    wantLane: ["lane", "index", "indexEnd"],
    taken: ["position", "done"],
    epoch: ["position", "body"],
    request: ["lane", "index", "method", "acknowledgedBelow", "deadlineMs", "body"],
    oneWay: ["method", "body"],
    cancel: ["lane", "index"],
    reply:
      theirs.code === 0
        ? ["lane", "index", "body"]
        : ["lane", "index", "body", "code", "detail", "node", "horizonMs"]
  }
  const kept = Object.fromEntries(used[read.kind].map((name) => [name, theirs[name]]))
  return toBinary(EnvelopeSchema, { ...ours, kind: theirs.kind, ...kept })
}
