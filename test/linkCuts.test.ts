/** What a link core takes for a fault of the other side. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import type { Frame, FrameContent } from "../src/link/frame.ts"
import type { Packet } from "../src/link/ports.ts"
import type { Message } from "../src/server/Message.ts"
import { frame, frameTwinBytes } from "./support/frames.ts"
import {
  helloOf,
  linkHello,
  messages,
  opened,
  opening,
  packet,
  pairOf,
  plainDialer,
  pump,
  Side,
  want
} from "./support/link.ts"
import { mutate } from "./support/wire.ts"

describe("a link is cut, and the peer is told, for", () => {
  const body = new Uint8Array(0)
  const session = "s".repeat(22)
  const request: Message = {
    kind: "request",
    session,
    index: 1,
    ackedBelow: 1,
    method: 1,
    deadlineMs: 0,
    body
  }
  const fragment = (bytes: number, left: number): FrameContent => ({
    kind: "fragment",
    channel: 1,
    bytes: new Uint8Array(bytes),
    left
  })
  const cases: ReadonlyArray<readonly [string, Packet, string]> = [
    ["a gap", packet(4, messages(want(1))), "frame 4 where 3 was due"],
    ["a repeated frame", packet(2, messages(want(1))), "frame 2 where 3 was due"],
    ["garbage", { frame: Uint8Array.of(1, 2, 3) }, "a frame that is no frame"],
    ["a second handshake", packet(3, linkHello()), "a second handshake"],
    ["a tag", { frame: new Uint8Array(4), tag: new Uint8Array(16) }, "a tag where none is due"],
    [
      "a channel that opens twice",
      packet(3, { kind: "open", channel: 1, hello: helloOf(2) }),
      "a channel that opens twice"
    ],
    [
      "a channel that was never opened",
      packet(3, { ...messages(want(1)), channel: 5 } as FrameContent),
      "channel 5 was never opened"
    ],
    [
      "credit that goes back",
      packet(3, messages(want(1)), { credit: 7 }),
      "credit 7, lower than 2097152 before"
    ],
    [
      "an acknowledgement of what was not sent",
      packet(3, messages(want(1)), { acknowledged: 3 }),
      "acknowledgement 3, not in 0 to 2"
    ],
    ["fragments of no envelope", packet(3, fragment(9, 0)), "fragments of no envelope"],
    [
      "fragments of an envelope that is too large",
      packet(3, fragment(9, LIMITS.bodyBytesMax + 1024)),
      "an envelope of 1049609 bytes, at most 1049600 are taken"
    ],
    [
      "a client's word from a member",
      packet(3, messages(want(1), request)),
      '"request" from a member'
    ],
    [
      "a reply from a member",
      packet(3, messages({ kind: "reply", session, index: 1, body })),
      '"reply" from a member'
    ]
  ]
  for (const [what, third, detail] of cases) {
    it(what, () => {
      const side = opened()
      side.core.take(third)
      const goodbye = {
        code: "malformed",
        detail: `${detail}: the sender does not follow docs/PROTOCOL.md`
      }
      expect(side.core.end).toMatchObject({ by: "us", goodbye })
      expect(side.got, "nothing of such a frame is delivered").toEqual([])
      expect(side.contents()).toEqual([{ kind: "goodbye", channel: 0, goodbye }])
      side.core.take(third)
    })
  }

  it("an acknowledgement that goes back", () => {
    const side = opened()
    side.core.take(packet(3, messages(want(1)), { acknowledged: 1 }))
    expect(side.core.isOpen).toBe(true)
    side.core.take(packet(4, messages(want(1))))
    expect(side.core.end?.goodbye?.code).toBe("malformed")
  })

  it("messages before the handshake, and before the channel is open", () => {
    const early = new Side({ hello: helloOf(1) })
    early.core.take(packet(1, messages(want(1))))
    expect(early.core.end?.goodbye?.detail).toContain("before the link is open")
    const dialer = new Side({ hello: helloOf(1), handshake: plainDialer() })
    dialer.core.open(dialer.port)
    dialer.core.take(opening(helloOf(2))[0])
    dialer.core.take(packet(2, messages(want(1))))
    expect(dialer.core.end?.goodbye?.detail).toContain("before the channel is open")
  })

  it("a frame over batchBytesMax, and over 4 KiB before the handshake, unread", () => {
    const side = opened()
    side.core.take({ frame: new Uint8Array(LIMITS.batchBytesMax + 1) })
    expect(side.core.end?.goodbye).toMatchObject({ code: "too_large" })
    expect(side.core.end?.text).toContain("2097153 bytes, at most 2097152")
    const early = new Side({ hello: helloOf(1) })
    early.core.take({ frame: new Uint8Array(4097) })
    expect(early.core.end?.text).toContain("4097 bytes, at most 4096")
  })

  it("a word from a client, a request from a node", () => {
    const [client, node] = pairOf({ hello: helloOf(0) }, { hello: helloOf(1) })
    client.channel!.send(request)
    node.channel!.send({ kind: "reply", session, index: 1, body })
    pump(client, node)
    expect([client.got.length, node.got.length]).toEqual([1, 1])
    client.channel!.send(want(1))
    node.channel!.send(request)
    const [up, down] = [client.flushAll(), node.flushAll()]
    node.take(up)
    client.take(down)
    expect(node.core.end?.text).toContain('"want" from a client')
    expect(client.core.end?.text).toContain('"request" from a node')
  })

  it("a gap, and the mark is there", () => {
    const marks = recordMarks(() => opened().core.take(packet(4, messages())))
    expect(marks.get("link: gap")).toBe(1)
  })

  it("random and mutated frames, which never throw", () => {
    const prng = new Prng(17)
    const valid = fc.sample(frame, { seed: 17, numRuns: 200 }).filter(isShort)
    let alive = 0
    for (let i = 0; i < 8_000; i++) {
      const isOpen = i % 2 === 0
      const side = isOpen ? opened() : new Side({ hello: helloOf(1) })
      const next: Frame = { ...prng.pick(valid), sequence: isOpen ? 3 : 1, acknowledged: 0 }
      side.core.take({ frame: mutate(prng, frameTwinBytes(next)) })
      if (!side.core.isClosed) alive++
      else expect(side.flushAll().length).toBeLessThanOrEqual(2)
    }
    expect(alive).toBeGreaterThan(40)
  })
})

const isShort = (f: Frame): boolean =>
  f.content.kind !== "messages" || f.content.messages.length < 3
