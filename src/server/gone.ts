/**
 * Words that a member can no longer have: a node that lags further than others keep what they said
 * is told so. In a lane of the protocol it is behind, and its protocol fetches what the others came
 * to; a call is lost here once nobody is left who would say what it needs.
 */
import { NodeSet } from "../base/nodeSet.ts"
import type { Core } from "./core.ts"
import { COUNT_MAX, type LaneKey } from "./laneKey.ts"
import type { Instance } from "./lanes.ts"
import type { Behind } from "./Message.ts"
import { isFor } from "./peer.ts"

/** Of one other member, by rank. */
class Member {
  /** It has cut us off: words of its that we had not taken are gone. */
  cut = false
  /** It did so since the last tick: told again, it costs nothing. */
  cutLately = false
  /** It says nothing more in instances of our words up to here. */
  closed = 0
  /** Lanes in which it spoke below our `own` since the last tick. */
  readonly late = new Set<LaneKey>()
  /** What it was told of these lanes over this link. */
  readonly told = new Map<LaneKey, number>()
}

export class Gone {
  /** `own`: the lane's lowest unfinished index at members of whom one is correct, or below it. */
  onBehind: (lane: LaneKey, own: number) => void = () => {}
  onLost: (instance: Instance) => void = () => {}
  private readonly core: Core
  private readonly members: ReadonlyArray<Member>
  /** By lane: the `own` of each member, by rank. */
  private readonly claims = new Map<LaneKey, Array<number>>()
  /** By lane: our own at the last tick, and what `onBehind` heard last. */
  private readonly stood = new Map<LaneKey, { own: number; told: number }>()
  private news = false

  constructor(core: Core) {
    this.core = core
    this.members = Array.from({ length: core.system.size }, () => new Member())
  }

  up(rank: number): void {
    const member = this.members[rank]!
    member.late.clear()
    member.told.clear()
    member.cutLately = false
  }

  /** The member spoke, or asked, below our `own`. */
  late(rank: number, lane: LaneKey): void {
    this.members[rank]!.late.add(lane)
  }

  /** At a tick: what to tell the member, once per lane and `own`. */
  tell(rank: number): ReadonlyArray<Behind> {
    const { late, told } = this.members[rank]!
    const news: Array<Behind> = []
    for (const key of late) {
      const own = this.core.lanes.get(key)?.own ?? 0
      if (own > (told.get(key) ?? 0)) news.push({ kind: "behind", lane: key, own })
      told.set(key, own)
    }
    late.clear()
    return news
  }

  behind(rank: number, { lane, own }: Behind): void {
    const { core, claims } = this
    if (!core.lanes.has(lane) || own > COUNT_MAX) return core.count("malformed")
    const ofLane = claims.get(lane) ?? new Array<number>(core.system.size).fill(0)
    ofLane[rank] = Math.max(ofLane[rank]!, own)
    claims.set(lane, ofLane)
  }

  /**
   * The member's words that we had not taken are gone.
   * @returns false: it has said so since the last tick
   */
  cut(rank: number): boolean {
    const member = this.members[rank]!
    if (member.cutLately) return false
    member.cut = true
    member.cutLately = true
    member.closed = 0
    return true
  }

  /** The member has finished the instances of our words up to `done`, and sent all it said. */
  closed(rank: number, done: number): void {
    const member = this.members[rank]!
    if (!member.cut || done <= member.closed) return
    member.closed = done
    this.news = true
  }

  tick(): void {
    for (const member of this.members) member.cutLately = false
    for (const [key, claims] of this.claims) this.believe(key, claims)
    if (!this.news) return
    this.news = false
    for (const session of this.core.sessions.table.values()) {
      for (const instance of session.open.values()) {
        if (this.hopeless(instance)) this.onLost(instance)
      }
    }
  }

  /** A lane that moves only lags: one that has stood still for a tick is behind. */
  private believe(key: LaneKey, claims: ReadonlyArray<number>): void {
    const lane = this.core.lanes.get(key)!
    const own = claims.toSorted((a, b) => b - a)[this.core.system.oneHonest.needed - 1]!
    const stood = this.stood.get(key) ?? { own: 0, told: 0 }
    const still = stood.own === lane.own
    stood.own = lane.own
    this.stood.set(key, stood)
    if (!still || own <= lane.own || own <= stood.told) return
    stood.told = own
    this.onBehind(key, own)
  }

  /** No phase of it can still have a quorum of those who spoke here and those who may yet. */
  private hopeless(instance: Instance): boolean {
    const { system } = this.core
    const silent = new NodeSet(system.size)
    for (const [rank, member] of this.members.entries()) {
      if (member.cut && this.silent(rank, member, instance)) silent.add(rank)
    }
    return silent.count > 0 && !instance.reaches(system.quorum, silent)
  }

  private silent(rank: number, { closed }: Member, instance: Instance): boolean {
    // What is asked for again may be kept.
    if (instance.lane.awaits(rank)) return false
    const node = this.core.system.member(rank)
    return instance.words().some((word) => word.position <= closed && isFor(word, node))
  }
}
