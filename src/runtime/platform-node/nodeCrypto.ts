/** What handshakes and tags need, by `node:crypto`: docs/decisions/0017-identity.md has figures. */
import {
  createCipheriv,
  createDecipheriv,
  createHash,
  createHmac,
  createPublicKey,
  createSecretKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
  randomFillSync
} from "node:crypto"
import type { Sha256 } from "../../base/blob.ts"
import type { Cipher, Crypto, Exchange } from "../../link/ports.ts"
import { rawOf, verify } from "./nodeKeys.ts"

const GCM = "aes-256-gcm"
const TAG = { authTagLength: 16 } as const
const NOTHING = Buffer.alloc(0)

export const nodeCrypto: Crypto = {
  random: (length) => randomFillSync(new Uint8Array(length)),
  makeExchange: () => exchangeOf(generateKeyPairSync("x25519")),
  hmac: (key, bytes) => plain(createHmac("sha256", key).update(bytes).digest()),
  cipher: (key) => cipherOf(createSecretKey(key)),
  verifyNow: verify
}

export const nodeSha256: Sha256 = (bytes) => plain(createHash("sha256").update(bytes).digest())

const exchangeOf = ({
  privateKey,
  publicKey
}: {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}): Exchange => ({
  publicKey: rawOf(publicKey),
  agree: (theirs) => {
    try {
      const x = Buffer.from(theirs).toString("base64url")
      const key = createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" })
      // It throws where the result is zero: RFC 7748, 6.1.
      return plain(diffieHellman({ privateKey, publicKey: key }))
    } catch {
      return undefined
    }
  }
})

const cipherOf = (key: KeyObject): Cipher => {
  const decipher = (nonce: Uint8Array, tag: Uint8Array) =>
    createDecipheriv(GCM, key, nonce, TAG).setAuthTag(tag)
  return {
    tag: (nonce, bytes) => {
      const cipher = createCipheriv(GCM, key, nonce, TAG).setAAD(bytes)
      cipher.final()
      return viewOf(cipher.getAuthTag())
    },
    tagFits: (nonce, bytes, tag) => ended(decipher(nonce, tag).setAAD(bytes)) !== undefined,
    encrypt: (nonce, bytes) => {
      const cipher = createCipheriv(GCM, key, nonce, TAG)
      const frame = cipher.update(bytes)
      cipher.final()
      return { frame: viewOf(frame), tag: viewOf(cipher.getAuthTag()) }
    },
    decrypt: (nonce, { frame, tag }) => {
      const opening = decipher(nonce, tag)
      const bytes = opening.update(frame)
      return ended(opening) && viewOf(bytes)
    }
  }
}

/** `final` throws where the tag does not fit. */
const ended = (opening: { readonly final: () => Buffer }): Buffer | undefined => {
  try {
    opening.final()
    return NOTHING
  } catch {
    return undefined
  }
}

/** No Buffers leave: their `slice` is a view. */
const viewOf = (bytes: Buffer): Uint8Array =>
  new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
/** A copy: small Buffers lie beside others. */
const plain = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)
