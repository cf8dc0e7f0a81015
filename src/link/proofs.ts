/**
 * The bytes that are signed, and what makes a proof one. docs/PROTOCOL.md 15 has them with test
 * vectors. Pure: keys and curves are behind {@link Signer} and {@link Verifier}.
 */
import { bytesEqual } from "../base/bytes.ts"
import { isSmallOrder } from "../base/ed25519.ts"
import type { NodeId } from "../base/NodeId.ts"
import { sha256 } from "../base/sha256.ts"
import { isSession, type LaneKey, laneBytes, laneOfBytes, openedMs } from "../server/laneKey.ts"
import type { Request } from "../server/Message.ts"
import { type Proof, type Signed, wordsOf } from "../server/Proof.ts"
import type { Signer, Verifier, VerifyJob } from "./ports.ts"

export const KEY_BYTES = 32
export const SIGNATURE_BYTES = 64
export const NONCE_BYTES = 16
const SESSION_DIGEST_BYTES = 16

/** In which group, and which epoch of it, something is signed. */
export interface Scope {
  /** The group's digest, 32 bytes. */
  readonly digest: Uint8Array
  /** 0 where the group has one. */
  readonly epoch: number
}

/** What a node of a group with signed methods has. */
export interface Proofs {
  readonly scope: Scope
  /** Of the members. */
  readonly keys: ReadonlyMap<NodeId, Uint8Array>
  readonly signer: Signer
  readonly verifier: Verifier
}

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))
/** No tag is the beginning of another, so nothing signed as one thing reads as another. */
const WORD = ascii("quorate-word/1")
const REQUEST = ascii("quorate-request/1")

/** Big endian, as all numbers that are signed. */
class Preimage {
  private readonly bytes: Uint8Array
  private readonly view: DataView
  private at = 0

  constructor(length: number) {
    this.bytes = new Uint8Array(length)
    this.view = new DataView(this.bytes.buffer)
  }
  raw(bytes: Uint8Array): this {
    this.bytes.set(bytes, this.at)
    this.at += bytes.length
    return this
  }
  uint8(value: number): this {
    this.view.setUint8(this.at++, value)
    return this
  }
  uint32(value: number): this {
    this.view.setUint32(this.at, value)
    this.at += 4
    return this
  }
  uint64(value: number): this {
    return this.uint32(Math.floor(value / 2 ** 32)).uint32(value >>> 0)
  }
  rest(body: Uint8Array): Uint8Array {
    return this.raw(body).bytes
  }
}

export const wordPreimage = (scope: Scope, word: Omit<Signed, "signature">): Uint8Array => {
  const lane = laneBytes(word.lane)
  const fixed = WORD.length + scope.digest.length + 8 + 1 + lane.length + 8 + 4 + 4 + 4
  return new Preimage(fixed + word.body.length)
    .raw(WORD)
    .raw(scope.digest)
    .uint64(scope.epoch)
    .uint8(lane.length)
    .raw(lane)
    .uint64(word.index)
    .uint32(word.method)
    .uint32(word.round)
    .uint32(word.author)
    .rest(word.body)
}

type Asked = Pick<Request, "session" | "index" | "method" | "body">

export const requestPreimage = (scope: Scope, request: Asked): Uint8Array => {
  const session = laneBytes(request.session)
  const fixed = REQUEST.length + scope.digest.length + 8 + session.length + 8 + 4
  return new Preimage(fixed + request.body.length)
    .raw(REQUEST)
    .raw(scope.digest)
    .uint64(scope.epoch)
    .raw(session)
    .uint64(request.index)
    .uint32(request.method)
    .rest(request.body)
}

/** What makes a session its client's: nobody finds another key for the same 16 bytes. */
export const sessionDigest = (
  clientKey: Uint8Array,
  group: Uint8Array,
  nonce: Uint8Array,
  openedAtMs: number
): Uint8Array => {
  const bytes = new Uint8Array(clientKey.length + group.length + nonce.length + 8)
  bytes.set(clientKey)
  bytes.set(group, clientKey.length)
  bytes.set(nonce, clientKey.length + group.length)
  new DataView(bytes.buffer).setFloat64(bytes.length - 8, openedAtMs)
  return sha256(bytes).subarray(0, SESSION_DIGEST_BYTES)
}

/** Whether the client with this key opened the session. */
export const opens = (
  scope: Scope,
  session: LaneKey,
  clientKey: Uint8Array,
  nonce: Uint8Array
): boolean => {
  if (clientKey.length !== KEY_BYTES || nonce.length !== NONCE_BYTES) return false
  if (!isSession(session)) return false
  const digest = sessionDigest(clientKey, scope.digest, nonce, openedMs(session))
  return bytesEqual(laneBytes(session).subarray(-SESSION_DIGEST_BYTES), digest)
}

/** What has to be verified of a proof; `undefined`: it is none, whatever its signatures. */
export const jobsOf = (
  { scope, keys }: Pick<Proofs, "scope" | "keys">,
  proof: Proof
): ReadonlyArray<VerifyJob> | undefined => {
  if (proof.kind === "request") {
    const { clientKey: key, nonce, signature } = proof
    const session = laneOfBytes(proof.session)
    if (!opens(scope, session, key, nonce) || !mayHold(key, signature)) return undefined
    return [jobOf(key, signature, () => requestPreimage(scope, { ...proof, session }))]
  }
  const words = wordsOf(proof)
  if (words === undefined) return undefined
  if (new Set(words.map(({ author }) => author)).size < words.length) return undefined
  const jobs = words.map((word) => wordJob({ scope, keys }, word))
  return jobs.every((job) => job !== undefined) ? jobs : undefined
}

export const wordJob = (
  { scope, keys }: Pick<Proofs, "scope" | "keys">,
  word: Signed
): VerifyJob | undefined => {
  const key = keys.get(word.author)
  if (key === undefined || !mayHold(key, word.signature)) return undefined
  if (word.lane.length > 255 || word.round > 0xffff_ffff) return undefined
  return jobOf(key, word.signature, () => wordPreimage(scope, word))
}

/** Its bytes are made when it is their turn: a thousand votes may stand for one large body. */
const jobOf = (key: Uint8Array, signature: Uint8Array, preimage: () => Uint8Array): VerifyJob => ({
  key,
  signature,
  get message() {
    return preimage()
  }
})

/** Of points of small order libraries judge unlike, and a faulty signer would split a group. */
const mayHold = (key: Uint8Array, signature: Uint8Array): boolean =>
  signature.length === SIGNATURE_BYTES && !isSmallOrder(key) && !isSmallOrder(signature)
