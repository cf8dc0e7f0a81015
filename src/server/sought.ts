/**
 * Instances that members have named, of which others' words may have been dropped: asked for a few
 * at a time, so that what comes of it fits the shares that it did not fit before.
 */
import type { Limits } from "../base/limits.ts"
import type { LaneKey } from "./laneKey.ts"

/** Names of one member, for each early vote that it may have here. */
const NAMES_PER_VOTE = 4

interface Named {
  readonly lane: LaneKey
  readonly index: number
}

export class Sought {
  /** By rank of who named them, the oldest first. */
  private readonly named: ReadonlyArray<Map<string, Named>>
  private readonly votes: number

  constructor({ earlyVotesMax }: Limits, members: number) {
    this.named = Array.from({ length: members }, () => new Map())
    this.votes = earlyVotesMax
  }

  get count(): number {
    return this.named.reduce((sum, names) => sum + names.size, 0)
  }

  add(rank: number, lane: LaneKey, index: number): void {
    const names = this.named[rank]!
    names.set(`${lane}/${index}`, { lane, index })
    if (names.size <= NAMES_PER_VOTE * this.votes) return
    for (const oldest of names.keys()) return void names.delete(oldest)
  }

  /** At a tick: the next few that each member named. */
  take(): ReadonlyArray<Named> {
    const few = Math.max(1, this.votes / 8)
    return this.named.flatMap((names) => {
      const next = [...names.entries()].slice(0, few)
      for (const [name] of next) names.delete(name)
      return next.map(([, named]) => named)
    })
  }
}
