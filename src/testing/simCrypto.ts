/**
 * What links need of cryptography, in the simulator: nothing of it is secret, all of it is
 * checked. Who changes, moves or repeats a byte is found as with the real thing.
 */
import { bytesEqual, hexOf } from "../base/bytes.ts"
import type { Prng } from "../base/prng.ts"
import { sha256 } from "../base/sha256.ts"
import type { Cipher, Crypto, Exchange, Sealed } from "../link/ports.ts"
import { TAG_BYTES } from "../link/sealing.ts"
import { EventHash } from "./hash.ts"
import type { SimKeys } from "./simKeys.ts"

export class SimCrypto implements Crypto {
  readonly #random: Prng
  readonly #keys: SimKeys
  /** Secrets by public key: only here can two sides agree. */
  readonly #secrets = new Map<string, Uint8Array>()

  constructor(random: Prng, keys: SimKeys) {
    this.#random = random
    this.#keys = keys
  }

  random(length: number): Uint8Array {
    return this.#random.bytes(length)
  }

  makeExchange(): Exchange {
    const secret = this.#random.bytes(32)
    const publicKey = sha256(secret)
    this.#secrets.set(hexOf(publicKey), secret)
    return {
      publicKey,
      // With a key that nobody made the two agree on nothing.
      agree: (theirs) => both(secret, this.#secrets.get(hexOf(theirs)) ?? sha256(theirs))
    }
  }

  hmac(key: Uint8Array, bytes: Uint8Array): Uint8Array {
    return sha256(joined(key, bytes))
  }

  cipher(key: Uint8Array): Cipher {
    return new SimCipher(key)
  }

  verifyNow(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return this.#keys.verifyNow(key, message, signature)
  }
}

class SimCipher implements Cipher {
  readonly #key: Uint8Array

  constructor(key: Uint8Array) {
    this.#key = key
  }

  tag(nonce: Uint8Array, bytes: Uint8Array): Uint8Array {
    const hash = new EventHash()
    for (const part of [this.#key, nonce, bytes]) hash.bytes(part)
    return Uint8Array.from(hash.digest(), (digit) => digit.charCodeAt(0)).subarray(0, TAG_BYTES)
  }

  tagFits(nonce: Uint8Array, bytes: Uint8Array, tag: Uint8Array): boolean {
    return bytesEqual(this.tag(nonce, bytes), tag)
  }

  encrypt(nonce: Uint8Array, bytes: Uint8Array): Sealed {
    const frame = this.#masked(nonce, bytes)
    return { frame, tag: this.tag(nonce, frame) }
  }

  decrypt(nonce: Uint8Array, { frame, tag }: Sealed): Uint8Array | undefined {
    return this.tagFits(nonce, frame, tag) ? this.#masked(nonce, frame) : undefined
  }

  #masked(nonce: Uint8Array, bytes: Uint8Array): Uint8Array {
    const mask = this.tag(nonce, this.#key)
    return bytes.map((byte, i) => byte ^ mask[i % TAG_BYTES]!)
  }
}

/** The same on both sides. */
const both = (a: Uint8Array, b: Uint8Array): Uint8Array =>
  sha256(hexOf(a) < hexOf(b) ? joined(a, b) : joined(b, a))

const joined = (a: Uint8Array, b: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(a.length + b.length)
  bytes.set(a)
  bytes.set(b, a.length)
  return bytes
}
