/**
 * Fetches go beside the link, over connections where nobody proves anything. Between hosts with a
 * proven link both sides know a secret of it: it makes the token that shows who asks, and a key for
 * each range.
 */
import { hkdf } from "./linkKeys.ts"
import type { FetchRange } from "./fetchStore.ts"
import type { Crypto } from "./ports.ts"
import { TAG_BYTES } from "./sealing.ts"

const INFO = Uint8Array.from("quorate-fetch/1", (character) => character.charCodeAt(0))
const KEY_BYTES = 32
const NONCE_BYTES = 12
/** Around the bytes of a range. */
export const FETCH_SEAL_BYTES = NONCE_BYTES + TAG_BYTES

/** What two hosts agree on for the fetches of one from the other, while their channel stands. */
export interface FetchPass {
  /** What the request shows. */
  readonly token: Uint8Array
  readonly seal: (range: FetchRange, bytes: Uint8Array) => Uint8Array
  /** `undefined`: these are not the bytes that the other side gave for this range. */
  readonly open: (range: FetchRange, bytes: Uint8Array) => Uint8Array | undefined
}

/** On a plaintext link: the token itself, and the bytes as they are. */
export const openPass = (token: Uint8Array): FetchPass => ({
  token,
  seal: (_, bytes) => bytes,
  open: (_, bytes) => bytes
})

/** @param exporter of the link @param token what the side that is asked told on its channel */
export const sealedPass = (suite: Crypto, exporter: Uint8Array, token: Uint8Array): FetchPass => {
  const length = KEY_BYTES + token.length
  const keys = hkdf(suite, { secret: exporter, salt: token, info: INFO, length })
  const key = keys.subarray(0, KEY_BYTES)
  const cipher = (range: FetchRange) => suite.cipher(suite.hmac(key, rangeBytes(range)))
  return {
    token: keys.subarray(KEY_BYTES),
    seal: (range, bytes) => {
      const nonce = suite.random(NONCE_BYTES)
      const { frame, tag } = cipher(range).encrypt(nonce, bytes)
      const sealed = new Uint8Array(FETCH_SEAL_BYTES + frame.length)
      sealed.set(nonce)
      sealed.set(frame, NONCE_BYTES)
      sealed.set(tag, NONCE_BYTES + frame.length)
      return sealed
    },
    open: (range, bytes) => {
      const end = bytes.length - TAG_BYTES
      if (end < NONCE_BYTES) return undefined
      const sealed = { frame: bytes.subarray(NONCE_BYTES, end), tag: bytes.subarray(end) }
      return cipher(range).decrypt(bytes.subarray(0, NONCE_BYTES), sealed)
    }
  }
}

/** The digest, a byte for the list, the offset and the length: big endian. */
const rangeBytes = ({ digest, list, offset, length }: FetchRange): Uint8Array => {
  const bytes = new Uint8Array(digest.length + 13)
  bytes.set(digest)
  const view = new DataView(bytes.buffer, digest.length)
  view.setUint8(0, list ? 1 : 0)
  view.setUint32(1, Math.floor(offset / 2 ** 32))
  view.setUint32(5, offset >>> 0)
  view.setUint32(9, length)
  return bytes
}
