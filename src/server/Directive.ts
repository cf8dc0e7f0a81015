import type { FailCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Snapshot } from "./snapshot.ts"
import type { Certificate, SignedRequest, SignedWord } from "./Proof.ts"

/**
 * Names a client's call across nodes. A message that carries a call to another node (a proposal)
 * holds one: see `quorate.v1.CallId` in proto/quorate/v1/call.proto.
 */
export interface CallId {
  /** The session's 22 bytes. */
  readonly session: Uint8Array
  readonly index: number
  /** Local name of the entry method, e.g. "submit". */
  readonly method: string
}

/** What an index is decided to be, or a part of it. */
export interface Command {
  readonly command: object
  /** The call that its result answers. */
  readonly call?: CallId | undefined
}

export type Target = "all" | "others" | NodeId | ReadonlyArray<NodeId>

/** What a handler asks its node to do: plain data, comparable in a test. */
export type Directive =
  | { readonly kind: "wait" }
  /** Nothing to do, and worth counting: a stale ballot, a message from who is not the leader. */
  | { readonly kind: "ignore"; readonly reason: string }
  /**
   * Say `message` in the phase `method`. Said once per (lane, index, phase, round): what was said
   * stands.
   */
  | {
      readonly kind: "forward"
      readonly method: string
      readonly message: object
      readonly to: Target
    }
  /**
   * The final answer to a call; to the instance's own call when `call` is absent. A tentative one
   * leaves the call open: the final one replaces it.
   */
  | {
      readonly kind: "reply"
      readonly method?: string
      readonly message: object
      readonly call?: CallId
      readonly tentative?: true
    }
  /** Ends this copy of the call only; the client tries again (elsewhere, or later). */
  | { readonly kind: "refuse"; readonly code: "redirect"; readonly node: NodeId }
  | { readonly kind: "refuse"; readonly code: "overloaded" }
  /** The final failure of a call. */
  | { readonly kind: "fail"; readonly code: FailCode; readonly detail: string }
  /**
   * Hands `record` to `evolve`, and logs it: nothing said in this step leaves before it is
   * durable.
   */
  | { readonly kind: "store"; readonly record: object }
  /** Hands `record` to `evolve` without logging it: gone after a restart. */
  | { readonly kind: "note"; readonly record: object }
  /**
   * This lane index is decided: the application runs the commands in lane order, one after the
   * other, and each result answers its call.
   */
  | {
      readonly kind: "apply"
      readonly items: ReadonlyArray<Command>
      /** It runs before it is decided, and can be undone. */
      readonly tentative?: boolean
    }
  /** Undoes what ran tentatively from `index` on, and forgets what was to. */
  | { readonly kind: "rollback"; readonly index: number }
  /** The application answers `call` from its state, once `index` is applied. */
  | {
      readonly kind: "read"
      readonly query: unknown
      readonly call?: CallId
      readonly index?: number
    }
  /** Another node's state after `index` takes the place of the application's. */
  | { readonly kind: "install"; readonly index: number; readonly bytes: Uint8Array }
  /** Members may fetch this state, until none does any more. */
  | { readonly kind: "offer"; readonly snapshot: Snapshot }
  /** The state of that digest is fetched from who offers it, and installed. */
  | {
      readonly kind: "fetch"
      readonly index: number
      readonly digest: Uint8Array
      readonly length: number
      readonly from: NodeId | ReadonlyArray<NodeId>
    }
  /** Hands this phase message in again once `key` is woken. */
  | { readonly kind: "park"; readonly key: string | number }
  | { readonly kind: "wake"; readonly key: string | number }
  /** Hands `message` to this node's own application, without an order, and ends the instance. */
  | { readonly kind: "deliver"; readonly message: object }
  /** Nothing below `index` of a lane with `floor: "set"` is needed any more. Logged. */
  | { readonly kind: "floor"; readonly lane: string; readonly index: number }
  /** The timer fires once, in `ms` milliseconds; armed again, it fires then alone. */
  | { readonly kind: "arm"; readonly timer: string; readonly ms: number }
  | { readonly kind: "disarm"; readonly timer: string }
  /** Another member's signed words, which came in a message, are its votes where they fit. */
  | { readonly kind: "count"; readonly proof: SignedWord | Certificate }
  /** A client's request, shown by another member, opens its call here, for nobody yet. */
  | { readonly kind: "admit"; readonly request: SignedRequest }

/** One directive, or several in order. An empty list waits. */
export type Step = Directive | ReadonlyArray<Directive>
