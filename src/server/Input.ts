/** Everything that can happen to an engine. `atMs` is the node's clock; the engine has none. */
import type { NodeId } from "../base/NodeId.ts"
import type { EpochStanding } from "./epoch.ts"
import type { LogRecord } from "./LogRecord.ts"
import type { LaneKey } from "./laneKey.ts"
import type { MethodId, OneWay, PeerMessage, Request } from "./Message.ts"
import type { HandlerResult } from "./Protocol.ts"

/** A client's link as the host numbers it: replies go back over it. Never reused in a process. */
export type Route = number

export type Input =
  /** Booting: the log, oldest first, before anything else. */
  | { readonly kind: "replay"; readonly record: LogRecord }
  /**
   * Booting ends. `horizonMs`: no session opened at or below it runs here (0 in a durable group).
   */
  | { readonly kind: "booted"; readonly atMs: number; readonly horizonMs: number }
  | {
      readonly kind: "peerUp"
      readonly atMs: number
      readonly peer: NodeId
      readonly storeId: string
    }
  | { readonly kind: "peerDown"; readonly atMs: number; readonly peer: NodeId }
  | {
      readonly kind: "message"
      readonly atMs: number
      readonly from: NodeId
      readonly message: PeerMessage
    }
  | {
      readonly kind: "request"
      readonly atMs: number
      readonly route: Route
      readonly request: Request
      /** Who asks, by any name that is the same in all its links: quotas go by it. */
      readonly client?: string
    }
  | {
      readonly kind: "oneWay"
      readonly atMs: number
      readonly route: Route
      readonly message: OneWay
    }
  | {
      readonly kind: "cancel"
      readonly atMs: number
      readonly route: Route
      readonly session: LaneKey
      readonly index: number
    }
  /** An entry handler's Effect ended with a step, or threw (`failure`). */
  | {
      readonly kind: "ran"
      readonly atMs: number
      readonly token: number
      readonly result: HandlerResult | { readonly failure: string }
    }
  /** What an output `fetch` asked for, or why it cannot be had. */
  | {
      readonly kind: "fetched"
      readonly atMs: number
      readonly protocol: MethodId
      readonly digest: Uint8Array
      readonly result: Uint8Array | string
    }
  /** The log has no room, or has room again: calls that would make it grow are `overloaded`. */
  | { readonly kind: "logFull"; readonly atMs: number; readonly full: boolean }
  /** The epoch goes on to another state of its life; see src/server/epoch.ts. */
  | {
      readonly kind: "epoch"
      readonly atMs: number
      readonly standing: EpochStanding
    }
  /** The inbox is drained. */
  | { readonly kind: "turnEnd"; readonly atMs: number }
  /** Nothing happened for `tickMs`. */
  | { readonly kind: "tick"; readonly atMs: number }
