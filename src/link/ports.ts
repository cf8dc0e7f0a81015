/**
 * What the pure cores need of the world. The rim implements these over Node, the simulator over
 * virtual time; nothing in src/link or src/server reaches further.
 */
import type { UnaryEnds } from "./unaryCall.ts"

export interface Clock {
  /** Milliseconds since 1970, an integer that never goes back. */
  readonly nowMs: () => number
}

/** A closed failure: what the disk refused, for people. */
export type DiskFailure = string

/**
 * A folder of append-only files. Reading happens at boot and is synchronous; writing calls back,
 * never before the call has returned. One write per file is under way at a time.
 */
export interface Disk {
  /** For messages: the folder, or "memory". */
  readonly where: string
  /** Names in the folder, sorted, but for what the disk itself keeps there. */
  readonly list: () => ReadonlyArray<string>
  /** The whole file; throws a plain Error whose message says what failed. */
  readonly read: (name: string) => Uint8Array
  /** Makes `name` with `bytes`, syncs it and its folder. Boot only. */
  readonly create: (name: string, bytes: Uint8Array) => void
  /** Cuts `name` to `length` bytes and syncs it. Boot only. */
  readonly truncate: (name: string, length: number) => void
  /**
   * Appends `chunks` to `name` (made when absent, its folder entry synced) and syncs; then `done`.
   */
  readonly append: (
    name: string,
    chunks: ReadonlyArray<Uint8Array>,
    done: (failure: DiskFailure | undefined) => void
  ) => void
  /** Deletes `name` and syncs the folder; then `done`. Gone already is deleted. */
  readonly remove: (name: string, done: (failure: DiskFailure | undefined) => void) => void
  /** A folder in this one, made durably where there is none. Absent: this disk has no folders. */
  readonly folder?: (name: string) => Disk
  /** Deletes a folder and all in it; then `done`. Gone already is deleted. */
  readonly removeFolder?: (name: string, done: (failure: DiskFailure | undefined) => void) => void
  readonly close: () => void
}

/** What handshakes and tags of links need: all at once, on this thread. */
export interface Crypto {
  readonly random: (length: number) => Uint8Array
  /** A new X25519 key pair (RFC 7748), for one handshake. */
  readonly makeExchange: () => Exchange
  /** HMAC-SHA256 (RFC 2104): 32 bytes. */
  readonly hmac: (key: Uint8Array, bytes: Uint8Array) => Uint8Array
  /** AES-256-GCM under this key of 32 bytes. */
  readonly cipher: (key: Uint8Array) => Cipher
  /** Ed25519 (RFC 8032), about 0.1 ms. False for whatever is no key, or no signature. */
  readonly verifyNow: (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
}

export interface Exchange {
  /** 32 bytes. */
  readonly publicKey: Uint8Array
  /**
   * The secret, 32 bytes, that the owner of `theirs` gets with this side's public key; `undefined`
   * for 32 bytes that are no key: with a point of small order anybody knows the secret.
   */
  readonly agree: (theirs: Uint8Array) => Uint8Array | undefined
}

/** `nonce`: 12 bytes, never the same twice to make something with one key. Tags have 16 bytes. */
export interface Cipher {
  /** Of bytes that travel open. */
  readonly tag: (nonce: Uint8Array, bytes: Uint8Array) => Uint8Array
  readonly tagFits: (nonce: Uint8Array, bytes: Uint8Array, tag: Uint8Array) => boolean
  readonly encrypt: (nonce: Uint8Array, bytes: Uint8Array) => Sealed
  /** `undefined`: the tag does not fit. */
  readonly decrypt: (nonce: Uint8Array, sealed: Sealed) => Uint8Array | undefined
}

/** The two fields of a batch. */
export interface Sealed {
  readonly frame: Uint8Array
  readonly tag: Uint8Array
}

/** Ed25519 (RFC 8032) with one key. The same bytes always get the same signature, of 64 bytes. */
export interface Signer {
  readonly publicKey: Uint8Array
  /** Off this thread; `done` gets one signature each, in order, never before the call returned. */
  readonly sign: (
    messages: ReadonlyArray<Uint8Array>,
    done: (signatures: ReadonlyArray<Uint8Array>) => void
  ) => void
  readonly signNow: (message: Uint8Array) => Uint8Array
}

export interface VerifyJob {
  /** 32 bytes. */
  readonly key: Uint8Array
  /** Asked for once, when it is verified. */
  readonly message: Uint8Array
  readonly signature: Uint8Array
}
export interface Verifier {
  /** Off this thread; `done` gets one verdict each, in order, never before the call returned. */
  readonly verify: (
    jobs: ReadonlyArray<VerifyJob>,
    done: (valid: ReadonlyArray<boolean>) => void
  ) => void
}

/** What one batch of a link holds: a frame, or what hides it, and what proves it. */
export interface Packet {
  readonly frame: Uint8Array
  /** 16 bytes; absent on a plaintext link, and of what belongs to the handshake. */
  readonly tag?: Uint8Array
}

/** What a connection tells the one who owns it. */
export interface ConnectionEvents {
  /** One packet, whole and in order. Its bytes belong to the receiver. */
  readonly packet: (packet: Packet) => void
  /** All that was sent has left: `backlogBytes` is 0 again. Never within a call of `send`. */
  readonly drained: () => void
  /**
   * Told to who dialled, at most once: the other side, or a proxy before it, takes no new streams
   * here. It stops, is reloaded, or the connection was used long enough. This stream lives on.
   */
  readonly leaving: (why: string) => void
  /** Of connections that answer each packet: all up to this one, from 1, were handed on there. */
  readonly answered?: (sequence: number) => void
  /** Once, whoever ended it, and never within a call of `send` or `close`. */
  readonly closed: (reason: string) => void
}

/** One stream of packets in both directions. */
export interface Connection {
  /** For people: the other end. */
  readonly remote: string
  /** Present: it is one of unary calls, which answer each packet; a link of one group. */
  readonly unary?: UnaryEnds
  /** Sent and not yet taken by the socket. */
  readonly backlogBytes: number
  /** Queues one packet; packets leave in order. Nothing happens after `close`. */
  readonly send: (packet: Packet) => void
  /**
   * The handshake is done. Until then a frame that comes of more than `handshakeFrameBytesMax` cuts
   * the connection: whoever has not said who it is gets no more memory than that.
   */
  readonly trust: () => void
  /** Lets what is queued leave, then ends. */
  readonly close: () => void
}
