/** Two values of one author where there may be one, kept in bounded space. */
import type { NodeId } from "../base/NodeId.ts"
import type { LaneKey } from "./laneKey.ts"
import type { MethodId } from "./Message.ts"

/** One author, one (lane, index, phase, round), two values. */
export interface Evidence {
  readonly author: NodeId
  readonly lane: LaneKey
  readonly index: number
  readonly method: MethodId
  readonly round: number
  readonly first: Uint8Array
  readonly second: Uint8Array
  /** In a signed phase: theirs, which convince anyone. Without them it is a suspicion. */
  readonly signatures?: readonly [Uint8Array, Uint8Array]
}

/**
 * One piece for each (author, lane, index, phase, round), the first. Beyond `max` the author with
 * most of them loses one, a suspicion before a proof, the oldest first: who lies often pushes out
 * no evidence of others.
 */
export class EvidenceKept {
  private readonly max: number
  private readonly kept = new Map<string, Evidence>()

  constructor(max: number) {
    this.max = max
  }

  get all(): ReadonlyArray<Evidence> {
    return [...this.kept.values()]
  }

  /** @returns false where it tells nothing new */
  add(evidence: Evidence): boolean {
    const { author, method, round, lane, index } = evidence
    const key = `${author} ${method} ${round} ${lane}/${index}`
    const known = this.kept.get(key)
    if (known?.signatures !== undefined || (known && evidence.signatures === undefined))
      return false
    this.kept.delete(key)
    if (this.kept.size >= this.max) this.kept.delete(this.dispensable())
    this.kept.set(key, evidence)
    return true
  }

  private dispensable(): string {
    const byAuthor = Map.groupBy(this.kept, ([, { author }]) => author)
    const most = [...byAuthor.values()].reduce((a, b) => (b.length > a.length ? b : a))
    const [key] = most.find(([, { signatures }]) => signatures === undefined) ?? most[0]!
    return key
  }
}
