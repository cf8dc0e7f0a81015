/** A client's key: what its sessions are named after, and what signs its requests. */
import { type LaneKey, sessionKey } from "../server/laneKey.ts"
import type { Request, RequestProof } from "../server/Message.ts"
import type { Signer } from "./ports.ts"
import { NONCE_BYTES, requestPreimage, type Scope, sessionDigest } from "./proofs.ts"

/** Sessions whose nonce is known: far more than a client has open at once. */
const NONCES_MAX = 256

interface Signed {
  readonly session: LaneKey
  readonly index: number
  readonly proof: RequestProof
}

export class ClientKey {
  readonly publicKey: Uint8Array
  private readonly scope: Scope
  /** Absent: its key is 32 random bytes, and signs nothing. */
  private readonly signer: Signer | undefined
  private readonly random: (length: number) => Uint8Array
  private readonly nonces = new Map<LaneKey, Uint8Array>()
  /** By body, so that copies of a request to many nodes are signed once. */
  private readonly signed = new WeakMap<Uint8Array, Signed>()

  constructor(parts: {
    readonly scope: Scope
    readonly publicKey: Uint8Array
    readonly signer: Signer | undefined
    readonly random: (length: number) => Uint8Array
  }) {
    this.publicKey = parts.publicKey
    this.scope = parts.scope
    this.signer = parts.signer
    this.random = parts.random
  }

  /** A session's name, never the same twice. */
  session(openedMs: number): LaneKey {
    const nonce = this.random(NONCE_BYTES)
    const digest = sessionDigest(this.publicKey, this.scope.digest, nonce, openedMs)
    const key = sessionKey(openedMs, digest)
    if (this.signer === undefined) return key
    if (this.nonces.size >= NONCES_MAX) this.nonces.delete(this.nonces.keys().next().value!)
    this.nonces.set(key, nonce)
    return key
  }

  /** The request with its signature; as it is where there is no key to sign with. */
  prove(request: Request): Request {
    const { session, index, body } = request
    const nonce = this.nonces.get(session)
    if (this.signer === undefined || nonce === undefined) return request
    const before = this.signed.get(body)
    if (before !== undefined && before.session === session && before.index === index) {
      return { ...request, proof: before.proof }
    }
    const signature = this.signer.signNow(requestPreimage(this.scope, request))
    const proof = { clientKey: this.publicKey, nonce, signature }
    this.signed.set(body, { session, index, proof })
    return { ...request, proof }
  }
}
