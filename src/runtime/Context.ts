/** What handlers are given: one context per kind of handler. */
import type { FailCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Quorum, System } from "../quorum/QuorumSystem.ts"
import type { Agreement } from "../quorum/Tally.ts"
import type { Vote } from "../quorum/Vote.ts"
import type { CallId, Directive, Target } from "../server/Directive.ts"
import type { Certificate, SignedRequest, SignedWord } from "../server/Proof.ts"
import type { ForwardKey, Input, InputInit, OutputInit, ReplyKey } from "./Method.ts"

/**
 * Names a client's call, the same on every node. It fits into a field of type `quorate.v1.CallId`,
 * so that a message can carry the call it is about.
 */
export interface CallName extends CallId {
  /** The name as a string: the key of a map. */
  readonly key: string
}

export interface ForwardOptions {
  /** Who hears it; default: all members, this node too. */
  readonly to?: Target
}
export interface ReplyOptions {
  /** Which call is answered; default: the one at hand. */
  readonly call?: CallId | undefined
}
/** In a protocol lane no call is at hand. */
export interface ReplyTo {
  readonly call: CallId
}

/** The phases that method `K` may forward to. */
export type Forward<M, K extends keyof M> = {
  readonly [P in ForwardKey<M, K>]: (
    message: InputInit<M, P>,
    options?: ForwardOptions
  ) => Directive
}
/** Answers a call, with this node's last word. */
export interface Answer<Message> {
  (message: Message, options?: ReplyOptions): Directive
  /**
   * Answers for now: the call stays open, and the final answer replaces it. Heard by clients whose
   * policy asks for tentative replies.
   */
  readonly tentative: (message: Message, options?: ReplyOptions) => Directive
}
/** The same in a protocol lane: which call is answered has to be said. */
export interface LaneAnswer<Message> {
  (message: Message, options: ReplyTo): Directive
  readonly tentative: (message: Message, options: ReplyTo) => Directive
}
type IsUnion<T, U = T> = T extends unknown ? ([U] extends [T] ? false : true) : never
/** Answers the call; by name where several calls share the phase. */
export type Reply<M, K extends keyof M> =
  IsUnion<ReplyKey<M, K>> extends true
    ? { readonly [C in ReplyKey<M, K>]: Answer<OutputInit<M, C>> }
    : Answer<OutputInit<M, ReplyKey<M, K>>>
/** The same in a protocol lane. */
export type LaneReply<M, K extends keyof M> =
  IsUnion<ReplyKey<M, K>> extends true
    ? { readonly [C in ReplyKey<M, K>]: LaneAnswer<OutputInit<M, C>> }
    : LaneAnswer<OutputInit<M, ReplyKey<M, K>>>

/** Ends one copy of a call, not the call: the client tries again. */
export interface Refuse {
  /** `node` takes this call. */
  readonly redirect: (node: NodeId) => Directive
  readonly overloaded: () => Directive
}
/** The final failure of the call, here. */
export type Fail = (code: FailCode, detail: string) => Directive

/** Stands for the whole message where `agreeOn` is left out. */
export interface Whole {
  readonly "~quorate/Whole": true
}
/** What `agreeOn` may return. Left out, it is inferred as all of this. */
export type Value = Agreement | readonly [] | Whole

/** The votes of one phase, seen from the one that just came. `P`: what `agreeOn` returns. */
export interface Votes<V, P> {
  /** The value that just came: what `agreeOn` made of it; without `agreeOn` the message. */
  readonly value: [Whole] extends [P] ? V : P
  /** The message that just came. Only `value` is agreed: the rest is its author's word. */
  readonly message: V
  readonly author: NodeId
  /** Whether this node itself said that value. */
  readonly mine: boolean
  /** How many members said that value. */
  readonly count: number
  /** Whether the members that said that value are such a quorum. */
  readonly agreed: (quorum: Quorum) => boolean
  /** The votes for that value, in member order. */
  readonly certificate: ReadonlyArray<Vote<V>>
  /** The same for whoever was not there, as `quorate.v1.Certificate`. Signed phases only. */
  readonly proof: Certificate
  /** Every vote, whatever its value, in member order. */
  readonly all: ReadonlyArray<Vote<V>>
}

export interface Common {
  readonly self: NodeId
  readonly system: System
  /** What one message of this group may hold, in bytes. */
  readonly bodyBytesMax: number
  readonly wait: Directive
  /** Nothing to do, and worth counting. */
  readonly ignore: (reason: string) => Directive
  /**
   * Signed words that came in a message are votes of their authors, as if these had sent them.
   * Those whose call or lane does not take votes now are dropped: the protocol can ask again.
   */
  readonly count: (proof: SignedWord | Certificate) => Directive
  /**
   * Opens the call of a client's request that came in a message, as if the client had sent it here:
   * its entry handler runs, unless the call is known, finished or forgotten. In a Byzantine group
   * its method must be signed.
   */
  readonly admit: (request: SignedRequest) => Directive
  /** Hands the messages parked under `key` in again, once all else of this step is done. */
  readonly wake: (key: string | number) => Directive
}
interface PhaseCommon extends Common {
  /**
   * Hands this message in again, as it stands then, once a handler of this protocol wakes `key`;
   * not where its instance has ended by then. A restart forgets it.
   */
  readonly park: (key: string | number) => Directive
}
/** A call as the node knows it that the client called. */
export interface ClientCall extends CallName {
  /** Calls of the same session below it are answered: the client will never ask for them again. */
  readonly acknowledgedBelow: number
}

interface Called extends Common {
  readonly call: ClientCall
  /** This is the first, second … copy of the call that came. Without lanes only the first runs. */
  readonly copy: number
  readonly refuse: Refuse
  readonly fail: Fail
}

/** Of a MULTIPARTY method. */
export interface CallContext<M, K extends keyof M> extends Called {
  readonly message: Input<M, K>
  /** The request as its client signed it, for other nodes to see. Signed methods only. */
  readonly proof: SignedRequest
  readonly forward: Forward<M, K>
  readonly reply: Reply<M, K>
}
/** Of an RPC or QUORUM method. */
export interface UnaryContext<M, K extends keyof M> extends Called {
  readonly message: Input<M, K>
  readonly reply: (message: OutputInit<M, ReplyKey<M, K>>, options?: ReplyOptions) => Directive
}
/** Of a UNICAST or MULTICAST method. */
export interface OneWayContext<M, K extends keyof M> extends Common {
  readonly message: Input<M, K>
}

/** Of a phase, message by message. */
export interface MessageContext<M, K extends keyof M> extends PhaseCommon {
  readonly message: Input<M, K>
  readonly author: NodeId
  /** The message as its author signed it, for other nodes to see. Signed phases only. */
  readonly proof: SignedWord
  readonly forward: Forward<M, K>
}
/** Of a quorum function. `P`: what `agreeOn` returns. */
export interface VotesContext<M, K extends keyof M, P> extends PhaseCommon {
  readonly votes: Votes<Input<M, K>, P>
  readonly forward: Forward<M, K>
}
/**
 * In a phase that several calls share it has no `method`: a node that heard of the call from
 * members alone does not know which it was. The message has to say.
 */
export type CallAtHand<M, K extends keyof M> =
  IsUnion<ReplyKey<M, K>> extends true ? Omit<CallName, "method"> : CallName
/** What a phase has beside it that belongs to a call. */
export interface OfCall<M, K extends keyof M> {
  readonly call: CallAtHand<M, K>
  readonly reply: Reply<M, K>
  readonly fail: Fail
}
export interface ApplyOptions extends ReplyOptions {
  /**
   * It runs ahead of its decision, once all below has run; what is decided otherwise is undone. No
   * read, snapshot or log sees it.
   */
  readonly tentative?: boolean
}
/** One command of several that an index is decided to be. */
export interface BatchItem<Command> {
  readonly command: Command
  /** The call that its result answers. */
  readonly call?: CallId | undefined
}
/** What a phase has beside it that belongs to a protocol lane. */
export interface OfLane<M, K extends keyof M, Command> {
  readonly index: number
  readonly round: number
  readonly reply: LaneReply<M, K>
  /**
   * This index is decided: the application runs `command` in lane order, once, and its result
   * answers `call`. Of a list, each result answers the call beside its command; an empty one only
   * closes a hole. A second, different decision for an index halts the node.
   */
  readonly apply: (
    command: Command | ReadonlyArray<BatchItem<Command>>,
    options?: ApplyOptions
  ) => Directive
}
/** What a phase has beside it where the world delivers. */
export interface Delivers<Message> {
  /**
   * Hands `message` to this node's own application, in no order, and ends the instance: nothing
   * more is said in it, and a call that got no other reply gets an empty one. Names the delivery:
   * lane and index. A lane's indexes are all delivered, or all applied.
   */
  readonly deliver: (message: Message) => Directive
}
/** What `apply` takes and what `deliver` takes. */
export interface Ends<Command, Message> {
  readonly command: Command
  readonly message: Message
}
