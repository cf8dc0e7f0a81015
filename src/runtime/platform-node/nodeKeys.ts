/** Ed25519 of `node:crypto`, on its threads: keys in PEM files, signatures by the batch. */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify as verifyOne
} from "node:crypto"
import { hexOf } from "../../base/bytes.ts"
import type { Signer, Verifier, VerifyJob } from "../../link/ports.ts"
import { SIGNATURE_BYTES } from "../../link/proofs.ts"

export interface GeneratedKey {
  /** PKCS #8, PEM: the file of `layerMember`'s `key`. Whoever has it is the node. */
  readonly privateKey: string
  /** 64 hexadecimal digits: the `key` of the node in the group file. */
  readonly publicKey: string
}

/** A new key for one member. */
export const generateKey = (): GeneratedKey => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519")
  return {
    privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(),
    publicKey: hexOf(rawOf(publicKey))
  }
}

/** A key that nobody keeps: what a client signs its requests with. */
export const makeSigner = (): Signer => signerOf(generateKeyPairSync("ed25519").privateKey)

/** `undefined`: the text is no ed25519 key. */
export const readSigner = (pem: string): Signer | undefined => {
  try {
    const key = createPrivateKey(pem)
    return key.asymmetricKeyType === "ed25519" ? signerOf(key) : undefined
  } catch {
    return undefined
  }
}

const signerOf = (key: KeyObject): Signer => ({
  publicKey: rawOf(createPublicKey(key)),
  signNow: (message) => new Uint8Array(sign(null, message, key)),
  sign: (messages, done) => {
    const one = (message: Uint8Array, ended: (signature: Uint8Array) => void): void =>
      sign(null, message, key, (failure, signature) => {
        // Out of memory at most: the key is good, and takes any bytes.
        if (failure !== null) throw failure
        ended(new Uint8Array(signature))
      })
    inTurns(messages, one, done)
  }
})

/** Whether `key`, 32 bytes, signed these bytes: on this thread, about 0.1 ms. */
export const verify = (key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean => {
  const known = keyOf(key)
  if (known === undefined || signature.length !== SIGNATURE_BYTES) return false
  return verifyOne(null, message, known, signature)
}

export const nodeVerifier: Verifier = {
  verify: (jobs, done) => {
    const one = ({ key, message, signature }: VerifyJob, ended: (valid: boolean) => void): void => {
      const known = keyOf(key)
      if (known === undefined) return setImmediate(ended, false) && undefined
      verifyOne(null, message, known, signature, (failure, valid) =>
        ended(failure === null && valid)
      )
    }
    inTurns(jobs, one, done)
  }
}

/** The threads also sync files: a log must not wait behind all signatures there are. */
const IN_FLIGHT = 32
let inFlight = 0
/** Each begins its next one, and says whether there are more. They take turns. */
const batches: Array<() => boolean> = []

const inTurns = <T, R>(
  items: ReadonlyArray<T>,
  one: (item: T, ended: (result: R) => void) => void,
  done: (results: ReadonlyArray<R>) => void
): void => {
  const results = new Array<R>(items.length)
  let [next, left] = [0, items.length]
  batches.push(() => {
    const i = next++
    one(items[i]!, (result) => {
      results[i] = result
      inFlight--
      begin()
      if (--left === 0) done(results)
    })
    return next < items.length
  })
  begin()
}

const begin = (): void => {
  while (inFlight < IN_FLIGHT) {
    const batch = batches.shift()
    if (batch === undefined) return
    inFlight++
    if (batch()) batches.push(batch)
  }
}

const RAW = { kty: "OKP", crv: "Ed25519" } as const
/** The 32 bytes of a public key. */
export const rawOf = (publicKey: KeyObject): Uint8Array =>
  new Uint8Array(Buffer.from(publicKey.export({ format: "jwk" }).x!, "base64url"))

/** Of members and clients, those seen last; 200 bytes each. */
const KEYS_MAX = 4096
const keys = new Map<string, KeyObject>()

const keyOf = (raw: Uint8Array): KeyObject | undefined => {
  const x = Buffer.from(raw).toString("base64url")
  const before = keys.get(x)
  if (before !== undefined) return before
  try {
    const key = createPublicKey({ key: { ...RAW, x }, format: "jwk" })
    if (keys.size >= KEYS_MAX) keys.delete(keys.keys().next().value!)
    keys.set(x, key)
    return key
  } catch {
    return undefined
  }
}
