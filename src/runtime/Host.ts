/**
 * A process: the links to other hosts and the turns in which it works. The nodes of all its groups
 * share both, so that none of them delays the others by more than its share of a turn.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import type { LinkEnd } from "../link/channel.ts"
import type { Goodbye } from "../link/goodbye.ts"
import { HostLinks, isHealthy } from "../link/hostLinks.ts"
import type { Clock, Connection, ConnectionEvents, Signer } from "../link/ports.ts"
import type { UnaryEnds } from "../link/unaryCall.ts"
import type { Carrier } from "./Carrier.ts"
import type { Group } from "./Group.ts"
import { acceptsLinks, type Identity } from "./internal/identity.ts"
import type { Print } from "./internal/lines.ts"
import { Reporter } from "./internal/reporter.ts"
import { makeSteadyClock } from "./internal/random.ts"
import { Turn } from "./internal/turn.ts"
import type { Ways } from "./internal/ways.ts"

export const STOPPING: Goodbye = { code: "not_ready", detail: "the node stops" }

export interface HostOptions {
  readonly limits: Limits
  readonly clock: Clock
  readonly carrier: Carrier["Service"]
  /** Its private key; absent: plaintext links only. */
  readonly signer?: Signer | undefined
  /** Who speaks, before each line for the operator. */
  readonly name: string
  readonly print: Print
}

/** What a host needs of each node on it. */
export interface Hosted {
  readonly group: Group["Service"]
  /** Where its group's members call each other. */
  readonly ways: Pick<Ways, "dial">
  /** Works off what waits, up to its share of a turn. It wakes itself where more is left. */
  readonly drain: () => void
  /** Every `tickMs`. */
  readonly tick: () => void
}

export class Host {
  readonly links: HostLinks
  readonly identity: Identity
  readonly reporter: Reporter
  /** What the operator may want to know. */
  readonly counters = { linksRefused: 0, linksCut: 0, garbage: 0 }
  private readonly limits: Limits
  private readonly nodes = new Set<Hosted>()
  private readonly ticks = new Set<() => void>()
  /** Those that have work. */
  private woken = new Set<Hosted>()
  private readonly turn = new Turn(() => this.work())
  private ticker: ReturnType<typeof setInterval> | undefined

  constructor({ limits, clock, carrier, signer, name, print }: HostOptions) {
    this.limits = limits
    this.identity = { signer, suite: carrier.suite }
    this.reporter = new Reporter(
      (line, about) => print("Warn", `${name}: ${line}`, about),
      clock.nowMs
    )
    this.links = new HostLinks({
      limits,
      clock: makeSteadyClock(),
      random: (below) => Math.floor(Math.random() * below),
      dial: (address, events, ends) =>
        ends === undefined
          ? carrier.dial(address, events)
          : this.byCalls(ends)(address, events, ends),
      accepting: () => acceptsLinks(this.groups, this.identity),
      wake: () => this.turn.wake(),
      broke: (remote, end, wasOpen) => this.tell(remote, end, wasOpen)
    })
  }

  /** Groups with nodes on this host. */
  get size(): number {
    return new Set([...this.nodes].map(({ group }) => group.name)).size
  }
  private get groups(): ReadonlyArray<Group["Service"]> {
    return [...this.nodes].map(({ group }) => group)
  }

  /** The node takes part from now on. */
  join(node: Hosted): void {
    this.nodes.add(node)
    this.ticker ??= setInterval(() => this.tick(), this.limits.tickMs)
  }
  leave(node: Hosted): void {
    this.nodes.delete(node)
    this.woken.delete(node)
    if (this.nodes.size > 0) return
    clearInterval(this.ticker)
    this.ticker = undefined
  }

  /** Calls `tick` every `tickMs`, until what is returned is called. */
  every(tick: () => void): () => void {
    this.ticks.add(tick)
    return () => void this.ticks.delete(tick)
  }

  /** Has the node drained soon; never within this call. */
  wake(node: Hosted): void {
    this.woken.add(node)
    this.turn.wake()
  }

  /** Somebody dialled this host. */
  accept(connection: Connection): ConnectionEvents {
    return this.links.accept(connection)
  }

  garbage(remote: string, what: string): void {
    this.counters.garbage++
    const about = { reason: "garbage", remote }
    this.reporter.say(`dropped a connection from ${remote}: ${what}`, about, `garbage: ${what}`)
  }

  /** A link, or a channel of one, ended. */
  tell(remote: string, end: LinkEnd, wasOpen: boolean): void {
    const { goodbye } = end
    if (goodbye === undefined || isHealthy(goodbye) || goodbye.code === "epoch_gone") return
    if (wasOpen) this.counters.linksCut++
    else this.counters.linksRefused++
    const by = end.by === "peer" ? "refused by" : "refused"
    const about = { reason: goodbye.code, remote }
    this.reporter.say(`link ${by} ${remote}: ${end.text}`, about, `${by}: ${end.text}`)
  }

  /** Takes no new links, and opens no more channels. */
  refuse(goodbye: Goodbye): void {
    this.links.refuse(goodbye)
  }
  /** Ends all links, telling why. */
  close(goodbye: Goodbye): void {
    this.links.close(goodbye)
  }

  private byCalls({ group: name }: UnaryEnds): Ways["dial"] {
    const node = [...this.nodes].find(({ group }) => group.name === name)
    assert(node !== undefined, "who dials has joined")
    return node.ways.dial
  }

  private work(): void {
    const woken = this.woken
    this.woken = new Set()
    for (const node of woken) node.drain()
    this.links.flush()
  }

  private tick(): void {
    this.links.tick()
    for (const node of this.nodes) node.tick()
    for (const tick of [...this.ticks]) tick()
  }
}
