/**
 * Where a group's epoch is in its life at one node. An engine belongs to one epoch, so to close one
 * is to tell its engine.
 */
import { NO_BYTES } from "../base/bytes.ts"

/**
 * - `announced`: its members' links come up, clients are told to wait.
 * - `active`: it takes calls.
 * - `closing`: there is a next epoch. Clients are told so, and what they send here still runs here.
 * - `over`: a call that this node does not know never runs here.
 */
export const EPOCH_STATES = ["announced", "active", "closing", "over"] as const
export type EpochState = (typeof EPOCH_STATES)[number]

export const reached = (state: EpochState, least: EpochState): boolean =>
  EPOCH_STATES.indexOf(state) >= EPOCH_STATES.indexOf(least)

/** Told to the other members of the epoch, and kept in the log: a state once told is never left. */
export interface EpochStanding {
  readonly kind: "epoch"
  readonly state: EpochState
  /** From `closing` on: the description of the epoch that follows. */
  readonly next: Uint8Array
}

export class EpochLife {
  state: EpochState
  /** From `closing` on. */
  next: Uint8Array = NO_BYTES
  /** What peers are told; absent while the epoch has stood as it was made. */
  told: EpochStanding | undefined

  constructor(announced: boolean) {
    this.state = announced ? "announced" : "active"
  }

  /** Whether what comes in new runs. */
  get runs(): boolean {
    return this.state === "active" || this.state === "closing"
  }

  /** False: it stands there already, or further. */
  advance(to: EpochStanding): boolean {
    if (reached(this.state, to.state)) return false
    this.state = to.state
    this.next = to.next
    this.told = to
    return true
  }
}
