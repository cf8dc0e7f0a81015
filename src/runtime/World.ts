/** What a protocol has beside its handlers: state, records, lanes, an application. */
import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf"
import type { Effect } from "effect"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { CallId, Directive, Step } from "../server/Directive.ts"
import type { LaneView } from "../server/handlers.ts"
import type { LaneSpec } from "../server/Protocol.ts"
import type { Snapshot, WantedState } from "../server/snapshot.ts"
import type { CallName, Common, ForwardOptions } from "./Context.ts"
import type { InputInit, KeyOf, OutputInit } from "./Method.ts"

/** First argument of `protocol` for a protocol that keeps more than votes. */
export interface World<
  M,
  State,
  Rec extends DescMessage,
  L extends string,
  T extends string,
  Cmd extends DescMessage,
  App,
  R,
  Q,
  Del extends DescMessage
> extends Hooks<
    HookContext<M, NoInfer<State>, NoInfer<Rec>, NoInfer<L>, NoInfer<T>, NoInfer<Cmd>, NoInfer<Q>>
  > {
  /** A node's state when it starts; plain data. Handlers read it, `evolve` alone changes it. */
  readonly state?: (node: { readonly self: NodeId; readonly system: System }) => State
  /** The message that `store` and `note` hand over. */
  readonly record?: Rec
  /**
   * Changes `state` in place, record by record, and at boot again for those stored. A throw halts
   * the node.
   */
  readonly evolve?: (state: NoInfer<State>, record: MessageShape<NoInfer<Rec>>) => void
  /** Ordered runs of instances that outlive calls, e.g. log slots. A name has 1 to 20 letters. */
  readonly lanes?: { readonly [Name in L]: LaneSpec }
  /** What to do when a timer fires. Timers are armed by handlers, and gone after a restart. */
  readonly timers?: {
    readonly [Name in T]: (
      context: HookContext<
        M,
        NoInfer<State>,
        NoInfer<Rec>,
        NoInfer<L>,
        NoInfer<T>,
        NoInfer<Cmd>,
        NoInfer<Q>
      >
    ) => Step
  }
  readonly application?: Application<M, L, Cmd, App, R, Q>
  readonly deliver?: Deliver<Del>
}

/** Where messages go that a node hands to its own application, in no order. */
export interface Deliver<Del extends DescMessage> {
  /** The message that `deliver` hands over. */
  readonly message: Del
  /**
   * Called once it is durable, and for what was delivered before, again after a restart: lane and
   * index name a delivery, by which the receiver knows it. A throw halts the node.
   */
  readonly to: (message: MessageShape<NoInfer<Del>>, delivery: Delivery) => void
}
export interface Delivery {
  /** The node that delivers. */
  readonly self: NodeId
  /** The lane's name, or its session in hexadecimal digits. */
  readonly lane: string
  readonly index: number
  /** In a session: the call. `method` is empty where several calls share the phase. */
  readonly call: CallName | undefined
}

/** What the node tells the protocol of its own accord. Synchronous, as phases are. */
export interface Hooks<Context> {
  /** The node has read its log and starts: timers are armed here. */
  readonly booted?: (context: Context) => Step
  /**
   * Others are further in `lane` than this node, which does not move on, and may have forgotten
   * what it misses: their lowest unfinished index is `own`, or above.
   */
  readonly behind?: (context: Context & { readonly lane: string; readonly own: number }) => Step
  /** The application's state after `index` of `lane` was installed. */
  readonly installed?: (
    context: Context & { readonly lane: string; readonly index: number }
  ) => Step
  /** A turn ends in which a handler of this protocol ran: batches are formed here. */
  readonly turnEnd?: (context: Context) => Step
  /** Another epoch of the group is active: this one closes. */
  readonly epoch?: (context: Context) => Step
}
/** What hooks and timers are given: no message, no call. */
export type HookContext<
  M,
  State,
  Rec extends DescMessage,
  L extends string,
  T extends string,
  Cmd extends DescMessage,
  Q
> = Common &
  InWorld<State, MessageInitShape<Rec>, L, T, Cmd, Q> & { readonly forward: HookForward<M, L> }
/** Every phase; without lanes none, since no call is at hand whose phase it were. */
export type HookForward<M, L extends string> = [L] extends [never]
  ? {}
  : {
      readonly [P in KeyOf<M, "phase">]: (
        message: InputInit<M, P>,
        options?: ForwardOptions
      ) => Directive
    }

/** What the protocol decides about: runs decided commands in lane order, on every node alike. */
export interface Application<M, L extends string, Cmd extends DescMessage, App, R, Q> {
  /** The message that `apply` hands over. */
  readonly command: Cmd
  /** The lane whose indexes it runs; default: the first. */
  readonly lane?: NoInfer<L>
  readonly initial: () => App
  /**
   * Runs one command, returns the reply to its call. It may change `state` in place. It must be
   * deterministic, and run a command once that comes twice for one call (a leader may propose a
   * retry again). A throw halts the node.
   *
   * May return an Effect, which starts once the decision is durable, one at a time: the vote goes
   * on meanwhile. It leaves `state` alone and ends with a function that changes it and returns the
   * reply.
   */
  readonly apply: (
    state: NoInfer<App>,
    command: MessageShape<NoInfer<Cmd>>,
    context: ApplyContext
  ) => Applied<M> | Effect.Effect<(state: NoInfer<App>) => Applied<M>, never, R>
  /**
   * Takes back what `apply` did last, with the same context: what it needs for that, `apply` puts
   * into `context.kept`. Without it nothing can be applied tentatively.
   */
  readonly undo?: (
    state: NoInfer<App>,
    command: MessageShape<NoInfer<Cmd>>,
    context: ApplyContext
  ) => void
  /** Makes the reply to a call of the state, and leaves the state alone. */
  readonly read?: (state: NoInfer<App>, query: Q) => OutputInit<M, KeyOf<M, "multiparty" | "unary">>
  /**
   * For an application that keeps a durable state of its own: the last index in it, asked when the
   * node starts; what was decided behind it is applied again. Its `apply` returns Effects, each of
   * which ends once it is durable. It has no snapshots.
   */
  readonly appliedIndex?: () => number
}
/** The reply to the command's call, where there is one to answer. */
type Applied<M> = OutputInit<M, KeyOf<M, "multiparty">> | undefined
export interface ApplyContext {
  readonly lane: string
  readonly index: number
  /** The call the command is about; `undefined`: it answers none. */
  readonly call: CallName | undefined
  /** What `undo` needs. */
  kept: unknown
}

/** What a world adds to every context. */
export type InWorld<State, Rec, L extends string, T extends string, Cmd, Q> = InState<
  State,
  Rec,
  L
> &
  ([L] extends [never] ? {} : Floored<L>) &
  ([T] extends [never] ? {} : Timed<T>) &
  ([Cmd] extends [never] ? {} : Applies<Q>)
interface InState<State, Rec, L extends string> {
  readonly state: State
  readonly lanes: { readonly [Name in L]: LaneView }
  /** Hands `record` to `evolve` and logs it: nothing said beside it leaves before it is durable. */
  readonly store: (record: Rec) => Directive
  /** Hands `record` to `evolve`; gone after a restart. */
  readonly note: (record: Rec) => Directive
}
interface Floored<L extends string> {
  /**
   * Nothing below `index` is needed any more, in a lane with `floor: "set"`. Belongs into the step
   * that stores what stands for it, such as a checkpoint.
   */
  readonly floor: (lane: L, index: number) => Directive
}
interface Applies<Q> {
  /**
   * `application.read(state, query)` answers the call, once `index` is applied; default: now. In a
   * lane or hook no call is at hand, and has to be said.
   */
  readonly read: (query: Q, options?: ReadOptions) => Directive
  /** The application's state, for a node that lacks what made it. */
  readonly snapshot: () => Snapshot
  /** Puts another node's state in place of the application's; an older one changes nothing. */
  readonly install: (snapshot: Pick<Snapshot, "index" | "bytes">) => Directive
  /**
   * Lets members fetch a snapshot that fits no message. They need its index, digest and length,
   * which do fit. Given up once nobody has asked for a while, and by a restart.
   */
  readonly offer: (snapshot: Snapshot) => Directive
  /**
   * Fetches a state from members that offer it, then puts it in place as `install` does. Again for
   * the same digest: from these members too; for another one while this lasts: nothing. Ends in the
   * hook `installed`; where it cannot be had, in `behind`. A restart forgets it: `booted`.
   */
  readonly fetch: (
    state: WantedState & { readonly from: NodeId | ReadonlyArray<NodeId> }
  ) => Directive
  /** Undoes what ran tentatively from `index` on, and forgets what was to. */
  readonly rollback: (index: number) => Directive
}
export interface ReadOptions {
  readonly call?: CallId
  readonly index?: number
}
interface Timed<T extends string> {
  /** `timer` fires once, in `ms` milliseconds; armed again before, it fires then alone. */
  readonly arm: (timer: T, ms: number) => Directive
  readonly disarm: (timer: T) => Directive
}
