/**
 * Two hosts, each with one group's channel, and a link of unary calls between them. Calls and
 * answers wait until the test moves them, in any order, twice, late, or never.
 */
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { Prng } from "../../src/base/prng.ts"
import type { Channel } from "../../src/link/channel.ts"
import type { Goodbye } from "../../src/link/goodbye.ts"
import type { Handshake } from "../../src/link/handshake.ts"
import { HostLinks, type Keep } from "../../src/link/hostLinks.ts"
import type { Connection, ConnectionEvents } from "../../src/link/ports.ts"
import type { LinkCall, UnaryEnds } from "../../src/link/unaryCall.ts"
import { type LinkReply, UnaryLink } from "../../src/link/unaryLink.ts"
import { methodId } from "../../src/server/Message.ts"
import { helloOf, Owner, plainAcceptor, plainDialer } from "./link.ts"

export const PHASE = "rb.v1.ReliableBroadcast/Echo"

/** A call, or its answer, on its way. */
interface Moving {
  readonly call: LinkCall
  /** Absent: it is the call. */
  readonly reply?: LinkReply
  readonly run: (net: UnaryNet) => void
  /** Its caller hears that it failed. */
  readonly lose: () => void
}

export interface UnaryNetOptions {
  readonly limits?: Partial<Limits>
  readonly dialer?: () => Handshake
  readonly acceptor?: () => Handshake
  /** Of the first call. */
  readonly refusal?: Goodbye
}

/** A host: node 1, which dials, or node 2. */
export class Host extends Owner {
  readonly links: HostLinks
  readonly node: number
  /** Of calls, by link. */
  readonly unary = new Map<string, UnaryLink>()
  /** Positions of words. */
  readonly heard = new Map<Channel, ReadonlyArray<number>>()
  keep: Keep | undefined
  constructor(net: UnaryNet, node: number) {
    super({
      hello: helloOf(node),
      receive: (channel, message) => {
        if (message.kind !== "word") return
        const heard = this.heard.get(channel) ?? []
        this.heard.set(channel, [...heard, message.position])
      }
    })
    this.node = node
    this.links = new HostLinks({
      limits: net.limits,
      clock: { nowMs: () => net.nowMs },
      random: (below) => net.prng.below(below),
      dial: (_, events, unary) => net.dial(this, events, unary!),
      accepting: () => net.options.acceptor?.() ?? plainAcceptor(),
      wake: () => {},
      broke: (_, end) => net.broke.push(end.text)
    })
  }
}

export class UnaryNet {
  nowMs = 1_000
  readonly limits: Limits
  readonly prng: Prng
  readonly options: UnaryNetOptions
  readonly broke: Array<string> = []
  moving: Array<Moving> = []
  readonly made: Array<LinkCall> = []
  readonly laters: Array<() => void> = []
  readonly dialer: Host
  readonly acceptor: Host
  private linkCount = 0

  constructor(prng: Prng, options: UnaryNetOptions = {}) {
    this.prng = prng
    this.options = options
    this.limits = { ...LIMITS, ...options.limits }
    this.dialer = new Host(this, 1)
    this.acceptor = new Host(this, 2)
    this.acceptor.links.offer("g", this.acceptor.port)
    this.dialer.keep = this.dialer.links.keep(
      {
        name: "2",
        address: "2",
        unary: { group: "g", from: 1, to: 2 },
        handshake: () => options.dialer?.() ?? plainDialer()
      },
      { ...this.dialer.port, failed: () => {} }
    )
  }

  get hosts(): readonly [Host, Host] {
    return [this.dialer, this.acceptor]
  }

  dial(host: Host, events: ConnectionEvents, unary: UnaryEnds): Connection {
    const link = (++this.linkCount).toString(16).padStart(32, "0")
    return this.linkOf(host, { ...unary, link }, events)
  }

  private linkOf(
    host: Host,
    way: UnaryEnds & { readonly link: string },
    events?: ConnectionEvents
  ): UnaryLink {
    const link: UnaryLink = new UnaryLink({
      limits: this.limits,
      remote: `node ${way.to}`,
      way,
      dialled: way.from === 1,
      methodName: (method) => (method === methodId(PHASE) ? PHASE : undefined),
      call: (call, done) => this.call(this.hosts[way.to - 1]!, call, done),
      later: (run) => this.laters.push(run),
      ended: () => void host.unary.delete(way.link)
    })
    link.events = events
    host.unary.set(way.link, link)
    return link
  }

  private call(to: Host, call: LinkCall, done: (reply: LinkReply) => void): void {
    this.made.push(call)
    let over = false
    const end = (reply: LinkReply): void => {
      if (over) return
      over = true
      done(reply)
    }
    const lose = (): void =>
      end({ body: new Uint8Array(0), code: "unavailable", detail: "lost", lost: true })
    const run = (): void =>
      this.deliver(to, call, (reply) => {
        this.moving.push({ call, reply, run: () => end(reply), lose })
      })
    this.moving.push({ call, run, lose })
  }

  private deliver(to: Host, call: LinkCall, answer: (reply: LinkReply) => void): void {
    const id = call.headers["quorate-link"]!
    const link = to.unary.get(id) ?? this.accept(to, id, call)
    if (link !== undefined) return link.take(call, answer)
    const { refusal = { code: "not_ready", detail: "no such link" } } = this.options
    answer({ body: new Uint8Array(0), ...refusal })
  }

  private accept(to: Host, link: string, { headers }: LinkCall): UnaryLink | undefined {
    if (this.options.refusal !== undefined) return undefined
    if (headers["quorate-call"] !== "shake" || headers["quorate-sequence"] !== "1") return undefined
    const made = this.linkOf(to, { link, group: headers["quorate-group"]!, from: 2, to: 1 })
    made.events = to.links.accept(made)
    return made
  }

  /** What was said in this turn leaves. */
  turn(): void {
    for (const host of this.hosts) host.links.flush()
    for (const run of this.laters.splice(0)) run()
  }

  /** One of what is on its way arrives. */
  move(at = this.prng.below(this.moving.length)): void {
    const [it] = this.moving.splice(at, 1)
    it?.run(this)
    this.turn()
  }

  /** Everything arrives, in any order, with what follows from it. */
  settle(): void {
    this.turn()
    while (this.moving.length > 0) this.move()
  }

  /** Time passes by ticks; all that is said arrives. */
  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs += this.limits.tickMs
      for (const { links } of this.hosts) links.tick()
      this.settle()
    }
  }
}
