import { assert } from "../base/assert.ts"
import { NodeSet } from "../base/nodeSet.ts"
import { RankMap } from "./rankMap.ts"

/** What votes agree on. Compared by value, see {@link agreementEquals}. */
export type Agreement = string | number | bigint | boolean | Uint8Array | ReadonlyArray<Agreement>

/** Deeper tuples are equal to themselves only. */
const DEPTH_MAX = 64
/** Elements that one comparison of tuples looks at; larger tuples are equal to themselves only. */
const ELEMENTS_MAX = 1_048_576

export interface RankedVote<V> {
  readonly rank: number
  readonly vote: V
}

/** The votes for one value. */
export interface TallyGroup<V> {
  /** As the first of the voters put it; those of the others equal it. */
  readonly value: Agreement
  /** Read only: it is the tally's own, and grows. */
  readonly voters: NodeSet
  readonly count: number
  /** In member order. */
  votes(): ReadonlyArray<RankedVote<V>>
}

/**
 * The votes of one (instance, phase, round), one per author, grouped by the value they agree on.
 * The first vote of an author stands. Groups are searched one by one: correct members agree on few
 * values, and liars make at most one group each.
 */
export class Tally<V> {
  readonly #size: number
  readonly #votes: RankMap<V>
  readonly #groups: Array<Group<V>> = []

  /** @param size members of the group */
  constructor(size: number) {
    this.#size = size
    this.#votes = new RankMap(size)
  }

  /**
   * Counts a vote and returns its group. A second vote of `rank` changes nothing: it is a
   * "duplicate" for an equal value, an "equivocation" for another ({@link of} has the first vote).
   */
  add(rank: number, value: Agreement, vote: V): TallyGroup<V> | "duplicate" | "equivocation" {
    if (!this.#votes.add(rank, vote)) {
      return agreementEquals(this.#groupOf(rank).value, value) ? "duplicate" : "equivocation"
    }
    const groups = this.#groups
    for (let i = 0; i < groups.length; i++) {
      const group = groups[i]!
      if (agreementEquals(group.value, value)) {
        group.voters.add(rank)
        return group
      }
    }
    const group = new Group(value, this.#votes, this.#size)
    group.voters.add(rank)
    groups.push(group)
    return group
  }

  /** Forgets the vote of `rank`: it has spoken in a higher round. */
  remove(rank: number): void {
    if (!this.#votes.members.has(rank)) return
    const group = this.#groupOf(rank)
    group.voters.remove(rank)
    this.#votes.remove(rank)
    if (group.count === 0) this.#groups.splice(this.#groups.indexOf(group), 1)
  }

  /** The vote of `rank`, if it is here. */
  of(rank: number): V | undefined {
    return this.#votes.get(rank)
  }

  /** Authors that have voted. */
  get count(): number {
    return this.#votes.members.count
  }

  /** Authors that have voted. Read only: it is the tally's own, and grows. */
  get voters(): NodeSet {
    return this.#votes.members
  }

  /** In the order in which their first votes came. */
  get groups(): ReadonlyArray<TallyGroup<V>> {
    return this.#groups
  }

  /** Every vote, whatever its value, in member order. */
  all(): ReadonlyArray<RankedVote<V>> {
    return ranked(this.#votes, this.#votes.members)
  }

  #groupOf(rank: number): Group<V> {
    const group = this.#groups.find((one) => one.voters.has(rank))
    assert(group !== undefined, "every vote of a tally is in a group")
    return group
  }
}

class Group<V> implements TallyGroup<V> {
  readonly value: Agreement
  readonly voters: NodeSet
  readonly #votes: RankMap<V>

  constructor(value: Agreement, votes: RankMap<V>, size: number) {
    this.value = value
    this.voters = new NodeSet(size)
    this.#votes = votes
  }

  get count(): number {
    return this.voters.count
  }

  votes(): ReadonlyArray<RankedVote<V>> {
    return ranked(this.#votes, this.voters)
  }
}

const ranked = <V>(votes: RankMap<V>, who: NodeSet): ReadonlyArray<RankedVote<V>> =>
  who.ranks().map((rank) => ({ rank, vote: votes.get(rank)! }))

/**
 * True when nothing tells the two values apart: bytes by content, tuples element by element, NaN
 * equals NaN, 0 does not equal -0 (else the first vote would choose which one `value` is), 1 does
 * not equal 1n. What is no {@link Agreement} equals only itself; so does a tuple deeper than 64 or
 * with more than 1,048,576 elements. Never throws, whatever it is given.
 */
export const agreementEquals = (a: Agreement, b: Agreement): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object") return false
  try {
    return compare(a, b, 0, ELEMENTS_MAX) >= 0
  } catch {
    // A proxy or a getter that throws; no codec makes one.
    return false
  }
}

/** How many elements may still be looked at; negative: not equal, or too much to tell. */
const compare = (a: Agreement, b: Agreement, depth: number, left: number): number => {
  if (Object.is(a, b)) return left - 1
  if (a instanceof Uint8Array) return b instanceof Uint8Array && bytesEqual(a, b) ? left - 1 : -1
  if (!Array.isArray(a) || !Array.isArray(b)) return -1
  if (a.length !== b.length || depth === DEPTH_MAX) return -1
  for (let i = 0; i < a.length && left >= 0; i++) left = compare(a[i], b[i], depth + 1, left)
  return left - 1
}

const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}
