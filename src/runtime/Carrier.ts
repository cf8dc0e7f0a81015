/**
 * The port between hosts and the world that carries their bytes: HTTP/2 in production, memory in
 * tests. Plain callbacks, because every message passes here; nothing below throws.
 */
import type { DescService } from "@bufbuild/protobuf"
import { Context, type Effect } from "effect"
import type { ErrorCode } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { FetchResult } from "../link/fetchCore.ts"
import type { FetchAnswer, FetchRange } from "../link/fetchStore.ts"
import type { Goodbye } from "../link/goodbye.ts"
import type { Hello } from "../link/groupHello.ts"
import type { Connection, ConnectionEvents, Crypto, Signer } from "../link/ports.ts"
import type { UnaryEnds } from "../link/unaryCall.ts"
import type { ClientMessage, MethodId, Reply, RequestProof } from "../server/Message.ts"
import type { LaneKey } from "../server/laneKey.ts"

/** The ids of a call on the unary transport; they travel as headers. */
export interface UnaryIds {
  readonly session: LaneKey
  readonly index: number
  readonly ackedBelow: number
  /** Of a signed method. */
  readonly proof?: RequestProof
}
/** One call of one method at one node, outside any link. */
export interface UnaryCall {
  /** "package.Service/Method" */
  readonly method: string
  readonly body: Uint8Array
  /** Milliseconds the caller will wait; 0: not told. */
  readonly deadlineMs: number
  /** `oneWay`: needs none, nobody answers. Absent: a stranger calls, with a stock client. */
  readonly ids: UnaryIds | "oneWay" | undefined
  /** The context of the caller's trace, where it traces this call. */
  readonly trace?: Uint8Array | undefined
}
export interface UnaryReply {
  readonly body: Uint8Array
  readonly code?: ErrorCode
  readonly detail?: string
  readonly node?: NodeId
  readonly horizonMs?: number
}

/** A member's ask for a range, outside any link. */
export interface FetchCall extends FetchRange {
  readonly groupDigest: Uint8Array
  /** Who says that it asks. */
  readonly node: NodeId
  /** Shows that it does: what the host that is asked told it over their link. */
  readonly token: Uint8Array
}
/** A way to ask one host for ranges. It connects when it is needed. */
export interface FetchChannel {
  /** Calls `done` once, not within this call. */
  readonly ask: (call: FetchCall, done: (result: FetchResult) => void) => void
  readonly close: () => void
}

/** The other end of a link of unary calls between members. */
export interface UnaryPeer extends UnaryEnds {
  readonly address: string
  /** "package.Service/Method" of a method id. */
  readonly methodName: (method: MethodId) => string | undefined
}

/** What a host answers at its address. */
export interface Door {
  readonly accept: (connection: Connection) => ConnectionEvents
  /** Services whose methods strangers may call. */
  readonly services: ReadonlyArray<DescService>
  /** Calls `done` once, unless what it returned, which ends the caller's interest, ran first. */
  readonly unary: (call: UnaryCall, done: (reply: UnaryReply) => void) => () => void
  /** The node's hello, or why it refuses this client. */
  readonly greet: (theirs: Hello) => Hello | Goodbye
  /** Where to call a member that dials by unary calls, or why it is refused. Absent: none may. */
  readonly peer?: (ends: UnaryEnds) => UnaryPeer | Goodbye
  /** Why it refuses the caller, where it does. Absent: nobody fetches here. */
  readonly fetch?: (call: FetchCall) => FetchAnswer | Goodbye
  /** Bytes that are no message of ours came in. */
  readonly garbage: (remote: string, what: string) => void
}

export interface Listener {
  /** Takes no new connections and calls from now on. */
  readonly refuse: () => void
  /** Ends what is left, at the latest after `shutdownMs`. */
  readonly close: Effect.Effect<void>
}

/** A client's way to one node. */
export interface NodeChannel {
  /** False: it is down, or no such method is known. */
  readonly send: (message: ClientMessage) => boolean
  /** Every `tickMs`: calls whose deadline has passed are let go. */
  readonly tick: () => void
  readonly close: () => void
}
export interface NodeChannelOptions {
  readonly address: string
  readonly hello: Hello
  readonly limits: Limits
  /** Why this client refuses the node. */
  readonly check: (theirs: Hello) => Goodbye | undefined
  /** "package.Service/Method" of a method id; `undefined`: no service in use has it. */
  readonly methodName: (method: number) => string | undefined
  readonly up: (theirs: Hello) => void
  /** `goodbye`: one side refused the other. */
  readonly down: (why: string, goodbye?: Goodbye) => void
  readonly reply: (reply: Reply) => void
}

export class Carrier extends Context.Service<
  Carrier,
  {
    /** Never fails here: what goes wrong is told to `closed`. */
    readonly dial: (address: string, events: ConnectionEvents) => Connection
    /** The same by unary calls, to a member; absent: it has none. */
    readonly dialUnary?: (peer: UnaryPeer, events: ConnectionEvents) => Connection
    /** Fails with what is wrong with the address, for people. */
    readonly listen: (address: string, door: Door) => Effect.Effect<Listener, string>
    /** Present: clients call methods one by one, without links. */
    readonly unary?: (options: NodeChannelOptions) => NodeChannel
    /** Absent: nothing is fetched. */
    readonly fetches?: (address: string, limits: Limits) => FetchChannel
    /** A new ed25519 key for a client; absent: clients of this carrier sign nothing. */
    readonly makeKey?: () => Signer
    /** For links that are not plaintext; absent: this carrier has no others. */
    readonly suite?: Crypto
  }
>()("quorate/Carrier") {}
