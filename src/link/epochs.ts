/**
 * The epochs of one group at one host, and when each goes on in its life. Every epoch the host is a
 * member of has a host core of its own, with its log and its links; here is decided which there
 * are, and what their engines are told. Nothing is kept here that the engines' logs do not hold.
 */
import { NO_BYTES, bytesEqual } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { type EpochStanding, type EpochState, reached } from "../server/epoch.ts"
import type { Clock } from "./ports.ts"

/** One epoch of a group. */
export interface EpochPlan {
  /** 1, 2, 3 …; it stands for these members and no others. */
  readonly number: number
  readonly system: System
  /** The bytes that say all this, as members and clients are told them. */
  readonly description: Uint8Array
}

export interface EpochPorts {
  readonly clock: Clock
  /** `undefined`: no description of an epoch of this group. */
  readonly read: (description: Uint8Array) => EpochPlan | undefined
  /** Make the host core and the links of an epoch, from its log where it has one. */
  readonly open: (plan: EpochPlan) => void
  /** Tell the epoch's engine; what comes of it is told to {@link Epochs.heard}. */
  readonly advance: (number: number, to: EpochStanding) => void
  /** Whether the epoch's link to this member is up. */
  readonly isUp: (number: number, member: NodeId) => boolean
  /** Nothing is unfinished in the epoch's engine, and its peers have all that it said. */
  readonly isIdle: (number: number) => boolean
  /** The epoch ended: its host core, links and log go, and it never comes back. */
  readonly drop: (number: number) => void
  readonly report: (what: string) => void
}

class Live {
  readonly plan: EpochPlan
  /** What its engine was told last: no more often. */
  asked: EpochState | undefined
  /** It is to become active. */
  wanted = false
  /** By rank, also of this node: where the member says it stands. */
  readonly told: Array<EpochStanding | undefined>
  /** Members that have no such epoch any more. */
  readonly gone: NodeSet
  /** When it began to close in this life of the process. */
  closedMs = 0

  constructor(plan: EpochPlan) {
    this.plan = plan
    this.told = new Array<EpochStanding | undefined>(plan.system.size).fill(undefined)
    this.gone = new NodeSet(plan.system.size)
  }

  /** Members that say they have come so far. */
  which(least: EpochState, next?: Uint8Array): NodeSet {
    const set = new NodeSet(this.plan.system.size)
    for (const [rank, standing] of this.told.entries()) {
      if (standing === undefined || !reached(standing.state, least)) continue
      if (next === undefined || bytesEqual(standing.next, next)) set.add(rank)
    }
    return set
  }
}

export class Epochs {
  private readonly self: NodeId
  private readonly limits: Limits
  private readonly ports: EpochPorts
  private readonly live = new Map<number, Live>()
  /** Epochs this host is no member of, which others that it is in may have as their next. */
  private readonly foreign = new Map<number, EpochPlan>()
  /** The highest number that ended here. */
  private ended: number

  /** @param ended the highest number that ended here in earlier lives of the process */
  constructor(self: NodeId, limits: Limits, ports: EpochPorts, ended = 0) {
    this.self = self
    this.limits = limits
    this.ports = ports
    this.ended = ended
  }

  /** Numbers of the epochs that live here. */
  get numbers(): ReadonlyArray<number> {
    return [...this.live.keys()]
  }

  /** Where an epoch that lives here stands, durably. */
  stateOf(number: number): EpochState | undefined {
    const live = this.live.get(number)
    return live && this.stands(live)
  }

  /** There is such an epoch: where this host is a member, its links come up. */
  announce(plan: EpochPlan): void {
    const { number, system, description } = plan
    const known = this.live.get(number)?.plan ?? this.foreign.get(number)
    if (known !== undefined) {
      if (bytesEqual(known.description, description)) return
      return this.ports.report(`epoch ${number} is described in two ways: the first stands`)
    }
    if (number <= this.ended) return this.ports.report(`epoch ${number} has ended here`)
    if (this.live.size + this.foreign.size >= this.limits.epochsMax) {
      return this.ports.report(`epoch ${number} is one too many: ${this.limits.epochsMax} live`)
    }
    if (system.rank(this.self) < 0) return void this.foreign.set(number, plan)
    this.live.set(number, new Live(plan))
    this.ports.open(plan)
  }

  /** The operator's word that an announced epoch takes over from those before it. */
  activate(number: number): void {
    const live = this.live.get(number)
    if (live !== undefined) live.wanted = true
    else if (this.foreign.has(number)) this.closeBefore(this.foreign.get(number)!)
    else this.ports.report(`epoch ${number} is not announced: nothing is activated`)
  }

  /** Where an epoch stands at a member, or durably at this node. */
  heard(number: number, of: NodeId, standing: EpochStanding): void {
    const live = this.live.get(number)
    const rank = live?.plan.system.rank(of) ?? -1
    if (live === undefined || rank < 0) return
    live.told[rank] = standing
    if (of !== this.self) return
    live.asked = standing.state
    // After a restart it lingers anew.
    if (live.closedMs === 0 && reached(standing.state, "closing")) live.closedMs = this.nowMs()
  }

  /** The member refused the epoch's link: it has ended there. */
  gone(number: number, member: NodeId): void {
    const live = this.live.get(number)
    const rank = live?.plan.system.rank(member) ?? -1
    if (live === undefined || rank < 0 || !live.gone.add(rank)) return
    if (reached(this.stands(live), "closing") || !live.plan.system.oneHonest.has(live.gone)) return
    const remedy = "start this node with the newest group file"
    this.ports.report(`epoch ${number} has ended while this node was away: ${remedy}`)
  }

  /** To be called every `tickMs`. */
  tick(): void {
    for (const live of [...this.live.values()]) {
      const state = this.stands(live)
      if (state === "announced") this.tryActivate(live)
      else if (state === "active") this.follow(live)
      else if (state === "closing") this.tryEnd(live)
      else this.tryDrop(live)
    }
  }

  /** Durably. An epoch with none before it is active as it is made, and says nothing of that. */
  private stands({ plan, told }: Live): EpochState {
    return told[plan.system.rank(this.self)]?.state ?? (plan.number === 1 ? "active" : "announced")
  }

  private tryActivate(live: Live): void {
    const { plan } = live
    if (!live.wanted && !plan.system.oneHonest.has(live.which("active"))) return
    const up = new NodeSet(plan.system.size)
    for (const [rank, node] of plan.system.members.entries()) {
      if (node === this.self || this.ports.isUp(plan.number, node)) up.add(rank)
    }
    if (plan.system.quorum.has(up)) this.advance(live, { state: "active", next: NO_BYTES })
  }

  /** Of an active epoch: those before it close, and it closes when its members say so. */
  private follow(live: Live): void {
    const { plan } = live
    this.closeBefore(plan)
    for (const standing of live.told) {
      if (standing === undefined || !reached(standing.state, "closing")) continue
      if (!plan.system.oneHonest.has(live.which("closing", standing.next))) continue
      const next = this.ports.read(standing.next)
      if (next === undefined || next.number <= plan.number) continue
      this.announce(next)
      this.activate(next.number)
      return
    }
  }

  private closeBefore(next: EpochPlan): void {
    for (const live of this.live.values()) {
      if (live.plan.number >= next.number || this.stands(live) !== "active") continue
      this.advance(live, { state: "closing", next: next.description })
    }
  }

  private tryEnd(live: Live): void {
    if (this.nowMs() < live.closedMs + this.limits.epochLingerMs) return
    const { next } = live.told[live.plan.system.rank(this.self)]!
    this.advance(live, { state: "over", next })
  }

  /**
   * Whoever may still need this epoch's words or answers has had the time to ask. A quorum of the
   * next epoch says so too: else one that is alone here with a fast clock would end it for others.
   */
  private tryDrop(live: Live): void {
    const { number, system } = live.plan
    const over = live.which("over")
    for (const rank of live.gone.ranks()) over.add(rank)
    const { next } = live.told[system.rank(this.self)]!
    if (!this.nextAgrees(live, over, next)) return
    const all = system.all.has(over) && this.ports.isIdle(number)
    if (!all && this.nowMs() < live.closedMs + 2 * this.limits.epochLingerMs) return
    if (!this.ports.isIdle(number)) this.ports.report(`epoch ${number} ends with work unfinished`)
    this.live.delete(number)
    this.ended = Math.max(this.ended, number)
    for (const known of this.foreign.keys()) {
      if (![...this.live.keys()].some((it) => it < known)) this.foreign.delete(known)
    }
    this.ports.drop(number)
  }

  private nextAgrees(live: Live, over: NodeSet, description: Uint8Array): boolean {
    const next = this.ports.read(description)
    if (next === undefined) return false
    const set = new NodeSet(next.system.size)
    for (const [rank, node] of next.system.members.entries()) {
      const here = live.plan.system.rank(node)
      if (here < 0 || over.has(here)) set.add(rank)
    }
    return next.system.quorum.has(set)
  }

  private advance(live: Live, to: Omit<EpochStanding, "kind">): void {
    if (live.asked !== undefined && reached(live.asked, to.state)) return
    live.asked = to.state
    this.ports.advance(live.plan.number, { kind: "epoch", ...to })
  }

  private nowMs(): number {
    return this.ports.clock.nowMs()
  }
}
