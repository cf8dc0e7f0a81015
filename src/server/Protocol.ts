/**
 * A protocol as the engine takes it: what `Service.protocol(...)` in src/runtime makes of a
 * descriptor and an author's handlers. No protobuf here: codecs are passed in.
 */
import type { System } from "../quorum/QuorumSystem.ts"
import type { Agreement } from "../quorum/Tally.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { CallView } from "./callView.ts"
import type { Step } from "./Directive.ts"
import type { Proof } from "./Proof.ts"

export type { Agreement }

/** Turns a message into bytes and back. `decode` throws on bytes that are no such message. */
export interface Codec {
  readonly decode: (bytes: Uint8Array) => object
  /** Takes a message or the init of one. */
  readonly encode: (message: object) => Uint8Array
}

/** `hook`: nobody calls it, the engine itself does. */
export type CallKind = "rpc" | "quorum" | "multiparty" | "phase" | "unicast" | "multicast" | "hook"

export type HandlerFunction = (context: any) => unknown
/**
 * A phase handler with a key of its own, or a quorum function. Exactly one of `each` and `quorum`.
 */
export interface KeyedHandler {
  /** A protocol lane declared in the world; absent: the session of the call. */
  readonly lane?: string
  readonly index?: (message: any) => number
  readonly round?: (message: any) => number
  readonly agreeOn?: (message: any) => Agreement
  readonly each?: HandlerFunction
  readonly quorum?: HandlerFunction
}
export type AnyHandler = HandlerFunction | KeyedHandler

export interface MethodSpec {
  /** Local name, e.g. "preAccept". */
  readonly name: string
  /** "package.Service/Method" */
  readonly fullName: string
  readonly call: CallKind
  readonly input: Codec
  readonly output: Codec
  /** Local names of the phases this method may forward to. */
  readonly forwards: ReadonlyArray<string>
  /** Local names of the calls this phase can answer. */
  readonly replies: ReadonlyArray<string>
  readonly handler: AnyHandler
  /** MULTIPARTY: a cancel, or the deadline, ends the call's instance here. */
  readonly abandon?: boolean
  /** PHASE: words carry their author's signature. MULTIPARTY: requests their client's. */
  readonly signed?: boolean
  /** The proofs in a decoded input, for the host to verify; absent: it has no place for any. */
  readonly proofs?: (message: object) => ReadonlyArray<Proof>
}

export interface LaneSpec {
  /** Instances open at once; at most `laneWindowMax`. */
  readonly window?: number
  /**
   * Rounds 0 … rounds-1 are kept, higher ones refused. Default 1. `"latest"`: any round, but of
   * each author only its word in the highest one, phase by phase; nobody speaks in a lower one
   * again. Without `floor: "set"` such a lane has no window, but a single instance, index 1, which
   * never finishes.
   */
  readonly rounds?: number | "latest"
  /**
   * Instances are over when the directive `floor` says so, and not before: others may still need
   * this node's voice in what is decided here. The floor must move at least every half window.
   */
  readonly floor?: "set"
}

/** What the engine calls when no message comes: each returns a step, at once. */
export interface WorldHooks {
  /** The log is read back: timers are armed here, which no restart keeps. */
  readonly booted?: HandlerFunction
  /** Others have forgotten what this node still misses: `{ lane, own }`. */
  readonly behind?: HandlerFunction
  /** The application's state of an index was installed: `{ lane, index }`. */
  readonly installed?: HandlerFunction
  /** A turn ends in which a handler of this protocol ran: batches are formed here. */
  readonly turnEnd?: HandlerFunction
  /** Another epoch is active: this one closes. */
  readonly epoch?: HandlerFunction
}

/** The state a protocol keeps beside its votes, and the application it drives. */
export interface WorldSpec extends WorldHooks {
  /** Plain data; written by `evolve` only. */
  readonly state?: (node: { readonly self: NodeId; readonly system: System }) => unknown
  /** Codec of what `store` and `note` hand over. */
  readonly record?: Codec
  /** Returns nothing: it changes `state` in place. A throw halts the node. */
  readonly evolve?: (state: any, record: any) => void
  readonly lanes?: { readonly [name: string]: LaneSpec }
  /** What to do when a timer fires; `arm` takes these names alone. */
  readonly timers?: { readonly [name: string]: HandlerFunction }
  readonly application?: ApplicationSpec
  readonly deliver?: DeliverSpec
}

/** Where `deliver` hands messages to: this node's own application. */
export interface DeliverSpec {
  readonly message: Codec
  /**
   * Called when it is durable that this index delivered, and again after a restart: lane and index
   * name the delivery. A throw halts the node.
   */
  readonly to: (message: any, delivery: Delivery) => void
}
export interface Delivery {
  readonly self: NodeId
  readonly lane: string
  readonly index: number
  /** In a session lane. */
  readonly call: unknown
}

/** What `apply` runs, in lane order, once per index, the same on every node. */
export interface ApplicationSpec {
  readonly command: Codec
  /** The lane whose indexes it runs; default: the first. */
  readonly lane?: string
  readonly initial: () => unknown
  /**
   * Runs one command and returns the reply message of `call`'s method, or `undefined` where the
   * command answers no call. It may change `state` in place; it must be deterministic and
   * run a retried command (same call) once. A throw halts the node. May return an Effect, which
   * leaves `state` alone and ends with a function that changes it and returns the reply.
   */
  readonly apply: (state: any, command: any, context: ApplyContext) => unknown
  /** Takes back what `apply` did last; without it nothing runs ahead of its decision. */
  readonly undo?: (state: any, command: any, context: ApplyContext) => void
  /** Answers a call from the state, and leaves it alone. */
  readonly read?: (state: any, query: any) => object
  /**
   * Of an application that keeps a durable state of its own: the last index in it, when the node
   * starts. Its `apply` returns Effects, each of which ends when it is durable.
   */
  readonly appliedIndex?: () => number
}
export interface ApplyContext {
  readonly lane: string
  readonly index: number
  readonly call: CallView | undefined
  /** For `undo`, which gets the same context: what `apply` put here. */
  kept: unknown
}

export interface ProtocolSpec {
  /** "package.Service" */
  readonly name: string
  readonly methods: ReadonlyArray<MethodSpec>
  readonly world?: WorldSpec
}

/** An entry handler's Effect, opaque to the engine: the rim runs it and hands in `ran`. */
export interface Running {
  readonly effect: unknown
}
/** How the compiled handlers tell an Effect from a step; given by the rim (`Effect.isEffect`). */
export type IsEffect = (value: unknown) => boolean

export type HandlerResult = Step | Running
