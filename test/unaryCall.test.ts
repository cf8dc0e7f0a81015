/** Frames as calls and back: docs/PROTOCOL.md 18, byte for byte. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { decodeFrame, encodeFrame } from "../src/link/frame.ts"
import { Sealer } from "../src/link/sealing.ts"
import { callOf, LINK_HEADER, packetOf, wayOf } from "../src/link/unaryCall.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import { methodId, type Word } from "../src/server/Message.ts"
import { vectorsOf } from "./support/vectors.ts"

const NAME = "kv.v1.Store/Get"
const way = { link: "ab".repeat(16), group: "demo", from: 1, to: 2 }
const options = {
  way,
  limits: LIMITS,
  sequence: 3,
  readable: true,
  methodName: (method: number) => (method === methodId(NAME) ? NAME : undefined)
}
const wordWith = (more: Partial<Word> = {}): Word => ({
  kind: "word",
  position: 5,
  lane: "slots",
  index: 7,
  method: methodId(NAME),
  round: 2,
  ackedBelow: 0,
  body: Uint8Array.of(0x0a, 1, 0x61),
  ...more
})
const frameOf = (message: Word, credit = 0): Uint8Array => {
  const content = { kind: "messages", channel: 1, messages: [message] } as const
  return encodeFrame({ sequence: 3, acknowledged: 0, credit, content })
}
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))

describe("a word as a call", () => {
  it("is the page's example, and its tag fits the frame that is made of it", () => {
    const vectors = vectorsOf("18.")
    const key = bytesOf(vectorsOf("16.")["dialer's sealing key"]!)
    const frame = frameOf(wordWith())
    expect(hex(frame)).toBe(vectors["frame of the word"])
    const packet = new Sealer("authenticated", nodeCrypto.cipher(key)).seal(3, frame)
    const call = callOf(packet, options)
    expect(call.method).toBe(NAME)
    expect(hex(call.body)).toBe("0a0161")
    expect(call.headers).toEqual({
      "quorate-call": "word",
      "quorate-link": way.link,
      "quorate-from": "1",
      "quorate-to": "2",
      "quorate-sequence": "3",
      "quorate-auth": vectors["its tag"],
      "quorate-channel": "1",
      "quorate-position": "5",
      "quorate-lane": "slots",
      "quorate-index": "7",
      "quorate-round": "2"
    })
    expect(packetOf(call, LIMITS)).toEqual({ sequence: 3, packet })
  })

  it("keeps all that a word may have", () => {
    const full = wordWith({
      lane: sessionKey(1_764_000_000_000, new Uint8Array(16).fill(0xab)),
      ackedBelow: 4,
      author: 9,
      signature: new Uint8Array(64).fill(7),
      trace: new Uint8Array(25).fill(3)
    })
    const frame = frameOf(full, 5_000_000)
    const call = callOf({ frame }, options)
    expect(Object.keys(call.headers).length).toBe(Object.keys(LINK_HEADER).length - 2)
    expect(packetOf(call, LIMITS)!.packet.frame).toEqual(frame)
    expect(decodeFrame(frame)).toMatchObject({ credit: 5_000_000 })
  })

  it("goes whole where its method has no name here, or its bytes are another form of it", () => {
    const frame = frameOf(wordWith({ method: 7 }))
    expect(callOf({ frame }, options)).toMatchObject({ method: "quorate.v1.Peer/Tell" })
    // An unknown field at the end: skipped, and under the tag all the same.
    const longer = Uint8Array.of(...frameOf(wordWith()), 0x78, 1)
    const packet = { frame: longer, tag: new Uint8Array(16) }
    const call = callOf(packet, options)
    expect(call.method).toBe("quorate.v1.Peer/Tell")
    expect(packetOf(call, LIMITS)).toEqual({ sequence: 3, packet })
  })
})

describe("a call that is none", () => {
  const call = callOf({ frame: frameOf(wordWith()) }, options)
  it.each([
    ["sequence", "0"],
    ["sequence", "1.5"],
    ["sequence", "99999999999999999"],
    ["channel", "4294967296"],
    ["round", "4294967296"],
    ["position", undefined],
    ["lane", "Slots"],
    ["lane", "00".repeat(21)],
    ["signature", "00"],
    ["trace", "xx"],
    ["auth", ""],
    ["call", "tell"],
    ["call", "shake"]
  ] as const)("is refused: %s %s", (name, value) => {
    const headers: Record<string, unknown> = { ...call.headers, [LINK_HEADER[name]]: value }
    if (value === undefined) delete headers[LINK_HEADER[name]]
    expect(packetOf({ ...call, headers }, LIMITS)).toBeUndefined()
  })

  it("names no link", () => {
    expect(wayOf({ ...call.headers, "quorate-group": "demo" })).toEqual(way)
    for (const header of ["quorate-link", "quorate-from", "quorate-to"]) {
      for (const value of [undefined, "", "0", "zz".repeat(16), ["1", "2"]]) {
        expect(wayOf({ ...call.headers, [header]: value })).toBeUndefined()
      }
    }
  })
})
