/** What callers use: one kind of function per kind of call. */
import type { Message } from "@bufbuild/protobuf"
import type { Effect, Stream } from "effect"
import type { NodeId } from "../base/NodeId.ts"
import type { CallFailed } from "../quorum/client/Errors.ts"
import type { FaultModel } from "../quorum/FaultModel.ts"
import type { Policy } from "../quorum/Policy.ts"
import type { Vote } from "../quorum/Vote.ts"
import type { Failed } from "./Failed.ts"
import type { Init, KeyOf, Multiparty, OneWay, Unary } from "./Method.ts"

/** Nodes a caller addresses: some of the group's members. */
export interface Configuration {
  readonly nodes: ReadonlyArray<NodeId>
}

export interface CallOptions {
  /**
   * Milliseconds until the call fails with `deadline_exceeded`; default 5,000, at most an hour.
   * It travels with the call: the nodes give up too.
   */
  readonly timeoutMs?: number
  /** Default: the whole group. Keep the array or configuration: what is known of it is cached. */
  readonly to?: ReadonlyArray<NodeId> | Configuration
}

interface Replies<I extends Message, O extends Message> {
  /** Node by node, as they come; ends when every node has replied or failed. */
  readonly replies: (request: Init<I>, options?: CallOptions) => Stream.Stream<Vote<O>, CallFailed>
}
/** Without a policy: the reply that `oneHonest` nodes agree on, byte for byte. */
export interface MultipartyCall<I extends Message, O extends Message> extends Replies<I, O> {
  <A = O>(
    request: Init<I>,
    policy?: Policy<O, A>,
    options?: CallOptions
  ): Effect.Effect<A, CallFailed>
}
/** Without a policy: the replies of a quorum, in member order. */
export interface QuorumCall<I extends Message, O extends Message> extends Replies<I, O> {
  <A = ReadonlyArray<Vote<O>>>(
    request: Init<I>,
    policy?: Policy<O, A>,
    options?: CallOptions
  ): Effect.Effect<A, CallFailed>
  /** A request of its own for each node; `undefined`: that node is not called. */
  readonly each: <A = ReadonlyArray<Vote<O>>>(
    request: (node: NodeId) => Init<I> | undefined,
    policy?: Policy<O, A>,
    options?: CallOptions
  ) => Effect.Effect<A, CallFailed>
}
/** Calls one node. */
export interface RpcCall<I extends Message, O extends Message> {
  (
    node: NodeId,
    request: Init<I>,
    options?: Pick<CallOptions, "timeoutMs">
  ): Effect.Effect<O, CallFailed>
}
/** Tells one node; succeeds once the message is handed to the link, or there is none. */
export interface Unicast<I extends Message> {
  (node: NodeId, message: Init<I>): Effect.Effect<void, CallFailed>
}
/** Tells the nodes; succeeds once the message is handed to the links there are. */
export interface Multicast<I extends Message> {
  (message: Init<I>, options?: Pick<CallOptions, "to">): Effect.Effect<void, CallFailed>
}

/** What a node of a mocked group answers; `undefined`: it stays silent. */
export type MockReply<I extends Message, O extends Message> = (
  request: I,
  node: NodeId
) => Init<O> | Failed | undefined
type MockMethod<Method> =
  Method extends Multiparty<infer I extends Message, infer O extends Message, any>
    ? MockReply<I, O>
    : Method extends Unary<infer I extends Message, infer O extends Message>
      ? MockReply<I, O>
      : Method extends OneWay<infer I>
        ? (message: I, node: NodeId) => void
        : never
/**
 * One function per call of a service, asked node by node. A call left out fails with
 * `unknown_method`.
 */
export type Mock<M> = {
  readonly [K in Exclude<keyof M, KeyOf<M, "phase">>]?: MockMethod<M[K]>
}
export interface MockOptions {
  /** How many nodes there are, with ids 1, 2, 3 …; default 4. */
  readonly nodes?: number
  /** Default: "byzantine". */
  readonly faults?: FaultModel
}
