import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import { decodeFrame, type Frame, type Goodbye } from "../src/link/frame.ts"
import { checkHello } from "../src/link/hello.ts"
import type { Message } from "../src/server/Message.ts"
import {
  bytes,
  helloOf,
  members,
  messages,
  open,
  opened,
  positions,
  pump,
  Side,
  small,
  want,
  word
} from "./support/link.ts"
import { frame, frameTwinBytes, mutate } from "./support/wire.ts"

describe("opening a link", () => {
  it("says hello first, alone, and nothing else before the peer's hello", () => {
    const [a, b] = [new Side(helloOf(1)), new Side(helloOf(2))]
    a.core.send(want(1))
    expect(a.core.flush()).toBeUndefined()
    a.core.start()
    expect(a.core.ready).toBe(true)
    const [first, ...rest] = a.flushAll()
    expect(decodeFrame(first!)).toEqual({
      sequence: 1,
      acknowledged: 0,
      content: { kind: "hello", hello: helloOf(1) }
    })
    expect(rest).toEqual([])
    expect(a.core.ready).toBe(false)
    b.core.start()
    b.take([first!])
    expect(b.opened).toEqual([helloOf(1)])
    a.take(b.flushAll())
    expect(a.core.state).toBe("open")
    pump(a, b)
    expect(b.got).toEqual([want(1)])
  })

  it("sends our hello first even if the peer's came before it", () => {
    const side = new Side(helloOf(1))
    side.core.start()
    side.take([bytes(1, { kind: "hello", hello: helloOf(2) })])
    side.core.send(want(1))
    expect(side.contents().map(({ kind }) => kind)).toEqual(["hello", "messages"])
  })

  it("is refused by check: our hello still goes, then the goodbye, nothing that was queued", () => {
    const [a, b] = [new Side(helloOf(1)), new Side(helloOf(2, { group: "h" }))]
    a.core.send(want(1))
    a.core.start()
    b.core.start()
    const goodbye = checkHello(helloOf(1), helloOf(2, { group: "h" }))
    expect(a.take(b.flushAll())).toEqual([goodbye])
    expect(a.opened).toEqual([])
    expect(a.core.end).toEqual({ by: "us", goodbye })
    const frames = a.flushAll()
    expect(frames.map((f) => decodeFrame(f)!.content.kind)).toEqual(["hello", "goodbye"])
    const lenient = new Side(helloOf(2), LIMITS, { check: () => undefined })
    lenient.core.start()
    lenient.flushAll()
    expect(lenient.take(frames)).toEqual([undefined, undefined])
    expect(lenient.core.end).toEqual({ by: "peer", goodbye })
    expect(lenient.flushAll()).toEqual([])
  })

  it("is refused between two clients, whatever check says", () => {
    const side = new Side(helloOf(0), LIMITS, { check: () => undefined })
    side.core.start()
    const goodbye = { code: "wrong_group", detail: "both sides are clients: dial a node" }
    expect(side.take([bytes(1, { kind: "hello", hello: helloOf(0) })])).toEqual([goodbye])
  })

  it("takes a goodbye instead of a hello", () => {
    const side = new Side(helloOf(1))
    side.core.start()
    const goodbye: Goodbye = { code: "overloaded", detail: "too many links" }
    expect(side.take([bytes(1, { kind: "goodbye", goodbye })])).toEqual([undefined])
    expect(side.core.end).toEqual({ by: "peer", goodbye })
  })
})

describe("an open link", () => {
  it("keeps order under every schedule, and both sides fall silent", () => {
    fc.assert(
      fc.property(fc.integer(), (seed) => {
        runSchedule(new Prng(seed))
      }),
      { numRuns: 150 }
    )
  })

  it("fills batches up to the target, and one envelope beyond it travels alone", () => {
    const [a, b] = members(small)
    const sizes = [100, 100, 100, 100, 100, 100, 1900, 10, 10]
    for (const [i, size] of sizes.entries()) a.core.send(word(i + 1, size))
    for (let i = 0; i < 20; i++) a.core.send(want(i))
    expect(a.core.full).toBe(true)
    const frames = a.flushAll()
    const lists = frames.map((f) => {
      const content = decodeFrame(f)!.content
      return content.kind === "messages" ? content.messages.length : 0
    })
    expect(lists).toEqual([4, 2, 1, 8, 8, 6])
    for (const [i, f] of frames.entries()) if (i !== 2) expect(f.length).toBeLessThanOrEqual(518)
    b.take(frames)
    expect(b.got.length).toBe(sizes.length + 20)
    expect(positions(b).slice(0, sizes.length)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it("acknowledges on frames that go anyway", () => {
    const [a, b] = members()
    a.core.send(word(1, 100))
    expect(a.core.unacknowledgedBytes).toBeGreaterThan(100)
    b.take(a.flushAll())
    b.core.send(want(1))
    a.take(b.flushAll())
    expect(a.core.unacknowledgedBytes).toBe(0)
    expect(b.core.flushAck(true)).toBeUndefined()
  })

  it("sends a bare acknowledgement at a tick, or past an eighth of linkBytes", () => {
    const marks = recordMarks(() => {
      const [a, b] = members(small)
      a.core.send(word(1, 100))
      b.take(a.flushAll())
      expect(b.core.flushAck(false)).toBeUndefined()
      b.core.send(want(1))
      expect(b.core.flushAck(true), "a frame that goes anyway carries it").toBeUndefined()
      a.take(b.flushAll())
      a.core.send(word(2, 100))
      b.take(a.flushAll())
      const bare = b.core.flushAck(true)!
      expect(bare.length).toBe(4)
      a.take([bare])
      expect(a.core.unacknowledgedBytes).toBe(0)
      expect(a.core.flushAck(true), "a bare one is not acknowledged").toBeUndefined()
      a.core.send(word(3, 1600))
      b.take(a.flushAll())
      a.take([b.core.flushAck(false)!])
      expect(a.core.unacknowledgedBytes).toBe(0)
    })
    expect(marks.get("link: bare acknowledgement")).toBe(2)
  })

  it("is cut when too much is not acknowledged", () => {
    const marks = recordMarks(() => {
      const [a, b] = members(small)
      for (let i = 0; i < 6; i++) a.core.send(word(i + 1, 1900))
      const early = a.flushAll()
      expect(a.core.state).toBe("open")
      a.core.send(word(7, 1900))
      expect(a.core.state).toBe("closed")
      expect(a.core.end).toMatchObject({ by: "us", goodbye: { code: "link_overrun" } })
      expect(a.core.unacknowledgedBytes).toBe(0)
      a.core.send(word(8, 1))
      const last = a.flushAll()
      expect(last.length, "what was queued is dropped").toBe(1)
      b.take([...early, ...last])
      expect(b.got.length).toBe(6)
      expect(b.core.end).toMatchObject({ by: "peer", goodbye: { code: "link_overrun" } })
    })
    expect(marks.get("link: overrun")).toBe(1)
  })

  it("is cut when too much waits for the peer's hello", () => {
    const side = new Side(helloOf(1), small)
    side.core.start()
    for (let i = 0; i < 7; i++) side.core.send(word(i + 1, 1900))
    expect(side.core.end?.goodbye.code).toBe("link_overrun")
    expect(side.contents().map(({ kind }) => kind)).toEqual(["hello", "goodbye"])
  })

  it("says what was queued, then the goodbye, when closed on purpose", () => {
    const [a, b] = members()
    const goodbye: Goodbye = { code: "not_ready", detail: "node 1 stops" }
    a.core.send(word(1, 10))
    a.core.close(goodbye)
    a.core.send(word(2, 10))
    a.core.close({ code: "replaced", detail: "" })
    pump(a, b)
    expect(positions(b)).toEqual([1])
    expect(a.core.end).toEqual({ by: "us", goodbye })
    expect(b.core.end).toEqual({ by: "peer", goodbye })
    b.core.send(want(1))
    expect(b.flushAll()).toEqual([])
  })

  it("delivers nothing more once a message's receiver closed it", () => {
    const seen: Array<Message> = []
    const goodbye: Goodbye = { code: "replaced", detail: "a newer link" }
    const [a, b] = members(LIMITS, {
      receive: (message) => {
        seen.push(message)
        b.core.close(goodbye)
      }
    })
    for (let i = 1; i < 4; i++) a.core.send(word(i, 10))
    expect(b.take(a.flushAll())).toEqual([goodbye])
    expect(seen.length).toBe(1)
    expect(a.take(b.flushAll())).toEqual([undefined])
    expect(a.core.unacknowledgedBytes).toBe(0)
  })
})

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
  const cases: ReadonlyArray<readonly [string, Uint8Array, string]> = [
    ["a gap", bytes(3, messages(want(1))), "frame 3 where 2 was due"],
    ["a repeated frame", bytes(1, messages(want(1))), "frame 1 where 2 was due"],
    ["garbage", Uint8Array.of(1, 2, 3), "a frame that is no frame"],
    ["a second hello", bytes(2, { kind: "hello", hello: helloOf(2) }), "a second hello"],
    [
      "an acknowledgement of what was not sent",
      bytes(2, messages(want(1)), 2),
      "acknowledgement 2, not in 0 to 1"
    ],
    [
      "a client's word from a member",
      bytes(2, messages(want(1), request)),
      '"request" from a member'
    ],
    [
      "a reply from a member",
      bytes(2, messages({ kind: "reply", session, index: 1, body })),
      '"reply" from a member'
    ]
  ]
  for (const [what, second, detail] of cases) {
    it(what, () => {
      const side = opened()
      const goodbye = side.core.onBytes(second)
      expect(goodbye).toEqual({
        code: "malformed",
        detail: `${detail}: the sender does not follow docs/PROTOCOL.md`
      })
      expect(side.got, "nothing of such a frame is delivered").toEqual([])
      expect(side.contents()).toEqual([{ kind: "goodbye", goodbye }])
      expect(side.core.onBytes(second)).toBeUndefined()
    })
  }

  it("an acknowledgement that goes back", () => {
    const side = opened()
    expect(side.core.onBytes(bytes(2, messages(want(1)), 1))).toBeUndefined()
    expect(side.core.onBytes(bytes(3, messages(want(1)), 0))?.code).toBe("malformed")
  })

  it("a message before the hello", () => {
    const side = new Side(helloOf(1))
    side.core.start()
    expect(side.core.onBytes(bytes(1, messages(want(1))))?.detail).toContain("before the hello")
  })

  it("a frame over batchBytesMax, unread", () => {
    const side = opened()
    const goodbye = side.core.onBytes(new Uint8Array(LIMITS.batchBytesMax + 1))
    expect(goodbye).toMatchObject({ code: "too_large" })
    expect(goodbye?.detail).toContain("2097153 bytes, at most 2097152")
  })

  it("a word from a client, a request from a node", () => {
    const [client, node] = [new Side(helloOf(0)), new Side(helloOf(1))]
    open(client, node)
    client.core.send(request)
    node.core.send({ kind: "reply", session, index: 1, body })
    pump(client, node)
    expect([client.got.length, node.got.length]).toEqual([1, 1])
    client.core.send(want(1))
    node.core.send(request)
    const [up, down] = [client.flushAll(), node.flushAll()]
    expect(node.take(up)[0]?.detail).toContain('"want" from a client')
    expect(client.take(down)[0]?.detail).toContain('"request" from a node')
  })

  it("a gap, and the mark is there", () => {
    const marks = recordMarks(() => opened().core.onBytes(bytes(4, messages())))
    expect(marks.get("link: gap")).toBe(1)
  })

  it("random and mutated frames, which never throw", () => {
    const prng = new Prng(17)
    const valid = fc.sample(frame, { seed: 17, numRuns: 200 }).filter(isShort)
    let alive = 0
    for (let i = 0; i < 8_000; i++) {
      const side = i % 2 === 0 ? opened() : new Side(helloOf(1))
      if (i % 2 === 1) side.core.start()
      const second: Frame = { ...prng.pick(valid), sequence: i % 2 === 0 ? 2 : 1, acknowledged: 1 }
      side.core.onBytes(mutate(prng, frameTwinBytes(second)))
      if (side.core.state !== "closed") alive++
      else expect(side.flushAll().length).toBeLessThanOrEqual(2)
    }
    expect(alive).toBeGreaterThan(40)
  })
})

const isShort = (f: Frame): boolean =>
  f.content.kind !== "messages" || f.content.messages.length < 3

/** Both sides send, flush, take frames and tick in any order; then everything is drained. */
const runSchedule = (prng: Prng): void => {
  const sides = members(small)
  const wires: [Array<Uint8Array>, Array<Uint8Array>] = [[], []]
  const next = [1, 1]
  const step = (me: 0 | 1): void => {
    const { core } = sides[me]
    const peer = sides[1 - me]!
    switch (prng.below(4)) {
      case 0:
        for (let i = prng.below(20); i > 0 && core.unacknowledgedBytes < 8000; i--) {
          core.send(word(next[me]!++, prng.pick([0, 10, 80, 600, 1900])))
        }
        return
      case 1: {
        const bytes = core.flush()
        if (bytes !== undefined) wires[me].push(bytes)
        return
      }
      case 2: {
        const bytes = core.flushAck(prng.chance(300))
        if (bytes !== undefined) wires[me].push(bytes)
        return
      }
      default: {
        const bytes = wires[me].shift()
        if (bytes !== undefined) expect(peer.core.onBytes(bytes)).toBeUndefined()
      }
    }
  }
  for (let i = 0; i < 300; i++) step(prng.below(2) as 0 | 1)
  const [a, b] = sides
  b.take(wires[0])
  a.take(wires[1])
  pump(a, b)
  for (const [me, peer] of [[a, b] as const, [b, a] as const]) {
    const bare = me.core.flushAck(true)
    if (bare !== undefined) expect(peer.core.onBytes(bare)).toBeUndefined()
  }
  sides.forEach((side, me) => {
    expect(positions(sides[1 - me]!)).toEqual(
      Array.from({ length: next[me]! - 1 }, (_, i) => i + 1)
    )
    expect(side.core.unacknowledgedBytes).toBe(0)
    expect(side.core.flushAck(true)).toBeUndefined()
    expect(side.core.flush()).toBeUndefined()
  })
}
