/** The methods of a service as types: what `protoc-gen-quorate` prints, and what is read off it. */
import type { Message, MessageInitShape } from "@bufbuild/protobuf"
import type { GenMessage } from "@bufbuild/protobuf/codegenv2"

/** A call that the nodes answer after running phases among themselves. */
export interface Multiparty<I extends Message, O extends Message, Forwards extends string> {
  readonly call: "multiparty"
  readonly input: I
  readonly output: O
  readonly forwards: Forwards
}
/** A message nodes send to each other, all to all. `Replies`: the calls it can answer. */
export interface Phase<I extends Message, Forwards extends string, Replies extends string> {
  readonly call: "phase"
  readonly input: I
  readonly forwards: Forwards
  readonly replies: Replies
}
/** A call that each node answers on its own: RPC and QUORUM. */
export interface Unary<I extends Message, O extends Message> {
  readonly call: "unary"
  readonly input: I
  readonly output: O
}
/** A message that nobody answers: UNICAST and MULTICAST. */
export interface OneWay<I extends Message> {
  readonly call: "oneway"
  readonly input: I
}
export type Method =
  | Multiparty<any, any, any>
  | Phase<any, any, any>
  | Unary<any, any>
  | OneWay<any>

/** What a message is made of: the message itself, or its fields, any of them. */
export type Init<M extends Message> = MessageInitShape<GenMessage<M>>

export type Input<M, K extends keyof M> = M[K] extends { readonly input: infer I } ? I : never
export type Output<M, K extends keyof M> = M[K] extends { readonly output: infer O } ? O : never
export type InputInit<M, K extends keyof M> = M[K] extends {
  readonly input: infer I extends Message
}
  ? Init<I>
  : never
export type OutputInit<M, K> = K extends keyof M
  ? M[K] extends { readonly output: infer O extends Message }
    ? Init<O>
    : never
  : never

/** Names of the methods of one kind. */
export type KeyOf<M, Call> = {
  [K in keyof M]: M[K] extends { readonly call: Call } ? K : never
}[keyof M]
/** Names of the phases that `K` may forward to. */
export type ForwardKey<M, K extends keyof M> = M[K] extends { readonly forwards: infer F }
  ? F & keyof M
  : never
/** Names of the calls that `K` can answer. */
export type ReplyKey<M, K extends keyof M> = M[K] extends { readonly replies: infer R }
  ? R & keyof M
  : K
