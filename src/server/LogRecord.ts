/**
 * The log record of one step: all or nothing. Its bytes are made by src/link/recordCodec.ts.
 */
import type { ErrorCode } from "../base/errorCode.ts"
import type { Batch } from "./application.ts"
import type { EpochStanding } from "./epoch.ts"
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
/** The application's state after `index`, as another node had it. */
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

/** Entries in the order in which the step made them. */
export interface LogRecord {
  readonly entries: ReadonlyArray<LogEntry>
}
