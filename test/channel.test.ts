/** What channels of one link owe each other: credit of their own, and turns. */
import { describe, expect, it } from "vitest"
import { recordMarks } from "../src/base/mark.ts"
import {
  helloOf,
  members,
  messages,
  opened,
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

describe("credit", () => {
  it("ends what goes, but for control, until the receiver has worked it off", () => {
    const [a, b] = members(small)
    for (let i = 1; i < 10; i++) a.channel!.send(word(i, 900))
    pump(a, b)
    const first = positions(b).length
    expect(first).toBeLessThan(9)
    a.channel!.send(want(3))
    pump(a, b)
    expect(b.got.at(-1), "control passes").toEqual(want(3))
    b.release()
    pump(a, b)
    expect(positions(b)).toEqual(Array.from({ length: 9 }, (_, i) => i + 1))
  })

  it("needs no control, of which a frame has as much as it can hold", () => {
    const [a, b] = members(small)
    const asks = Array.from({ length: 150 }, (_, i) => {
      return {
        kind: "wantLane",
        lane: "abcdefghijklmnopqrst",
        from: 2 ** 50 + i,
        to: 2 ** 51
      } as const
    })
    a.channel!.send(word(1, 500))
    for (const ask of asks) a.channel!.send(ask)
    pump(a, b)
    expect(b.core.end).toBeUndefined()
    expect(b.got.filter(({ kind }) => kind === "wantLane")).toEqual(asks)
    expect(positions(b)).toEqual([1])
  })

  it("is kept per channel: a group that stands still delays no other", () => {
    const stuck = new Side({ hello: helloOf(2, { group: "h" }) })
    const [a, b] = pairOf(
      { hello: helloOf(1), limits: small },
      {
        hello: helloOf(2),
        limits: small,
        receive: (channel) => channel.release(),
        offered: ({ group }) => (group === "h" ? stuck.port : undefined)
      }
    )
    const other = new Side({ hello: helloOf(1, { group: "h" }) })
    a.core.open(other.port)
    pump(a, b)
    for (let i = 1; i < 11; i++) other.channel!.send(word(i, 900))
    for (let i = 1; i < 30; i++) {
      a.channel!.send(word(i, 900))
      pump(a, b)
    }
    expect(positions(stuck).length).toBeLessThan(10)
    expect(positions(b).length).toBe(29)
  })

  it("drops replies that a client does not read, and closes no link for it", () => {
    const marks = recordMarks(() => {
      const [client, node] = pairOf(
        { hello: helloOf(0), limits: small },
        { hello: helloOf(1), limits: small }
      )
      const session = "s".repeat(22)
      for (let index = 1; index < 60; index++) {
        node.channel!.send({ kind: "reply", session, index, body: new Uint8Array(900) })
      }
      expect(node.channel!.unacknowledgedBytes).toBeLessThan(2 * small.creditBytes + 2000)
      for (let i = 0; i < 9; i++) {
        pump(client, node)
        client.release()
        client.core.tick(i)
      }
      expect(client.got.length).toBeGreaterThan(9)
      expect(client.got.length).toBeLessThan(20)
      expect([client.ends, node.ends]).toEqual([[], []])
    })
    expect(marks.get("channel: reply dropped")).toBeGreaterThan(30)
  })

  it("is a fault to exceed", () => {
    const side = opened(small)
    let cut = 0
    for (let i = 3; i < 12 && !side.core.isClosed; i++) {
      side.core.take(packet(i, messages(word(i, 1900))))
      cut = i
    }
    expect(cut).toBe(5)
    expect(side.core.end?.goodbye?.detail).toContain("where 4800 were granted")
  })
})

describe("channels of a link", () => {
  it("take turns: a small one passes between the fragments of another", () => {
    const second = new Side({ hello: helloOf(2, { group: "h" }) })
    const [a, b] = pairOf(
      { hello: helloOf(1), limits: small },
      {
        hello: helloOf(2),
        limits: small,
        offered: ({ group }) => (group === "h" ? second.port : undefined)
      }
    )
    const other = new Side({ hello: helloOf(1, { group: "h" }) })
    a.core.open(other.port)
    pump(a, b)
    a.channel!.send(word(1, 1900))
    other.channel!.send(word(1, 10))
    a.channel!.send(want(1))
    const sent = a.contents().map((c) => [c.kind, "channel" in c ? c.channel : 0])
    expect(sent).toEqual([
      ["messages", 1],
      ["messages", 2],
      ["fragment", 1],
      ["fragment", 1],
      ["fragment", 1]
    ])
  })
})

describe("a channel that is displaced before its answer was said", () => {
  it("says why, nothing else, and the link lives on", () => {
    const b = new Side({ hello: helloOf(2) })
    const a = new Side({ hello: helloOf(1), handshake: plainDialer() })
    pump(a, b)
    a.core.open(a.port)
    b.take(a.flushAll())
    b.channel!.send(want(1))
    b.channel!.close({ code: "replaced", detail: "a newer one" })
    pump(a, b)
    expect([a.core.isOpen, b.core.isOpen]).toEqual([true, true])
    expect(a.ends.map((end) => end.goodbye?.code)).toEqual(["replaced"])
    expect(a.got).toEqual([])
  })
})
