/** What the client's call table takes and gives. The table is {@link CallCore} in callCore.ts. */
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Policy } from "../quorum/Policy.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { LaneKey } from "../server/laneKey.ts"
import type { ClientMessage, MethodId } from "../server/Message.ts"
import type { CallKind } from "../server/Protocol.ts"
import type { Clock } from "./ports.ts"

export interface CallPorts {
  readonly clock: Clock
  /** A session's name, never the same twice: `openedMs`, a digest of client, group and a nonce. */
  readonly sessionKey: (openedMs: number) => LaneKey
  /** Hands `message` to the link. False: the link is down, and `linkUp` will be told. */
  readonly send: (node: NodeId, message: ClientMessage) => boolean
  /** A random integer from 0 to `below` - 1: jitter. */
  readonly random: (below: number) => number
  /**
   * Call `tick()` at `atMs`, not before. Asked again only for an earlier time or once `tick` ran,
   * so one timer is enough: the newest wish replaces the one before. A tick too many does no harm.
   */
  readonly wake: (atMs: number) => void
  /** Looks on; absent: nobody does. */
  readonly watch?: CallWatch | undefined
}

/** Who looks on while calls begin and end, and changes nothing. */
export interface CallWatch {
  /** `id`: of the call in its table. What is returned is handed to `ended`. */
  readonly started: (id: number, spec: Called) => number
  readonly ended: (id: number, spec: Called, started: number, code: CallEnd) => void
}
export type CallEnd = ErrorCode | "ok" | "interrupted"
type Called = Pick<CallSpec<unknown, unknown>, "method" | "name">

export interface CallSpec<R, A> {
  readonly method: MethodId
  /** "package.Service/Method", for people. */
  readonly name?: string
  /** Its requests are signed. */
  readonly signed?: boolean
  /** Not "phase". One-way calls have no policy and no replies: their answer is `undefined`. */
  readonly call: CallKind
  /** The request's bytes for `node`, asked once per call; `undefined`: this node is no target. */
  readonly body: (node: NodeId) => Uint8Array | undefined
  /** Members. The same array for each call of a configuration: what is known of it is kept. */
  readonly targets: ReadonlyArray<NodeId>
  /** Throws on bytes that are no reply: that is the node's failure (`malformed`). */
  readonly decode: (body: Uint8Array) => R
  readonly policy: Policy<R, A>
  /** More than 0, at most `callTimeoutMsMax`. */
  readonly deadlineMs: number
  /** The context of its trace, which goes with every copy; absent: it is not traced. */
  readonly trace?: Uint8Array | undefined
  /** Every reply as it comes, before the policy sees it; at most one per node. */
  readonly each?: ((from: NodeId, reply: R) => void) | undefined
  /** Called once, perhaps before `start` returns; never after `cancel`. Must not throw. */
  readonly done: (result: CallResult<A>) => void
}

export type CallResult<A> =
  | { readonly ok: true; readonly answer: A }
  | {
      readonly ok: false
      readonly code: ErrorCode
      readonly needed: number
      readonly got: number
      /** One per target, in member order. */
      readonly outcomes: ReadonlyArray<NodeOutcome>
      /** What the code leaves open, e.g. what the policy threw. */
      readonly detail?: string
    }

/**
 * What became of a call at one node. `pending`: not answered; `detail` says what it waits for.
 * `disagreed`: its reply did not bring the policy nearer to an answer.
 */
export interface NodeOutcome {
  readonly node: NodeId
  readonly outcome: "replied" | "pending" | "failed" | "disagreed"
  readonly code?: ErrorCode
  readonly detail?: string
}

/** How src/quorum/client and the service reach a call table. */
export interface CallPort {
  readonly system: System
  /** Starts a call; what it returns cancels it, and does nothing once the call is over. */
  readonly start: <R, A>(spec: CallSpec<R, A>) => () => void
}
