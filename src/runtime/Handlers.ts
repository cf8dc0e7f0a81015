/** What an author writes per method. */
import type { Effect } from "effect"
import type { Agreement } from "../quorum/Tally.ts"
import type { Step } from "../server/Directive.ts"
import type {
  CallContext,
  Delivers,
  Ends,
  MessageContext,
  OfCall,
  OfLane,
  OneWayContext,
  UnaryContext,
  Value,
  VotesContext
} from "./Context.ts"
import type { Failed } from "./Failed.ts"
import type { Input, KeyOf } from "./Method.ts"

/** What an entry handler returns: what to do, or an Effect of it. */
export type Result = Step | Effect.Effect<Step, Failed, any>
/** Phases run between two messages: they return what to do at once. */
export type Results<M> = {
  readonly [K in keyof M]: M[K] extends { readonly call: "phase" } ? Step : Result
}
// A handler that does not compile leaves `any` here. As `never` it is an error there alone, and not
// one more wherever the protocol runs.
type RequirementsOf<A> =
  A extends Effect.Effect<any, any, infer R> ? (0 extends 1 & R ? never : R) : never
/** What the handlers' Effects need, method by method. */
export type Requirements<A> = { readonly [K in keyof A]: RequirementsOf<A[K]> }

// A conditional type in a handler's own shape would fix what `agreeOn` returns before it is
// inferred. So one shape serves calls and lanes; contexts and LaneKeys say which of them it is.
type Place<M, K extends keyof M, L extends string, E> = DeliversOf<E> &
  ([L] extends [never] ? OfCall<M, K> : OfLane<M, K, E extends Ends<infer C, any> ? C : never>)
type DeliversOf<E> =
  E extends Ends<any, infer D> ? ([D] extends [never] ? unknown : Delivers<D>) : unknown

interface Key<M, K extends keyof M, L extends string> {
  /** A lane of the world; phases of a protocol without lanes belong to the call. */
  readonly lane?: NoInfer<L>
  /** Which instance of the lane the message is about: 1, 2, 3 … */
  readonly index?: (message: Input<M, K>) => number
  /** View, ballot or attempt; default: 0. */
  readonly round?: (message: Input<M, K>) => number
}
/** Tallies the votes of a phase, per call or per index and round of a lane. */
export interface QuorumFunction<M, K extends keyof M, W, L extends string, E, A, P>
  extends Key<M, K, L> {
  /** What members must agree on, compared by value; default: the whole message as received. */
  readonly agreeOn?: (message: Input<M, K>) => P
  /** Called for each vote, one at a time. Synchronous and pure. */
  readonly quorum: (context: VotesContext<M, K, P> & Place<M, K, L, E> & W) => A
  readonly each?: never
}
/** Takes every message of a phase, at most one per author, index and round. */
export interface EachMessage<M, K extends keyof M, W, L extends string, E, A> extends Key<M, K, L> {
  /** Synchronous and pure. */
  readonly each: MessageFunction<M, K, W, L, E, A>
  readonly agreeOn?: never
  readonly quorum?: never
}
type MessageFunction<M, K extends keyof M, W, L extends string, E, A> = (
  context: MessageContext<M, K> & Place<M, K, L, E> & W
) => A
type PhaseHandler<M, K extends keyof M, W, L extends string, E, A, P> =
  | QuorumFunction<M, K, W, L, E, A, P>
  | EachMessage<M, K, W, L, E, A>
  | MessageFunction<M, K, W, L, E, A>

/** Where a protocol has lanes, each phase names one, and the instance its messages are about. */
export type LaneKeys<M, L extends string> = {
  readonly [K in KeyOf<M, "phase">]: [L] extends [never] ? unknown : InLane<M, K, L>
}
interface InLane<M, K extends keyof M, L extends string> {
  readonly lane: NoInfer<L>
  readonly index: (message: Input<M, K>) => number
}
/** Says once more what `agreeOn` returns: inference to {@link Handlers} ends at `A`. */
export type AgreeOn<M, P> = {
  readonly [K in keyof P & keyof M]: { readonly agreeOn?: (message: Input<M, K>) => P[K] }
}

/** The handler of method `K`: a function of every message, or of the votes of a phase. */
export type Handler<M, K extends keyof M, W, L extends string, E, A, P> = M[K] extends {
  readonly call: "phase"
}
  ? PhaseHandler<M, K, W, L, E, A, P>
  : M[K] extends { readonly call: "oneway" }
    ? (context: OneWayContext<M, K> & W) => A
    : M[K] extends { readonly call: "unary" }
      ? (context: UnaryContext<M, K> & W) => A
      : (context: CallContext<M, K> & W) => A

type Unknown<K> = `"${K & string}" is not a method of this service`
/**
 * One handler per method. `W`: what the world adds to contexts; `L`: its lanes; `E`: what
 * `apply` and `deliver` take; `A`: what each handler returns; `P`: what each `agreeOn` returns.
 */
export type Handlers<M, W, L extends string, E, A, P> = {
  readonly [K in keyof A]: K extends keyof M
    ? Handler<M, K, W, L, E, A[K], K extends keyof P ? P[K] : Value>
    : Unknown<K>
}

// TypeScript infers one type parameter at a time, and `quorum` needs what `agreeOn` of the same
// phase returns. So each phase gets one of twelve parameters of its own, in an order that does not
// matter; a service with more phases sees `Agreement` in the others.
type ToIntersection<U> = (U extends unknown ? (u: U) => void : never) extends (i: infer I) => void
  ? I
  : never
type LastOf<U> =
  ToIntersection<U extends unknown ? () => U : never> extends () => infer Last ? Last : never
type TupleOf<U, T extends ReadonlyArray<unknown> = []> = [U] extends [never]
  ? T
  : TupleOf<Exclude<U, LastOf<U>>, readonly [LastOf<U>, ...T]>
type Zip<Names extends ReadonlyArray<unknown>, P extends ReadonlyArray<unknown>> = {
  readonly [I in keyof Names as I extends `${number}`
    ? Names[I] & string
    : never]: I extends keyof P ? P[I] : Agreement
}
/** What `agreeOn` returns, by name of the phase. */
export type Projections<M, P extends ReadonlyArray<unknown>> = Zip<TupleOf<KeyOf<M, "phase">>, P>
