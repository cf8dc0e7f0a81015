/**
 * What nodes and clients tell each other, decoded: the payload of one envelope. The codec is
 * src/link/envelope.ts; the numbers on the wire are in proto/quorate/v1/link.proto.
 */
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { EpochStanding } from "./epoch.ts"
import type { LaneKey } from "./laneKey.ts"

/** FNV-1a (32 bits) of "package.Service/Method". Two methods of one node never share it. */
export type MethodId = number

/** Of {@link Word.trace}. */
export const TRACE_BYTES = 25

/** What a node said: part of a say record, and sent as it stands, in this life and later ones. */
export interface Word {
  readonly kind: "word"
  /** 1, 2, 3 … in the log of the node that said it. */
  readonly position: number
  readonly lane: LaneKey
  readonly index: number
  readonly method: MethodId
  readonly round: number
  /** Session lanes: the `ackedBelow` the node knew when it spoke; 0 in protocol lanes. */
  readonly ackedBelow: number
  /** The exact bytes of the phase message. */
  readonly body: Uint8Array
  /** Members it is for; absent: all. Not on the wire between members, but in the say record. */
  readonly to?: ReadonlyArray<NodeId>
  /** The member whose word it is; absent: the one it came from. */
  readonly author?: NodeId
  /** Of a word in a signed phase, once it has left the gate: the log holds the word without. */
  signature?: Uint8Array
  /** Its signature, or a proof in it, is none: it has a position, and counts for nothing. */
  readonly forged?: true
  /**
   * Of an instance that is traced: id of the trace (16 bytes), of the sender's span (8), W3C flags
   * (1). Not signed, not in the say record, and nothing to the engine.
   */
  readonly trace?: Uint8Array
  /** The encoded envelope, kept by the codec so that a word to many is encoded once. */
  wire?: Uint8Array
}

/**
 * After link up, before any word: send me what you said from `position` on; 0: what I had not told
 * as done.
 */
export interface Want {
  readonly kind: "want"
  readonly position: number
}
/**
 * The answer to a want, before what follows: my next word to you has this position or a higher
 * one.
 */
export interface Resume {
  readonly kind: "resume"
  readonly position: number
}
/**
 * Before a resume, or between words: what I said below `position` is gone, but for what I said in
 * instances that I have not finished.
 */
export interface Cut {
  readonly kind: "cut"
  readonly position: number
}
/** You are below where I am in this lane: my lowest unfinished index of it is `own`. */
export interface Behind {
  readonly kind: "behind"
  readonly lane: LaneKey
  readonly own: number
}
/** Send again what you said in [from, to) of this lane: I dropped it. */
export interface WantLane {
  readonly kind: "wantLane"
  readonly lane: LaneKey
  readonly from: number
  readonly to: number
}
/**
 * `taken`: your words up to it were given to my engine. `done`: their instances are finished here,
 * durably.
 */
export interface Taken {
  readonly kind: "taken"
  readonly taken: number
  readonly done: number
}
/** Member to member. */
export type PeerMessage = Word | Want | Resume | Cut | Behind | WantLane | Taken | EpochStanding

/** A client's call, or another copy of it. */
export interface Request {
  readonly kind: "request"
  readonly session: LaneKey
  /** 1, 2, 3 … in its session. */
  readonly index: number
  readonly ackedBelow: number
  readonly method: MethodId
  /** Milliseconds the client will still wait; 0: not told. */
  readonly deadlineMs: number
  readonly body: Uint8Array
  /** Of a signed method. */
  readonly proof?: RequestProof
  /** It has none, or one that is false. */
  readonly forged?: true
  /** Of a call that is traced: {@link Word.trace}. */
  readonly trace?: Uint8Array | undefined
}
/** That the client whose session it is asks for this. */
export interface RequestProof {
  /** Its ed25519 key, 32 bytes. */
  readonly clientKey: Uint8Array
  /** 16 bytes: the session's name is a digest of both. */
  readonly nonce: Uint8Array
  /** 64 bytes. */
  readonly signature: Uint8Array
}
/** A unicast or multicast: nobody answers. */
export interface OneWay {
  readonly kind: "oneWay"
  readonly method: MethodId
  readonly body: Uint8Array
  /** A proof in it is false. */
  readonly forged?: true
}
/** The client no longer waits. */
export interface Cancel {
  readonly kind: "cancel"
  readonly session: LaneKey
  readonly index: number
}
/** Client to node. */
export type ClientMessage = Request | OneWay | Cancel

/**
 * Node to client. `code` absent: the answer in `body`, or a tentative one. With `epoch_closing` and
 * `epoch_ended` the body describes the next epoch.
 */
export interface Reply {
  readonly kind: "reply"
  readonly session: LaneKey
  readonly index: number
  readonly body: Uint8Array
  readonly code?: ErrorCode
  readonly detail?: string
  /** The final answer is still to come, and may differ. Never with a code. */
  readonly tentative?: true
  /** With `redirect`: the node that takes the call. */
  readonly node?: NodeId
  /** With `session_expired`: the horizon. */
  readonly horizonMs?: number
}

export type Message = PeerMessage | ClientMessage | Reply

/** FNV-1a, 32 bits, over UTF-16 code units (names are ASCII). @source Fowler, Noll, Vo 1991 */
export const methodId = (fullName: string): MethodId => {
  let hash = 0x811c9dc5
  for (let i = 0; i < fullName.length; i++) {
    hash = Math.imul(hash ^ fullName.charCodeAt(i), 0x01000193) >>> 0
  }
  return hash
}
