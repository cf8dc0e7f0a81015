/** How the members of a running group are changed: what a node offers who operates it. */
import type { Effect } from "effect"
import type { EpochState } from "../server/epoch.ts"
import type { GroupInvalid, ReplicaFailed } from "./Errors.ts"
import type { GroupConfig } from "./Group.ts"

export interface Operator {
  /**
   * There is a next epoch, as its group file says: tell it to all members of it and of the one
   * before, each the same. A node that is in it opens its links, and takes no calls in it yet.
   */
  readonly announce: (config: GroupConfig) => Effect.Effect<void, GroupInvalid | ReplicaFailed>
  /**
   * An announced epoch takes over, once this node is linked with a quorum of it. Tell it so many
   * members of the epoch before that one of them is correct: the others follow.
   */
  readonly activate: (epoch: number) => Effect.Effect<void, ReplicaFailed>
  /** The epochs that live at this node, the first of them first. */
  readonly epochs: () => ReadonlyArray<EpochHere>
}

export interface EpochHere {
  readonly epoch: number
  readonly state: EpochState
  /** Members that this node has an open channel to in this epoch. */
  readonly linked: ReadonlyArray<number>
}
