import { describe, expect, it } from "vitest"
import type { ErrorCode } from "../src/base/errorCode.ts"
import { LIMITS, type Limits } from "../src/base/limits.ts"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import type { Goodbye } from "../src/link/goodbye.ts"
import { HostLinks, type Keep, type Target } from "../src/link/hostLinks.ts"
import type { Connection, ConnectionEvents, Packet } from "../src/link/ports.ts"
import { helloOf, Owner, plainAcceptor, plainDialer, positions, word } from "./support/link.ts"

/** One end of a connection. What is sent waits until the world moves. */
class End implements Connection {
  readonly remote: string
  backlogBytes = 0
  readonly sent: Array<Packet> = []
  events: ConnectionEvents | undefined
  other: End | undefined
  closed = false
  constructor(remote: string) {
    this.remote = remote
  }
  send(packet: Packet): void {
    if (!this.closed) this.sent.push(packet)
  }
  trust(): void {}
  close(): void {
    this.closed = true
  }
  /** What was sent up to now comes. */
  deliver(): void {
    for (const packet of this.sent.splice(0)) this.other!.events!.packet(packet)
  }
}

/** Hosts by name, a clock that is moved by hand, and connections that are. */
class World {
  nowMs = 1_000
  readonly hosts = new Map<string, HostLinks>()
  readonly broke: Array<string> = []
  /** Dials, by when and from whom. */
  readonly dials: Array<readonly [number, string]> = []
  ends: Array<End> = []
  private readonly prng = new Prng(3)
  readonly limits: Limits
  constructor(limits: Partial<Limits> = {}) {
    this.limits = { ...LIMITS, ...limits }
  }
  host(name: string): HostLinks {
    const host = new HostLinks({
      limits: this.limits,
      clock: { nowMs: () => this.nowMs },
      random: (below) => this.prng.below(below),
      dial: (address, events) => this.dial(name, address, events),
      accepting: plainAcceptor,
      wake: () => {},
      broke: (_, end, wasOpen) => this.broke.push(`${wasOpen ? "open" : "opening"}: ${end.text}`)
    })
    this.hosts.set(name, host)
    return host
  }
  private dial(from: string, address: string, events: ConnectionEvents): Connection {
    this.dials.push([this.nowMs, from])
    const near = new End(address)
    near.events = events
    this.ends.push(near)
    const listener = this.hosts.get(address)
    if (listener === undefined) return near
    const far = new End(from)
    near.other = far
    far.other = near
    this.ends.push(far)
    far.events = listener.accept(far)
    return near
  }
  /** All that was said arrives, and what is said in return. */
  settle(): void {
    for (let moved = true; moved; ) {
      moved = false
      for (const host of this.hosts.values()) host.flush()
      for (const end of [...this.ends]) moved = this.move(end) || moved
    }
  }
  private move(end: End): boolean {
    const packets = end.sent.splice(0)
    for (const packet of packets) end.other?.events?.packet(packet)
    const over = end.closed || end.other === undefined
    if (!over || !this.ends.includes(end)) return packets.length > 0
    this.ends = this.ends.filter((it) => it !== end && it !== end.other)
    end.events?.closed(end.closed ? "closed by this side" : "connection refused")
    end.other?.events?.closed("closed by the other side")
    return true
  }
  /** Breaks every connection. */
  cut(): void {
    const ends = this.ends.splice(0)
    for (const end of ends) end.events?.closed("connection reset")
  }
  pass(ms: number): void {
    for (const until = this.nowMs + ms; this.nowMs < until; ) {
      this.nowMs += this.limits.tickMs
      for (const host of this.hosts.values()) host.tick()
      this.settle()
    }
  }
}

const target = (address: string): Target => ({ name: address, address, handshake: plainDialer })

class Member extends Owner {
  readonly failures: Array<string> = []
  keep: Keep | undefined
  readonly links: HostLinks
  constructor(links: HostLinks, node: number, group = "g", check?: () => Goodbye | undefined) {
    super({ hello: helloOf(node, { group }), ...(check && { check }) })
    this.links = links
  }
  dials(address: string): this {
    const failed = (end: { readonly text: string }) => void this.failures.push(end.text)
    this.keep = this.links.keep(target(address), { ...this.port, failed })
    return this
  }
  offers(): this {
    this.links.offer(this.port.hello().group, this.port)
    return this
  }
}

/** Two hosts, of which a dials b for one group. */
const two = (limits: Partial<Limits> = {}, check?: () => Goodbye | undefined) => {
  const world = new World(limits)
  const [hostA, hostB] = [world.host("a"), world.host("b")]
  const b = new Member(hostB, 2, "g", check).offers()
  const a = new Member(hostA, 1).dials("b")
  world.settle()
  return { world, hostA, hostB, a, b }
}

describe("the links of a host", () => {
  it("are shared by its groups: one link, a channel each", () => {
    const { world, hostA, hostB, a, b } = two()
    const second = new Member(hostB, 7, "h").offers()
    const other = new Member(hostA, 5, "h").dials("b")
    world.settle()
    expect([a, b, second, other].map((it) => it.opened.length)).toEqual([1, 1, 1, 1])
    expect(hostA.size).toEqual({ links: 1, channels: 2, lines: 1 })
    other.channel!.send(word(1, 10))
    world.settle()
    expect([positions(second), positions(b)]).toEqual([[1], []])
  })

  it("open a group that came later, once it is there", () => {
    const { world, hostA, hostB } = two()
    const early = new Member(hostA, 5, "h").dials("b")
    world.settle()
    expect(early.ends.map((end) => end.goodbye?.code)).toEqual(["not_ready"])
    world.pass(LIMITS.helloTimeoutMs + LIMITS.redialMsMax)
    expect(early.ends.at(-1)?.goodbye?.code).toBe("wrong_group")
    new Member(hostB, 7, "h").offers()
    world.pass(LIMITS.redialRefusedMsMax)
    expect(early.opened.length).toBe(1)
    expect(world.dials.length, "over the link there is").toBe(1)
  })

  it("tell epochs of a group apart by their digests", () => {
    const world = new World()
    const [hostA, hostB] = [world.host("a"), world.host("b")]
    const digest = (fill: number) => ({ groupDigest: new Uint8Array(32).fill(fill) })
    const [first, second] = [2, 3].map((fill) => {
      const owner = new Owner({ hello: helloOf(2, digest(fill)) })
      hostB.offer("g", owner.port)
      return owner
    })
    const late = new Owner({ hello: helloOf(1, digest(3)) })
    hostA.keep(target("b"), { ...late.port, failed: () => {} })
    world.settle()
    expect([first!.opened.length, second!.opened.length, late.opened.length]).toEqual([0, 1, 1])
  })

  it("are dialled while somebody wants them, and no longer", () => {
    const { world, hostA, a } = two()
    a.keep!.close({ code: "cancelled", detail: "" })
    world.pass(2 * LIMITS.helloTimeoutMs)
    expect(hostA.size).toEqual({ links: 0, channels: 0, lines: 0 })
    expect(world.dials.length).toBe(1)
  })
})

describe("a link that broke", () => {
  it("is dialled again, its channels open anew, and nothing else is lost", () => {
    const { world, a, b } = two()
    world.cut()
    expect([a, b].map((it) => it.ends.map((end) => end.text))).toEqual([
      ["connection reset"],
      ["connection reset"]
    ])
    world.pass(100)
    expect([a.opened.length, b.opened.length]).toEqual([2, 2])
  })

  it("is dialled ever more seldom while nobody listens, and who waits is told", () => {
    const world = new World()
    const a = new Member(world.host("a"), 1).dials("b")
    world.pass(10_000)
    expect(new Set(a.failures)).toEqual(new Set(["connection refused"]))
    const waits = world.dials.slice(1).map(([ms], i) => ms - world.dials[i]![0])
    expect(Math.max(...waits.slice(0, 1))).toBeLessThanOrEqual(100)
    for (const wait of waits.slice(-5)) expect(wait).toBeGreaterThanOrEqual(500)
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(LIMITS.redialMsMax + 50)
  })

  it.each<[ErrorCode, number]>([
    ["wrong_group", LIMITS.redialRefusedMsMax],
    ["overloaded", LIMITS.redialMsMax]
  ])("is opened ever more seldom where it is refused: %s", (code, mostMs) => {
    const { world, a } = two({}, () => ({ code, detail: "why" }))
    const at: Array<number> = []
    for (let seen = 1; at.length < 8; world.pass(50)) {
      if (a.ends.length === seen) continue
      seen = a.ends.length
      at.push(world.nowMs)
    }
    const waits = at.slice(1).map((ms, i) => ms - at[i]!)
    for (const wait of waits.slice(-2)) expect(wait).toBeGreaterThanOrEqual(mostMs / 2)
    for (const wait of waits) expect(wait).toBeLessThanOrEqual(mostMs + 100)
  })
})

describe("a link that wears out", () => {
  it.each<[string, Partial<Limits>]>([
    ["of age", { linkAgeMsMax: 5_000 }],
    ["by bytes", { streamBytesMax: 4_000 }]
  ])("%s is replaced before it ends, and its channels never miss one", (_, limits) => {
    const marks = recordMarks(() => {
      const { world, hostA, a, b } = two(limits)
      const first = a.channel
      for (let i = 1; i <= 80; i++) {
        a.channel!.send(word(i, 100))
        world.pass(100)
        b.channel?.release()
      }
      expect(a.channel).not.toBe(first)
      expect(positions(b)).toEqual(Array.from({ length: 80 }, (_, i) => i + 1))
      for (const end of a.ends) expect(end.goodbye?.code).toBe("replaced")
      expect(hostA.size.links).toBe(1)
    })
    expect(marks.get("links: handed over")).toBeGreaterThan(0)
  })

  it("by word of the other side is replaced while it lives on", () => {
    const { world, a, b } = two()
    world.ends[0]!.events!.leaving("the other side takes no new streams")
    world.settle()
    expect([a.opened.length, b.opened.length]).toEqual([2, 2])
    expect(a.ends.map((end) => end.goodbye?.code)).toEqual(["replaced"])
    world.pass(LIMITS.helloTimeoutMs + 100)
    expect([...world.hosts.values()].map(({ size }) => size.links)).toEqual([1, 1])
  })

  it("by such a word is replaced as soon as somebody takes the new one", () => {
    const { world, hostB, a } = two()
    world.hosts.delete("b")
    world.ends[0]!.events!.leaving("the other side takes no new streams")
    world.pass(1_000)
    world.hosts.set("b", hostB)
    world.pass(2_000)
    expect(a.opened.length).toBe(2)
  })

  it("opens each channel once, also where the old one ends before the new one is answered", () => {
    const { world, hostA, hostB, a, b } = two()
    const [near, far] = world.ends
    const displaced = b.channel
    near!.events!.leaving("the other side takes no new streams")
    const newNear = world.ends[2]!
    // The links shake hands, and the channel is opened on the new one.
    for (const [end, host] of [
      [newNear, hostB],
      [newNear.other!, hostA],
      [newNear, hostB]
    ] as const) {
      end.deliver()
      host.flush()
    }
    displaced!.close({ code: "replaced", detail: "as nodes do" })
    hostB.flush()
    far!.deliver()
    expect(a.ends.map((end) => end.goodbye?.code)).toEqual(["replaced"])
    world.pass(1_000)
    expect([a.opened.length, b.opened.length, b.ends.length]).toEqual([2, 2, 1])
  })

  it("is used, and replaced again, as long as its group is refused on the new one", () => {
    let refused: Goodbye | undefined
    const { world, hostA, a, b } = two({ linkAgeMsMax: 5_000 }, () => refused)
    refused = { code: "overloaded", detail: "1 client is connected" }
    world.pass(30_000)
    expect([a.opened.length, a.channel!.isOpen, b.channel!.isOpen]).toEqual([1, true, true])
    expect(hostA.size.links).toBeLessThanOrEqual(2)
    refused = undefined
    world.pass(2 * LIMITS.helloTimeoutMs)
    expect(a.opened.length).toBeGreaterThan(1)
  })

  it("is not replaced where nobody wants it any more", () => {
    const { world, a } = two()
    a.keep!.close({ code: "cancelled", detail: "" })
    world.ends[0]!.events!.leaving("the other side takes no new streams")
    world.settle()
    expect(world.dials.length).toBe(1)
  })

  it("is replaced with pauses, where each new one is sent away at once", () => {
    const { world, a } = two()
    for (let ms = 0; ms < 10_000; ms += 50) {
      for (const end of world.ends) if (end.remote === "b") end.events!.leaving("come back later")
      world.pass(50)
    }
    expect(a.channel!.isOpen).toBe(true)
    expect(world.dials.length).toBeGreaterThan(5)
    expect(world.dials.length).toBeLessThan(13)
  })

  it("stays where the new one is not taken", () => {
    const { world, hostA, a } = two({ linkAgeMsMax: 5_000 })
    world.hosts.delete("b")
    world.pass(8_000)
    expect(a.channel!.isOpen).toBe(true)
    expect(hostA.size.channels).toBe(1)
    const dials = world.dials.length
    expect(dials).toBeGreaterThan(2)
    expect(dials, "with pauses in between").toBeLessThan(15)
  })
})

describe("what nobody needs", () => {
  it("ends: a link that does not open in time, and one on which no group opens", () => {
    const world = new World()
    const links = world.host("b")
    const [mute, idle] = [new End("x"), new End("y")]
    const events = [mute, idle].map((end) => links.accept(end))
    const dialer = plainDialer().start()!
    void dialer
    events[1]!.packet(openingOf())
    world.pass(LIMITS.helloTimeoutMs + 50)
    expect(world.broke).toEqual([
      "opening: deadline_exceeded: it did not open in time",
      "open: replaced: no group opened on it in time"
    ])
    expect(links.size.links).toBe(0)
  })

  it("is refused by a host that stops, with the reason", () => {
    const { world, hostB, a } = two()
    hostB.close({ code: "not_ready", detail: "the node stops" })
    world.settle()
    expect(a.ends.map((end) => end.text)).toEqual(["not_ready: the node stops"])
    world.pass(1_000)
    expect(a.opened.length).toBe(1)
  })
})

const openingOf = (): Packet => {
  const ends: Array<End> = []
  const links = new HostLinks({
    limits: LIMITS,
    clock: { nowMs: () => 1 },
    random: () => 0,
    dial: (address) => {
      ends.push(new End(address))
      return ends[0]!
    },
    wake: () => {},
    broke: () => {}
  })
  new Member(links, 1).dials("b")
  return ends[0]!.sent[0]!
}
