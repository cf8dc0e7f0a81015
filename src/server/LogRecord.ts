/**
 * The log record of one step: all or nothing. Its bytes are made by src/link/recordCodec.ts.
 */
import type { ErrorCode } from "../base/errorCode.ts"
import type { Batch } from "./application.ts"
import type { EpochStanding } from "./epoch.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { LaneKey } from "./laneKey.ts"
import type { MethodId, Word } from "./Message.ts"

/** A call's final reply or failure at this node. */
export interface Final {
  readonly kind: "final"
  readonly session: LaneKey
  readonly index: number
  readonly code?: ErrorCode
  readonly detail?: string
  readonly body: Uint8Array
}
/**
 * What a handler stored: handed to `evolve` again at boot. `protocol`: its methodId of
 * "package.Service".
 */
export interface Stored {
  readonly kind: "stored"
  readonly protocol: MethodId
  readonly body: Uint8Array
}
/** The application's state after `index`: another node's, or in a checkpoint this one's. */
export interface Installed {
  readonly kind: "installed"
  readonly protocol: MethodId
  readonly lane: LaneKey
  readonly index: number
  readonly body: Uint8Array
}
/** A lane index was decided; the application runs it again, in order, at boot. */
export interface Decided {
  readonly kind: "decided"
  readonly protocol: MethodId
  readonly lane: LaneKey
  readonly index: number
  readonly items: Batch
}
/** A message was handed to the node's own application; at boot it is handed in again. */
export interface Delivered {
  readonly kind: "delivered"
  readonly protocol: MethodId
  readonly lane: LaneKey
  readonly index: number
  /** Local name of the call's method; empty in a protocol lane, and where it is not known. */
  readonly call: string
  readonly body: Uint8Array
}
/**
 * Sessions opened at or below it were evicted: no word and no call of theirs runs here again. It
 * comes before all else of its record.
 */
export interface Horizon {
  readonly kind: "horizon"
  readonly horizonMs: number
}
/** The protocol set the floor of one of its lanes. */
export interface Floor {
  readonly kind: "floor"
  readonly lane: LaneKey
  readonly index: number
}
/**
 * Begins a checkpoint: all that the node keeps, in one record; what was logged before is needed no
 * more. The tail follows among its words: the positions tailFirst … last.
 */
export interface Checkpoint {
  readonly kind: "checkpoint"
  readonly tailFirst: number
  readonly last: number
}
/** The store that another member showed first, and how far it had done what this node said. */
export interface MemberKept {
  readonly kind: "member"
  readonly node: NodeId
  readonly storeId: string
  readonly done: number
}
/** A session, but for its answers: they follow as `final`. */
export interface SessionKept {
  readonly kind: "session"
  readonly session: LaneKey
  readonly ackedBelow: number
  /** Unfinished below `ackedBelow`, rising. */
  readonly late: ReadonlyArray<number>
}
/** A protocol lane. */
export interface LaneKept {
  readonly kind: "lane"
  readonly lane: LaneKey
  readonly own: number
  /** Finished above `own`, rising. */
  readonly ahead: ReadonlyArray<number>
}
/** A world's state as `evolve` of what was stored made it; `body`: plain data. */
export interface StateKept {
  readonly kind: "state"
  readonly protocol: MethodId
  readonly body: Uint8Array
}
/**
 * What checkpoints hold. Of these a step logs `member` too, when a store is first seen, and `lane`,
 * when a handler threw in it.
 */
export type Kept = Checkpoint | MemberKept | SessionKept | LaneKept | StateKept
export type LogEntry =
  | Word
  | Final
  | Stored
  | Decided
  | Delivered
  | Installed
  | Floor
  | Horizon
  | EpochStanding
  | Kept

/** Entries in the order in which the step made them. */
export interface LogRecord {
  readonly entries: ReadonlyArray<LogEntry>
}
