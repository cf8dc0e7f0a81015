/**
 * How a large piece of bytes is named, so that each part of it can be checked alone: it is cut into
 * chunks, and its digest is the SHA-256 of its list, which holds the SHA-256 of each. The bytes are
 * in docs/PROTOCOL.md, "Fetches".
 */
import { sha256 } from "./sha256.ts"

/** SHA-256; a host has a faster one than ours. */
export type Sha256 = (bytes: Uint8Array) => Uint8Array

export const DIGEST_BYTES = 32
/** Of a list: "quorate.blob.v1" and a zero byte. No other digest here is of bytes that begin so. */
const TAG = Uint8Array.from("quorate.blob.v1\0", (char) => char.charCodeAt(0))
const LENGTH_AT = TAG.length
const CHUNK_AT = LENGTH_AT + 8
export const LIST_HEADER_BYTES = CHUNK_AT + 4

/** Bytes, and what shows that they are what a digest names. */
export interface Blob {
  readonly bytes: Uint8Array
  readonly list: Uint8Array
  readonly digest: Uint8Array
}

export const listBytes = (length: number, chunkBytes: number): number =>
  LIST_HEADER_BYTES + DIGEST_BYTES * Math.ceil(length / chunkBytes)

/** The list of `bytes`. */
export const listOf = (bytes: Uint8Array, chunkBytes: number, hash: Sha256): Uint8Array => {
  const list = new Uint8Array(listBytes(bytes.length, chunkBytes))
  const view = new DataView(list.buffer)
  list.set(TAG)
  view.setBigUint64(LENGTH_AT, BigInt(bytes.length))
  view.setUint32(CHUNK_AT, chunkBytes)
  let at = LIST_HEADER_BYTES
  for (let from = 0; from < bytes.length; from += chunkBytes) {
    list.set(hash(bytes.subarray(from, from + chunkBytes)), at)
    at += DIGEST_BYTES
  }
  return list
}

/** @param hash absent: the one that needs no host */
export const blobOf = (bytes: Uint8Array, chunkBytes: number, hash: Sha256 = sha256): Blob => {
  const list = listOf(bytes, chunkBytes, hash)
  return { bytes, list, digest: hash(list) }
}

/** Bytes of each chunk but the last; `undefined`: this is no list of `length` bytes. */
export const chunkBytesOf = (list: Uint8Array, length: number): number | undefined => {
  if (list.length < LIST_HEADER_BYTES) return undefined
  for (let i = 0; i < TAG.length; i++) if (list[i] !== TAG[i]) return undefined
  const view = new DataView(list.buffer, list.byteOffset, list.length)
  if (view.getBigUint64(LENGTH_AT) !== BigInt(length)) return undefined
  const chunkBytes = view.getUint32(CHUNK_AT)
  if (chunkBytes === 0 || list.length !== listBytes(length, chunkBytes)) return undefined
  return chunkBytes
}

/** The digest of one chunk, as a view of the list. */
export const chunkDigest = (list: Uint8Array, chunk: number): Uint8Array => {
  const at = LIST_HEADER_BYTES + DIGEST_BYTES * chunk
  return list.subarray(at, at + DIGEST_BYTES)
}
