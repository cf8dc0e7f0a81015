/** Links of unary calls: order out of disorder, and breaks that heal. */
import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import type { Channel } from "../src/link/channel.ts"
import type { LinkStrength } from "../src/link/linkHello.ts"
import type { LinkCall } from "../src/link/unaryCall.ts"
import { type Message, methodId } from "../src/server/Message.ts"
import { accepting, dialing } from "./support/handshakes.ts"
import { positions, want, word } from "./support/link.ts"
import { PHASE, UnaryNet, type UnaryNetOptions } from "./support/unaryNet.ts"

const method = methodId(PHASE)
const wordOf = (position: number, length = 10): Message =>
  ({ ...word(position, length), method }) as Message
const upTo = (n: number): ReadonlyArray<number> => Array.from({ length: n }, (_, i) => i + 1)

const open = (options: UnaryNetOptions = {}, seed = 7): UnaryNet => {
  const net = new UnaryNet(new Prng(seed), options)
  net.settle()
  return net
}
const proven = (strength: LinkStrength): UnaryNetOptions =>
  strength === "plaintext" ? {} : { dialer: () => dialing({ strength }), acceptor: accepting }
const kinds = (net: UnaryNet): ReadonlyArray<string> =>
  net.made.map(({ headers }) => `${headers["quorate-from"]} ${headers["quorate-call"]}`)

describe.each(["plaintext", "authenticated", "encrypted"] as const)("a %s link", (strength) => {
  it("opens with the handshake as calls of the side that dials, then both call", () => {
    const net = open(proven(strength))
    const shakes = strength === "plaintext" ? ["1 shake"] : ["1 shake", "1 shake"]
    expect(kinds(net).toSorted()).toEqual([...shakes, "1 tell", "2 tell"].toSorted())
    expect(net.hosts.map(({ opened }) => opened.map(({ node }) => node))).toEqual([[2], [1]])
  })

  it("says a word as a call of its method, and nothing else where it is answered", () => {
    const net = open(proven(strength))
    net.made.splice(0)
    net.dialer.channel!.send(wordOf(1, 2000))
    net.pass(500)
    expect(positions(net.acceptor)).toEqual([1])
    expect(net.made.length, "the answer acknowledges").toBe(1)
    const [call] = net.made
    if (strength === "encrypted") expect(call!.method).toBe("quorate.v1.Peer/Tell")
    else {
      expect(call!.method).toBe(PHASE)
      expect(call!.body).toEqual(new Uint8Array(2000))
      const auth = call!.headers["quorate-auth"]
      expect(auth === undefined).toBe(strength === "plaintext")
    }
    expect(net.dialer.channel!.unacknowledgedBytes).toBe(0)
  })

  it("keeps order, and gives each message once, under every schedule", () => {
    const marks = recordMarks(() =>
      fc.assert(
        fc.property(fc.integer(), (seed) => runSchedule(seed, strength)),
        { numRuns: 40 }
      )
    )
    for (const it of ["unary link: out of order", "unary link: twice"]) {
      expect(marks.get(it), it).toBeGreaterThan(0)
    }
  })
})

/**
 * Words both ways while calls arrive in any order, some twice, some never, or after their caller
 * has given up. The words of each channel are numbered from 1.
 */
const runSchedule = (seed: number, strength: LinkStrength): void => {
  const prng = new Prng(seed)
  const net = new UnaryNet(prng, proven(strength))
  const said = new Map<Channel, number>()
  for (let step = 0; step < 300; step++) {
    const { channel } = net.hosts[prng.below(2)]!
    if (channel?.isOpen === true && prng.chance(300)) {
      for (let i = prng.below(9); i > 0 && channel.unacknowledgedBytes < 20_000; i--) {
        const next = (said.get(channel) ?? 0) + 1
        said.set(channel, next)
        channel.send(wordOf(next, prng.pick([0, 10, 700, 3000])))
      }
    }
    net.turn()
    if (net.moving.length > 0) chance(net, prng)
    if (prng.chance(100)) {
      net.nowMs += net.limits.tickMs
      for (const { links } of net.hosts) links.tick()
    }
    for (const { channel: open } of net.hosts) open?.release()
  }
  checkOrder(net)
  net.pass(12_000)
  expect(net.hosts.map(({ channel }) => channel?.isOpen)).toEqual([true, true])
  checkHealed(net)
  checkOrder(net)
}

const chance = (net: UnaryNet, prng: Prng): void => {
  const at = prng.below(net.moving.length)
  const it = net.moving[at]!
  if (prng.chance(20)) {
    net.moving.splice(at, 1)
    // Lost, or delivered after its caller has given up.
    it.lose()
    if (prng.chance(500)) it.run(net)
    net.turn()
  } else {
    if (it.reply === undefined && prng.chance(50)) it.run(net)
    net.move(at)
  }
}

/** What came on a channel is what was said on it, up to where it broke. */
const checkOrder = (net: UnaryNet): void => {
  for (const { heard } of net.hosts) {
    for (const [, positions] of heard) expect(positions).toEqual(upTo(positions.length))
  }
}

/** On a new channel all arrives. */
const checkHealed = (net: UnaryNet): void => {
  for (const { unary } of net.hosts) for (const link of unary.values()) link.fail("cut")
  net.pass(3_000)
  for (const { channel } of net.hosts) for (const i of upTo(100)) channel!.send(wordOf(i))
  net.pass(1_000)
  for (const { channel, heard } of net.hosts) {
    expect(heard.get(channel!)).toEqual(upTo(100))
    expect(channel!.unacknowledgedBytes).toBe(0)
  }
}

describe("a link of calls", () => {
  it("has at most unaryInFlight calls that are not answered", () => {
    const net = open()
    net.made.splice(0)
    for (const i of upTo(200)) net.dialer.channel!.send(wordOf(i))
    net.turn()
    expect(net.made.length).toBe(LIMITS.unaryInFlight)
    net.settle()
    expect(positions(net.acceptor)).toEqual(upTo(200))
  })

  it("is answered only when what came before has come", () => {
    const net = open()
    for (const i of upTo(3)) net.dialer.channel!.send(wordOf(i))
    net.turn()
    net.move(2)
    net.move(1)
    expect([net.moving.length, positions(net.acceptor)]).toEqual([1, []])
    net.move(0)
    expect([net.moving.length, positions(net.acceptor)]).toEqual([3, [1, 2, 3]])
  })

  it("keeps at most linkBytes of calls before their turn", () => {
    const net = open({ limits: { linkBytes: 6_000_000 } })
    for (const i of upTo(60)) net.dialer.channel!.send(wordOf(i, 30_000))
    net.turn()
    const link = [...net.acceptor.unary.values()][0]!
    const codes = new Set<string | undefined>()
    const body = new Uint8Array(1_000_000)
    for (const { call } of net.moving.slice(1)) {
      link.take({ ...call, body }, ({ code }) => codes.add(code))
    }
    expect([...codes]).toEqual(["overloaded"])
  })

  it("answers a call that comes again, and hands on nothing; before its turn the newer one", () => {
    const net = open()
    for (const i of upTo(2)) net.dialer.channel!.send(wordOf(i))
    net.turn()
    const [first, second] = net.moving.map(({ call }) => call)
    const link = [...net.acceptor.unary.values()][0]!
    const told: Array<string> = []
    const take = (call: LinkCall, name: string): void =>
      link.take(call, ({ code = "done" }) => told.push(`${name} ${code}`))
    take(second!, "second")
    take(second!, "second again")
    take(first!, "first")
    take(first!, "first again")
    take(second!, "second at last")
    expect(told).toEqual([
      "second replaced",
      "first done",
      "second again done",
      "first again done",
      "second at last done"
    ])
    expect(positions(net.acceptor)).toEqual([1, 2])
  })

  it("breaks when a call fails, is dialled again, and the other side hears of it soon", () => {
    const net = open()
    net.acceptor.channel!.send(want(1))
    net.turn()
    net.moving.shift()!.lose()
    expect(net.acceptor.ends.map(({ text }) => text)).toEqual(["a call failed: lost"])
    expect(net.dialer.ends).toEqual([])
    net.pass(2 * LIMITS.unaryKeepAliveMs)
    expect(net.dialer.ends.length).toBe(1)
    expect(net.hosts.map(({ opened }) => opened.length)).toEqual([2, 2])
  })

  it("tells why it ends, after what was said before", () => {
    const net = open()
    net.dialer.channel!.send(wordOf(1))
    net.dialer.links.close({ code: "not_ready", detail: "the node stops" })
    net.settle()
    expect(positions(net.acceptor)).toEqual([1])
    expect(net.acceptor.ends.map(({ text }) => text)).toEqual(["not_ready: the node stops"])
    net.settle()
    expect(net.hosts.map(({ unary }) => unary.size)).toEqual([0, 0])
  })

  it("carries a refused handshake's reason in its answer", () => {
    const net = open({ dialer: () => dialing({ strength: "authenticated" }) })
    expect(kinds(net)).toEqual(["1 shake"])
    expect(net.broke.some((text) => text.startsWith("unauthenticated"))).toBe(true)
  })

  it("is refused with a reason before there is any handshake", () => {
    const net = open({ refusal: { code: "wrong_group", detail: "this is another group" } })
    expect(net.broke).toEqual(["wrong_group: this is another group"])
    net.pass(LIMITS.redialMsMax)
    expect(net.made.length, "and is dialled ever more seldom").toBeLessThan(4)
  })

  it("refuses, and lives on, what comes far too early, and what is no frame", () => {
    const net = open()
    const link = [...net.acceptor.unary.values()][0]!
    const replies: Array<string | undefined> = []
    net.dialer.channel!.send(wordOf(1))
    net.turn()
    const { call } = net.moving[0]!
    const take = (headers: Record<string, string>): void =>
      link.take({ ...call, headers: { ...call.headers, ...headers } }, ({ code }) =>
        replies.push(code)
      )
    take({ "quorate-sequence": "1000" })
    for (const header of ["sequence", "position", "index", "lane", "channel", "credit", "auth"]) {
      take({ [`quorate-${header}`]: "-1" })
    }
    expect(replies).toEqual(["overloaded", ...Array(7).fill("malformed")])
    net.settle()
    expect(positions(net.acceptor)).toEqual([1])
  })

  it("is cut when a call was changed on its way", () => {
    for (const [header, value] of [
      ["position", "9"],
      ["index", "7"],
      ["lane", "other"],
      ["round", "1"],
      ["acknowledged", "1"],
      ["author", "1"],
      ["channel", "2"],
      ["credit", "4000000"],
      ["auth", "00".repeat(16)],
      ["body", ""]
    ] as const) {
      const net = open(proven("authenticated"))
      net.dialer.channel!.send(wordOf(1))
      net.turn()
      const { call } = net.moving.shift()!
      const link = [...net.acceptor.unary.values()][0]!
      const headers = header === "body" ? {} : { [`quorate-${header}`]: value }
      const body = header === "body" ? new Uint8Array(11) : call.body
      link.take({ ...call, body, headers: { ...call.headers, ...headers } }, () => {})
      expect(positions(net.acceptor), header).toEqual([])
      expect(net.acceptor.ends.map(({ goodbye }) => goodbye?.code)).toEqual(["altered"])
    }
  })
})
