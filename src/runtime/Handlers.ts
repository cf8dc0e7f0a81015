/** What an author writes per method. */
import type { Effect } from "effect"
import type { Agreement } from "../quorum/Tally.ts"
import type { Step } from "../server/Directive.ts"
import type {
  CallContext,
  LaneMessageContext,
  LaneVotesContext,
  MessageContext,
  OneWayContext,
  UnaryContext,
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
type RequirementsOf<A> = A extends Effect.Effect<any, any, infer R> ? R : never
/** What the handlers' Effects need, method by method. */
export type Requirements<A> = { readonly [K in keyof A]: RequirementsOf<A[K]> }

/** Tallies the votes of a phase and says what to do with them. Votes belong to the call. */
export interface QuorumFunction<M, K extends keyof M, W, A, P> {
  /** What members must agree on, compared by value; default: the whole message as received. */
  readonly agreeOn?: (message: Input<M, K>) => P
  /** Called for each vote, one at a time. Synchronous and pure. */
  readonly quorum: (context: VotesContext<M, K, P> & W) => A
}

interface InLane<M, K extends keyof M, L extends string> {
  readonly lane: L
  /** Which instance of the lane the message is about: 1, 2, 3 … */
  readonly index: (message: Input<M, K>) => number
  /** View, ballot or attempt; default: 0. */
  readonly round?: (message: Input<M, K>) => number
}
/** Takes every message of a phase in a protocol lane, at most one per author, index and round. */
export interface LaneHandler<M, K extends keyof M, W, L extends string, Command, A>
  extends InLane<M, K, L> {
  /** Synchronous and pure. */
  readonly each: (context: LaneMessageContext<M, K, Command> & W) => A
  readonly agreeOn?: never
  readonly quorum?: never
}
/** Tallies the votes of a phase in a protocol lane, by index and round. */
export interface LaneQuorumFunction<M, K extends keyof M, W, L extends string, Command, A, P>
  extends InLane<M, K, L> {
  /** What members must agree on, compared by value; default: the whole message as received. */
  readonly agreeOn?: (message: Input<M, K>) => P
  /** Called for each vote, one at a time. Synchronous and pure. */
  readonly quorum: (context: LaneVotesContext<M, K, Command, P> & W) => A
  readonly each?: never
}

type PhaseHandler<M, K extends keyof M, W, L extends string, Command, A, P> = [L] extends [never]
  ? QuorumFunction<M, K, W, A, P> | ((context: MessageContext<M, K> & W) => A)
  : LaneHandler<M, K, W, L, Command, A> | LaneQuorumFunction<M, K, W, L, Command, A, P>

/** The handler of method `K`: a function of every message, or of the votes of a phase. */
export type Handler<M, K extends keyof M, W, L extends string, Command, A, P> = M[K] extends {
  readonly call: "phase"
}
  ? PhaseHandler<M, K, W, L, Command, A, P>
  : M[K] extends { readonly call: "oneway" }
    ? (context: OneWayContext<M, K> & W) => A
    : M[K] extends { readonly call: "unary" }
      ? (context: UnaryContext<M, K> & W) => A
      : (context: CallContext<M, K> & W) => A

type Unknown<K> = `"${K & string}" is not a method of this service`
/**
 * One handler per method. `W`: what the world adds to contexts; `L`: its lanes; `Command`: what
 * `apply` takes; `A`: what each handler returns; `P`: what each `agreeOn` returns.
 */
export type Handlers<M, W, L extends string, Command, A, P> = {
  readonly [K in keyof A]: K extends keyof M
    ? Handler<M, K, W, L, Command, A[K], K extends keyof P ? P[K] : never>
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
