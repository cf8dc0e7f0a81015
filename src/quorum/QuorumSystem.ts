import { assert } from "../base/assert.ts"
import { LIMITS } from "../base/limits.ts"
import { isNodeId, type NodeId } from "../base/NodeId.ts"
import type { NodeSet } from "../base/nodeSet.ts"
import {
  blockingSize,
  type FaultModel,
  faultsMax,
  oneHonestSize,
  quorumSize
} from "./FaultModel.ts"

/**
 * A predicate over sets of members. Invariant: monotone, a set that contains one that has the
 * quorum has it too; policies and verdicts rest on it.
 */
export interface Quorum {
  readonly name: string
  /** Members of the smallest set that has it. */
  readonly needed: number
  readonly has: (set: NodeSet) => boolean
}

/** The members of a group and the quorums that follow from its fault model. */
export interface System {
  /** Ascending. A member's rank is its place here. */
  readonly members: ReadonlyArray<NodeId>
  readonly size: number
  /** Faulty members the group withstands. */
  readonly faults: number
  readonly model: FaultModel
  /** Any two share a member (crash), a correct member (Byzantine). */
  readonly quorum: Quorum
  /** At least one correct member: what all of these say is true. */
  readonly oneHonest: Quorum
  /** Every quorum meets it: what all of these refuse no quorum will do. */
  readonly blocking: Quorum
  readonly all: Quorum
  /** 0 … size-1; -1: no member. */
  readonly rank: (node: NodeId) => number
  /** A rank outside 0 … size-1 is a defect. */
  readonly member: (rank: number) => NodeId
}

/**
 * The system of `members`, in any order. Takes only what `parseMembers` lets through; anything
 * else is a defect. @param f default: the most that the members withstand
 */
export const makeSystem = (
  members: ReadonlyArray<NodeId>,
  model: FaultModel,
  f: number = faultsMax(model, members.length)
): System => {
  const sorted = members.toSorted((a, b) => a - b)
  const size = sorted.length
  assert(size <= LIMITS.membersMax, "a group has at most membersMax members")
  assert(sorted.every(isNodeId), "a member is a node id")
  const ranks = new Map(sorted.map((node, rank) => [node, rank]))
  assert(ranks.size === size, "a member is listed once")
  return Object.freeze({
    members: Object.freeze(sorted),
    size,
    faults: f,
    model,
    quorum: atLeast("quorum", size, quorumSize(model, size, f)),
    oneHonest: atLeast("oneHonest", size, oneHonestSize(model, size, f)),
    blocking: atLeast("blocking", size, blockingSize(model, size, f)),
    all: atLeast("all", size, size),
    rank: (node: NodeId) => ranks.get(node) ?? -1,
    member: (rank: number) => {
      const node = sorted[rank]
      assert(node !== undefined, "a rank is an integer below the group's size")
      return node
    }
  })
}

/** Any `needed` of a group of `size`. More than `size`: no set has it. */
export const atLeast = (name: string, size: number, needed: number): Quorum =>
  new AtLeast(name, size, needed)

class AtLeast implements Quorum {
  readonly name: string
  readonly needed: number
  readonly #size: number

  constructor(name: string, size: number, needed: number) {
    assert(Number.isSafeInteger(needed) && needed >= 0, "a quorum needs a number of members")
    this.name = name
    this.needed = needed
    this.#size = size
  }

  has(set: NodeSet): boolean {
    assert(set.size === this.#size, "a set and its quorum are of one group")
    return set.count >= this.needed
  }
}
