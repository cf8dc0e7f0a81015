/**
 * Signatures of the simulator: digests over a secret that only the key's owner and the verifier
 * know. Nobody else can make one, the same bytes give the same one, and none takes time.
 */
import { bytesEqual } from "../base/bytes.ts"
import { sha256 } from "../base/sha256.ts"
import type { Signer, Verifier } from "../link/ports.ts"
import { SIGNATURE_BYTES } from "../link/proofs.ts"
import { laneOfBytes } from "../server/laneKey.ts"

/** When `done` is called; never at once. */
export type Later = (then: () => void) => void

export class SimKeys {
  readonly #secrets = new Map<string, Uint8Array>()

  /** The key pair of this name: always the same one. */
  signer(name: string, later: Later): Signer {
    const secret = sha256(Uint8Array.from(`secret of ${name}`, (c) => c.charCodeAt(0)))
    const publicKey = sha256(secret)
    this.#secrets.set(laneOfBytes(publicKey), secret)
    const signNow = (message: Uint8Array): Uint8Array => signature(secret, message)
    return {
      publicKey,
      signNow,
      sign: (messages, done) => later(() => done(messages.map(signNow)))
    }
  }

  verifier(later: Later): Verifier {
    return {
      verify: (jobs, done) =>
        later(() =>
          done(
            jobs.map(({ key, message, signature: shown }) => this.verifyNow(key, message, shown))
          )
        )
    }
  }

  verifyNow(key: Uint8Array, message: Uint8Array, shown: Uint8Array): boolean {
    const secret = this.#secrets.get(laneOfBytes(key))
    return secret !== undefined && bytesEqual(signature(secret, message), shown)
  }
}

const signature = (secret: Uint8Array, message: Uint8Array): Uint8Array => {
  const bytes = new Uint8Array(secret.length + message.length)
  bytes.set(secret)
  bytes.set(message, secret.length)
  const half = sha256(bytes)
  const whole = new Uint8Array(SIGNATURE_BYTES)
  whole.set(half)
  whole.set(sha256(half), half.length)
  return whole
}
