/**
 * What an engine asks of its host. Order rule: an output may leave only when every `store` of its
 * own and of earlier steps is durable (P11). The host keeps them in one queue and releases a
 * prefix.
 */
import type { Blob } from "../base/blob.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { EpochStanding } from "./epoch.ts"
import type { Evidence } from "./evidence.ts"
import type { Route } from "./Input.ts"
import type { LaneKey } from "./laneKey.ts"
import type { Delivered, LogRecord } from "./LogRecord.ts"
import type { MethodId, PeerMessage, Reply } from "./Message.ts"

export type Output =
  /** At most one a step, and its first output. */
  | { readonly kind: "store"; readonly record: LogRecord }
  | { readonly kind: "send"; readonly to: NodeId; readonly message: PeerMessage }
  | { readonly kind: "reply"; readonly route: Route; readonly reply: Reply }
  /** Hand it to the node's own application. */
  | { readonly kind: "deliver"; readonly delivered: Delivered }
  /** Run an entry handler's Effect; `interrupt` when nobody waits for it any more. */
  | { readonly kind: "run"; readonly token: number; readonly effect: unknown }
  | { readonly kind: "interrupt"; readonly token: number }
  /** Give it to members that ask for it, until none does. */
  | { readonly kind: "offer"; readonly blob: Blob }
  /**
   * Fetch the blob of that digest from these members, which offer it; again: from these too. One
   * at a time of a protocol; ends in the input `fetched`.
   */
  | {
      readonly kind: "fetch"
      readonly protocol: MethodId
      readonly digest: Uint8Array
      readonly length: number
      readonly from: ReadonlyArray<NodeId>
    }
  /** From now on tell clients, in hellos, that no session opened at or below it runs here. */
  | { readonly kind: "horizon"; readonly horizonMs: number }
  /** Where the epoch stands at a member: at this node, durably, or as the member says. */
  | { readonly kind: "epoch"; readonly of: NodeId; readonly standing: EpochStanding }
  /** Worth telling the operator: a poisoned instance, a lost one, equivocation. */
  | {
      readonly kind: "report"
      readonly what: Report
      readonly detail: string
      readonly about?: ReportAbout
    }
  /** A member did what no correct one does; with `evidence` also others can tell. */
  | {
      readonly kind: "fault"
      readonly of: NodeId
      readonly fault: Fault
      readonly evidence?: Evidence
    }
  /** This node must stop: our application, `deliver` or `evolve` threw. */
  | { readonly kind: "halt"; readonly reason: string }

/** What no correct member does. */
export type Fault =
  | "malformed"
  /** A message that is not about what its envelope says. */
  | "key_mismatch"
  | "bad_signature"
  /** In another's name, where that takes a signature. */
  | "unsigned_author"
  | "equivocation"
  /** What it said on its link is no frame, or more than it was granted. */
  | "bad_link"
  /** It sends on and on though it is granted nothing more. */
  | "spam"

/** What a report is about, as far as it is about one thing. */
export interface ReportAbout {
  readonly peer?: NodeId
  readonly lane?: LaneKey
  readonly index?: number
}

export type Report =
  | "poisoned"
  | "lost"
  | "cut"
  | "equivocation"
  | "bad_signature"
  | "penalty"
  | "ignored"
  | "fetch_failed"
