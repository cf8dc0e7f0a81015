import { fromBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { FrameSchema } from "../gen/quorate/v1/link_pb.ts"
import { LIMITS } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { decodeFrame, encodeFrame, type Frame } from "../src/link/frame.ts"
import type { Message } from "../src/server/Message.ts"
import { frame, frameTwinBytes } from "./support/frames.ts"
import { goodbye, hello, mutate } from "./support/wire.ts"

const sample = <T>(arbitrary: fc.Arbitrary<T>): T =>
  fc.sample(arbitrary, { seed: 3, numRuns: 1 })[0]!
const ofOpen: Frame = {
  sequence: 1,
  acknowledged: 0,
  credit: 0,
  content: { kind: "open", channel: 1, hello: sample(hello) }
}
const ofGoodbye: Frame = {
  sequence: 2,
  acknowledged: 1,
  credit: 0,
  content: { kind: "goodbye", channel: 0, goodbye: sample(goodbye) }
}
const messages = (...list: ReadonlyArray<Message>): Frame => ({
  sequence: 3,
  acknowledged: 1,
  credit: 0,
  content: { kind: "messages", channel: list.length === 0 ? 0 : 1, messages: list }
})
const want: Message = { kind: "want", position: 5 }
const join = (...parts: ReadonlyArray<Uint8Array | ReadonlyArray<number>>): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => [...part]))

describe("the frame codec", () => {
  it("writes the bytes that protobuf-es writes, and reads them back", () => {
    fc.assert(
      fc.property(frame, (f) => {
        const bytes = encodeFrame(f)
        expect(bytes).toEqual(frameTwinBytes(f))
        expect(decodeFrame(bytes)).toEqual(withoutWire(f))
      }),
      { numRuns: 300 }
    )
  })

  it("takes fields in any order, skips unknown ones", () => {
    const bytes = join([0x2a, 4, 0x08, 2, 0x10, 5], [0x18, 1], [0x62, 1, 0], [0x10, 1], [0x08, 3])
    expect(decodeFrame(bytes)).toEqual(messages(want))
  })

  it("takes a bare acknowledgement", () => {
    expect(decodeFrame(Uint8Array.of(0x08, 3, 0x10, 1))).toEqual(messages())
  })
})

describe("a frame is refused when", () => {
  const block = (tag: number, bytes: Uint8Array) => join([tag, bytes.length], bytes)
  const openBytes = encodeFrame(ofOpen).subarray(4)
  const helloOf = (...parts: ReadonlyArray<Uint8Array | ReadonlyArray<number>>) =>
    join([0x08, 1, 0x18, 1], block(0x32, join(...parts)))
  const version = [0x08, 1]
  const group = [0x12, 1, 0x67]
  const digest = block(0x1a, new Uint8Array(32))
  const member = [0x20, 1]
  const key = block(0x2a, new Uint8Array(32))
  const store = block(0x32, new Uint8Array(16))
  const run = block(0x3a, new Uint8Array(16))
  const refused: ReadonlyArray<readonly [string, Uint8Array]> = [
    ["it is empty", join()],
    ["it has no sequence", join([0x10, 1])],
    ["it is text", new TextEncoder().encode("GET / HTTP/1.1\r\n\r\n")],
    ["one of its envelopes is malformed", join([0x08, 3, 0x18, 1, 0x2a, 2, 0x08, 99])],
    ["an envelope is cut off", encodeFrame(messages(want)).subarray(0, -1)],
    ["an opening stands beside a message", join(encodeFrame(ofOpen), [0x2a, 2, 0x08, 2])],
    ["a goodbye stands beside a message", join(encodeFrame(ofGoodbye), [0x2a, 2, 0x08, 2])],
    ["an opening stands beside a goodbye", join(encodeFrame(ofGoodbye), [0x18, 1], openBytes)],
    ["there are two openings", join(encodeFrame(ofOpen), openBytes)],
    ["an opening has no channel", join([0x08, 1], openBytes)],
    ["a message has no channel", join([0x08, 3, 0x2a, 2, 0x08, 2])],
    ["a handshake has a channel", join([0x08, 1, 0x18, 1, 0x52, 1, 0])],
    ["there are two hellos", join([0x08, 1, 0x52, 1, 0, 0x52, 1, 0])],
    ["credit has no channel", join([0x08, 1, 0x20, 9])],
    ["a fragment has no channel", join([0x08, 1, 0x42, 1, 0])],
    ["a fragment is empty", join([0x08, 1, 0x18, 1, 0x42, 0])],
    ["bytes are left of no fragment", join([0x08, 1, 0x18, 1, 0x48, 9])],
    ["there are two goodbyes", join(encodeFrame(ofGoodbye), encodeFrame(ofGoodbye).subarray(4))],
    ["a known field has another wire type", join([0x08, 3, 0x0a, 0])],
    ["a hello has no version", helloOf(group, digest, member, store, run)],
    ["a hello has no group", helloOf(version, digest, member, store, run)],
    ["a hello has no digest", helloOf(version, group, member, store, run)],
    ["a hello has no incarnation", helloOf(version, group, digest, member, store)],
    ["a member has no store id", helloOf(version, group, digest, member, run)],
    ["a member has a client's key", helloOf(version, group, digest, member, key, store, run)],
    ["a client has no key", helloOf(version, group, digest, run)],
    ["a client has a store id", helloOf(version, group, digest, key, store, run)],
    ["a node id is too high", helloOf(version, group, digest, [0x20, 0x80, 0x80, 4], store, run)],
    ["a goodbye has no code", join([0x08, 2, 0x3a, 0])],
    ["a goodbye has an unknown code", join([0x08, 2, 0x3a, 2, 0x08, 99])]
  ]
  for (const [what, bytes] of refused) {
    it(what, () => {
      expect(decodeFrame(bytes)).toBeUndefined()
    })
  }

  it("it is not a well formed hello, of which these are the two forms", () => {
    expect(decodeFrame(helloOf(version, group, digest, member, store, run))).toBeDefined()
    expect(decodeFrame(helloOf(version, group, digest, key, run))).toBeDefined()
  })

  it("a body is over the limit it is given", () => {
    const bytes = encodeFrame(messages({ kind: "oneWay", method: 1, body: new Uint8Array(11) }))
    expect(decodeFrame(bytes, { ...LIMITS, bodyBytesMax: 10 })).toBeUndefined()
    expect(decodeFrame(bytes, { ...LIMITS, bodyBytesMax: 11 })).toBeDefined()
  })
})

describe("random and mutated frames", () => {
  it("never throw; what is taken, protobuf-es takes too", () => {
    const prng = new Prng(11)
    const valid = fc.sample(frame, { seed: 11, numRuns: 300 }).map(frameTwinBytes)
    const small = valid.filter((bytes) => bytes.length < 1000)
    let taken = 0
    for (let i = 0; i < 60_000; i++) {
      const bytes = mutate(prng, prng.pick(small))
      const read = decodeFrame(bytes)
      if (read === undefined) continue
      taken++
      // What is read is well formed: it can be written, and read again as the same.
      if (i % 8 === 0) expect(decodeFrame(encodeFrame(read))).toEqual(withoutWire(read))
      // What a handshake holds is for the handshake to judge.
      if (i % 8 === 1 && read.content.kind !== "handshake")
        expect(Number(fromBinary(FrameSchema, bytes).sequence)).toBe(read.sequence)
    }
    expect(taken).toBeGreaterThan(5_000)
    expect(taken).toBeLessThan(55_000)
  })
})

/** A word that was encoded keeps its bytes; a decoded one has none. */
const withoutWire = (f: Frame): Frame => {
  if (f.content.kind !== "messages") return f
  const plain = f.content.messages.map((m): Message => {
    if (m.kind !== "word") return m
    const { wire: _, ...word } = m
    return word
  })
  return { ...f, content: { ...f.content, messages: plain } }
}
