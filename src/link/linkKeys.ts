/** From two hellos and a shared secret to what is signed and the keys of a link. */
import { sha256 } from "../base/sha256.ts"
import type { Crypto } from "./ports.ts"

export type LinkRole = "dialer" | "acceptor"

const ascii = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0))
/** No tag is the beginning of another one, nor of those in src/link/proofs.ts. */
const TRANSCRIPT = ascii("quorate-link/1")
const PROOF = ascii("quorate-link-proof/1")
const KEYS = ascii("quorate-link-keys/1")

const HASH_BYTES = 32
const ROLE_BYTE = { dialer: 1, acceptor: 2 } as const

/** What both sides said, as it travelled. */
export interface Transcript {
  readonly dialer: Uint8Array
  readonly acceptor: Uint8Array
  /** Of the secure channel below, where it has something of its own; else no bytes. */
  readonly binding: Uint8Array
}

/** The name of a link, 32 bytes: of both hellos, byte for byte, so of no other link. */
export const sessionOf = ({ dialer, acceptor, binding }: Transcript): Uint8Array =>
  sha256(joined(TRANSCRIPT, sized(dialer), sized(acceptor), sized(binding)))

/** What the side with this role and host key signs, and proves to know the secret with. */
export const proofPreimage = (
  session: Uint8Array,
  role: LinkRole,
  hostKey: Uint8Array
): Uint8Array => joined(PROOF, Uint8Array.of(ROLE_BYTE[role]), session, hostKey)

/** 32 bytes each: a key for its proof, and one for what it sends. */
export interface SideKeys {
  readonly proof: Uint8Array
  readonly sealing: Uint8Array
}

export interface LinkKeys extends Readonly<Record<LinkRole, SideKeys>> {
  /** What both sides know, for what they do beside the link. */
  readonly exporter: Uint8Array
}

export const linkKeys = (suite: Crypto, session: Uint8Array, secret: Uint8Array): LinkKeys => {
  const bytes = hkdf(suite, { secret, salt: session, info: KEYS, length: 5 * HASH_BYTES })
  const key = (i: number): Uint8Array => bytes.slice(i * HASH_BYTES, (i + 1) * HASH_BYTES)
  return {
    dialer: { proof: key(0), sealing: key(2) },
    acceptor: { proof: key(1), sealing: key(3) },
    exporter: key(4)
  }
}

/** HKDF-SHA256. @source RFC 5869 */
export const hkdf = (
  { hmac }: Pick<Crypto, "hmac">,
  options: {
    readonly secret: Uint8Array
    readonly salt: Uint8Array
    readonly info: Uint8Array
    /** At most 255 * 32. */
    readonly length: number
  }
): Uint8Array => {
  const key = hmac(options.salt, options.secret)
  const out = new Uint8Array(options.length)
  let block: Uint8Array = new Uint8Array(0)
  for (let at = 0, i = 1; at < out.length; at += HASH_BYTES, i++) {
    block = hmac(key, joined(block, options.info, Uint8Array.of(i)))
    out.set(block.subarray(0, out.length - at), at)
  }
  return out
}

/** Two bytes of length, big endian, and the bytes. */
const sized = (bytes: Uint8Array): Uint8Array =>
  joined(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff), bytes)

const joined = (...parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
