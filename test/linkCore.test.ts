import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import { decodeFrame } from "../src/link/frame.ts"
import type { Goodbye } from "../src/link/goodbye.ts"
import { checkHello } from "../src/link/hello.ts"
import type { Packet } from "../src/link/ports.ts"
import {
  helloOf,
  linkHello,
  members,
  packet,
  pairOf,
  plainDialer,
  positions,
  pump,
  Side,
  small,
  want,
  word
} from "./support/link.ts"

const kinds = (packets: ReadonlyArray<Packet>): ReadonlyArray<string> =>
  packets.map((p) => decodeFrame(p.frame)!.content.kind)

describe("opening a link", () => {
  it("shakes hands, and opens channels only then", () => {
    const a = new Side({ hello: helloOf(1), handshake: plainDialer() })
    const b = new Side({ hello: helloOf(2) })
    const channel = a.core.open(a.port)
    channel.send(want(1))
    expect(b.flushAll(), "who was dialled waits").toEqual([])
    const first = a.flushAll()
    expect(kinds(first)).toEqual(["handshake"])
    b.take(first)
    expect(b.core.isOpen).toBe(true)
    const second = b.flushAll()
    expect(kinds(second)).toEqual(["handshake"])
    a.take(second)
    expect(a.core.isOpen).toBe(true)
    const third = a.flushAll()
    expect(kinds(third), "what is queued waits until the channel is open").toEqual(["open"])
    b.take(third)
    expect(b.opened).toEqual([helloOf(1)])
    pump(a, b)
    expect(a.opened).toEqual([helloOf(2)])
    expect(b.got).toEqual([want(1)])
  })

  it("is refused by the handshake: the goodbye is all the other side gets", () => {
    const a = new Side({ hello: helloOf(1), handshake: plainDialer() })
    const b = new Side({ hello: helloOf(2) })
    b.take([packet(1, linkHello(9))])
    expect(b.core.end?.goodbye?.code).toBe("unsupported_version")
    const said = b.flushAll()
    expect(kinds(said)).toEqual(["goodbye"])
    a.flushAll()
    a.take(said)
    expect(a.core.end).toMatchObject({ by: "peer", goodbye: { code: "unsupported_version" } })
    expect(a.flushAll()).toEqual([])
  })
})

describe("opening a channel", () => {
  it("is refused by check: the goodbye ends the channel alone", () => {
    const [a, b] = pairOf({ hello: helloOf(1) }, { hello: helloOf(2, { group: "h" }) })
    const goodbye = checkHello(helloOf(2, { group: "h" }), helloOf(1))
    expect(b.ends).toMatchObject([{ by: "us", goodbye }])
    expect(a.ends).toMatchObject([{ by: "peer", goodbye }])
    expect(a.opened.concat(b.opened)).toEqual([])
    expect([a.core.isOpen, b.core.isOpen]).toEqual([true, true])
    a.core.open(a.port)
    pump(a, b)
    expect(a.ends.length, "the next one has a number of its own").toBe(2)
  })

  it("is refused between two clients, whatever check says", () => {
    const check = () => undefined
    const [a] = pairOf({ hello: helloOf(0), check }, { hello: helloOf(0), check })
    const goodbye = { code: "wrong_group", detail: "both sides are clients: dial a node" }
    expect(a.ends).toMatchObject([{ goodbye }])
  })

  it("is refused where there is no such group, and beyond channelsMax", () => {
    const limits = { ...LIMITS, channelsMax: 2 }
    const goodbye: Goodbye = { code: "wrong_group", detail: "no such group" }
    const [a, b] = pairOf(
      { hello: helloOf(1) },
      { hello: helloOf(2), limits, offered: ({ group }) => (group === "g" ? undefined : goodbye) }
    )
    const other = new Side({ hello: helloOf(1, { group: "h" }) })
    a.core.open(other.port)
    pump(a, b)
    expect(other.ends).toMatchObject([{ by: "peer", goodbye }])
    for (let i = 0; i < 3; i++) a.core.open(a.port)
    pump(a, b)
    expect(a.opened.length).toBe(2)
    expect(a.ends.map((end) => end.goodbye?.code)).toEqual(["overloaded", "overloaded"])
    expect(b.core.channelCount).toBe(2)
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

  it("fills batches up to the target; larger ones travel alone, the largest in fragments", () => {
    const [a, b] = members(small)
    const sizes = [100, 100, 100, 100, 100, 100, 650, 1900, 10, 10]
    for (const [i, size] of sizes.entries()) a.channel!.send(word(i + 1, size))
    for (let i = 11; i < 31; i++) a.channel!.send(word(i, 0))
    expect(a.hurries).toBeGreaterThan(0)
    const packets = a.flushAll()
    const lists = packets.map(({ frame: bytes }) => {
      const { content } = decodeFrame(bytes)!
      return content.kind === "messages" ? content.messages.length : content.kind
    })
    expect(lists).toEqual([4, 2, 1, "fragment", "fragment", "fragment", 8, 8, 6])
    for (const { frame: bytes } of packets) expect(bytes.length).toBeLessThan(760)
    b.take(packets)
    expect(positions(b)).toEqual(Array.from({ length: 30 }, (_, i) => i + 1))
  })

  it("of control keeps only the newest, in the frame that goes anyway", () => {
    const [a, b] = members()
    for (let i = 1; i < 9; i++) a.channel!.send({ kind: "taken", taken: i, done: 0 })
    a.channel!.send(word(1, 10))
    a.channel!.send(want(7))
    const packets = a.flushAll()
    expect(packets.length).toBe(1)
    b.take(packets)
    expect(b.got.map(({ kind }) => kind)).toEqual(["word", "taken", "want"])
    expect(b.got[1]).toEqual({ kind: "taken", taken: 8, done: 0 })
  })

  it("of control loses nothing that another asks for too", () => {
    const [a, b] = members()
    const asked = [
      { kind: "wantLane", lane: "slots", from: 7, to: 20 },
      { kind: "wantLane", lane: "slots", from: 7, to: 8 }
    ] as const
    for (const one of asked) a.channel!.send(one)
    pump(a, b)
    expect(b.got).toEqual(asked)
  })

  it("acknowledges on frames that go anyway", () => {
    const [a, b] = members()
    a.channel!.send(word(1, 100))
    expect(a.channel!.unacknowledgedBytes).toBeGreaterThan(100)
    b.take(a.flushAll())
    b.channel!.send(want(1))
    a.take(b.flushAll())
    expect(a.core.unacknowledgedBytes).toBe(0)
    expect(a.channel!.unacknowledgedBytes).toBe(0)
    b.core.tick(1)
    expect(b.flushAll()).toEqual([])
  })

  it("sends a bare acknowledgement at a tick, or past an eighth of linkBytes", () => {
    const marks = recordMarks(() => {
      const [a, b] = members(small)
      a.channel!.send(word(1, 100))
      b.take(a.flushAll())
      expect(b.flushAll()).toEqual([])
      b.core.tick(1)
      a.take(b.flushAll())
      expect(a.core.unacknowledgedBytes).toBe(0)
      a.core.tick(1)
      expect(a.flushAll(), "a bare one is not acknowledged").toEqual([])
      a.channel!.send(word(3, 1600))
      b.take(a.flushAll())
      a.take(b.flushAll())
      expect(a.core.unacknowledgedBytes).toBe(0)
    })
    expect(marks.get("link: bare acknowledgement")).toBe(2)
  })

  it("sends nothing more while too much is not acknowledged; then it goes on", () => {
    const limits = { ...small, creditBytes: 100_000 }
    const [a, b] = members(limits)
    const sent: Array<Packet> = []
    for (let i = 1; i < 12; i++) {
      a.channel!.send(word(i, 900))
      sent.push(...a.flushAll())
    }
    expect(a.core.unacknowledgedBytes).toBeLessThan(limits.linkBytes)
    b.take(sent)
    expect(positions(b).length).toBeLessThan(11)
    pump(a, b)
    b.core.tick(1)
    pump(a, b)
    expect(positions(b).length).toBe(11)
  })

  it("closes a channel whose queue is too long, and that alone", () => {
    const marks = recordMarks(() => {
      const [a, b] = members(small)
      for (let i = 1; i < 8; i++) a.channel!.send(word(i, 1900))
      expect(a.ends).toMatchObject([{ by: "us", goodbye: { code: "link_overrun" } }])
      expect(a.channel!.unacknowledgedBytes).toBe(0)
      pump(a, b)
      expect(b.ends).toMatchObject([{ by: "peer", goodbye: { code: "link_overrun" } }])
      expect(b.got, "what was queued is dropped").toEqual([])
      expect([a.core.isOpen, b.core.isOpen]).toEqual([true, true])
    })
    expect(marks.get("channel: overrun")).toBe(1)
  })

  it("says what was queued, then the goodbye, when closed on purpose", () => {
    const [a, b] = members()
    const goodbye: Goodbye = { code: "not_ready", detail: "node 1 stops" }
    a.channel!.send(word(1, 10))
    a.core.close(goodbye)
    a.channel!.send(word(2, 10))
    a.core.close({ code: "replaced", detail: "" })
    pump(a, b)
    expect(positions(b)).toEqual([1])
    for (const [side, by] of [
      [a, "us"],
      [b, "peer"]
    ] as const) {
      expect(side.core.end).toMatchObject({ by, goodbye })
      expect(side.ends).toEqual([side.core.end])
    }
    b.channel!.send(want(1))
    expect(b.flushAll()).toEqual([])
  })

  it("of a channel that is closed on purpose says what was queued, then its goodbye", () => {
    const [a, b] = members()
    a.channel!.send(word(1, 10))
    a.channel!.close({ code: "replaced", detail: "" })
    a.channel!.send(word(2, 10))
    pump(a, b)
    expect(positions(b)).toEqual([1])
    expect(b.ends).toMatchObject([{ by: "peer", goodbye: { code: "replaced" } }])
    expect([a.core.channelCount, b.core.channelCount]).toEqual([0, 0])
  })

  it("delivers nothing more once a message's receiver closed the channel", () => {
    const goodbye: Goodbye = { code: "replaced", detail: "a newer link" }
    const [a, b] = members(LIMITS, { receive: (channel) => channel.close(goodbye) })
    for (let i = 1; i < 4; i++) a.channel!.send(word(i, 10))
    b.take(a.flushAll())
    expect(b.got.length).toBe(1)
    pump(a, b)
    expect(a.ends).toMatchObject([{ by: "peer", goodbye }])
  })

  it("tells its channels that the connection broke", () => {
    const [a] = members()
    a.core.broken("connection reset")
    const end = { what: "link", by: "peer", goodbye: undefined, text: "connection reset" }
    expect(a.core.end).toEqual(end)
    expect(a.ends).toEqual([end])
    expect(a.flushAll()).toEqual([])
  })
})

describe("a silent link", () => {
  it("says that it lives, and is over when nothing comes", () => {
    const [a, b] = members()
    for (const side of [a, b]) side.core.tick(1)
    for (const side of [a, b]) side.core.tick(LIMITS.keepAliveMs)
    expect([a.flushAll(), b.flushAll()]).toEqual([[], []])
    a.core.tick(LIMITS.keepAliveMs + 1)
    const alive = a.flushAll()
    expect(kinds(alive)).toEqual(["messages"])
    b.take(alive)
    b.core.tick(LIMITS.silenceMsMax)
    b.core.tick(2 * LIMITS.silenceMsMax - 1)
    expect(b.core.isOpen, "it was heard").toBe(true)
    for (const late of [0, LIMITS.tickMs]) b.core.tick(2 * LIMITS.silenceMsMax + late)
    expect(b.core.end).toMatchObject({ by: "us", goodbye: { code: "deadline_exceeded" } })
  })
})

/** Both sides send, flush, take packets, release and tick in any order; then all is drained. */
const runSchedule = (prng: Prng): void => {
  const sides = members(small)
  const wires: [Array<Packet>, Array<Packet>] = [[], []]
  const next = [1, 1]
  let nowMs = 1
  const step = (me: 0 | 1): void => {
    const side = sides[me]
    const peer = sides[1 - me]!
    switch (prng.below(5)) {
      case 0:
        for (let i = prng.below(20); i > 0 && side.channel!.unacknowledgedBytes < 8000; i--) {
          side.channel!.send(word(next[me]!++, prng.pick([0, 10, 80, 600, 1900])))
        }
        return
      case 1: {
        const bytes = side.core.flush()
        if (bytes !== undefined) wires[me].push(bytes)
        return
      }
      case 2:
        if (prng.chance(300)) side.core.tick(nowMs++)
        return
      case 3:
        return side.release()
      default: {
        const bytes = wires[me].shift()
        if (bytes !== undefined) peer.core.take(bytes)
        expect(peer.core.end).toBeUndefined()
      }
    }
  }
  for (let i = 0; i < 400; i++) step(prng.below(2) as 0 | 1)
  const [a, b] = sides
  b.take(wires[0])
  a.take(wires[1])
  for (let i = 0; i < 40; i++) {
    pump(a, b)
    for (const side of sides) side.release()
    for (const side of sides) side.core.tick(nowMs++)
  }
  sides.forEach((side, me) => {
    expect(positions(sides[1 - me]!)).toEqual(
      Array.from({ length: next[me]! - 1 }, (_, i) => i + 1)
    )
    expect(side.core.unacknowledgedBytes).toBe(0)
    expect(side.channel!.unacknowledgedBytes).toBe(0)
    expect(side.flushAll()).toEqual([])
  })
}
