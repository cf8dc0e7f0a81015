/** `quorate.v1.LinkHello` and `LinkProof`: bytes to and fro. docs/PROTOCOL.md has the rules. */
import { NO_BYTES } from "../base/bytes.ts"
import { assert } from "../base/assert.ts"
import { Reader, UINT32_MAX, Writer } from "../base/wire.ts"
import { KEY_BYTES, SIGNATURE_BYTES } from "./proofs.ts"

/**
 * What a link promises. `plaintext`: nothing. `authenticated`: who speaks, and that nobody changes,
 * repeats or leaves out anything. `encrypted`: that too, and nobody else reads it.
 */
export type LinkStrength = "plaintext" | "authenticated" | "encrypted"

/** From the weakest to the strongest; the number on the wire is the place here, from 1. */
export const STRENGTHS: ReadonlyArray<LinkStrength> = ["plaintext", "authenticated", "encrypted"]

/** Whether a link of this strength may carry what needs that one. */
export const isAtLeast = (strength: LinkStrength, needed: LinkStrength): boolean =>
  STRENGTHS.indexOf(strength) >= STRENGTHS.indexOf(needed)

export const LINK_NONCE_BYTES = 32
export const MAC_BYTES = 32
/** Of a LinkHello, fields of later versions included. */
export const LINK_HELLO_BYTES_MAX = 1024
/** What a dialer may offer. */
export const VERSIONS_MAX = 16

export interface LinkHello {
  readonly version: number
  readonly strength: LinkStrength
  /** 32 bytes each; none on a plaintext link. */
  readonly hostKey: Uint8Array
  readonly nonce: Uint8Array
  readonly ephemeralKey: Uint8Array
  /** Besides `version`; of a dialer. */
  readonly versions: ReadonlyArray<number>
}

export interface LinkProof {
  readonly signature: Uint8Array
  readonly mac: Uint8Array
}

const isWellFormed = (h: LinkHello): boolean => {
  const [key, nonce] = h.strength === "plaintext" ? [0, 0] : [KEY_BYTES, LINK_NONCE_BYTES]
  return (
    [h.version, ...h.versions].every((version) => version >= 1 && version <= UINT32_MAX) &&
    h.versions.length < VERSIONS_MAX &&
    h.hostKey.length === key &&
    h.nonce.length === nonce &&
    h.ephemeralKey.length === key
  )
}

const writer = new Writer(512)

export const encodeLinkHello = (hello: LinkHello): Uint8Array => {
  assert(isWellFormed(hello), "our own hello of a link is well formed")
  writer.clear()
  writer.reserve(LINK_HELLO_BYTES_MAX)
  writer.byte(0x08)
  writer.uint(hello.version)
  writer.byte(0x10)
  writer.uint(1 + STRENGTHS.indexOf(hello.strength))
  const blocks = [hello.hostKey, hello.nonce, hello.ephemeralKey]
  for (const [i, bytes] of blocks.entries()) {
    if (bytes.length === 0) continue
    writer.byte(0x1a + 8 * i)
    writer.block(bytes)
  }
  if (hello.versions.length > 0) {
    writer.byte(0x32)
    const start = writer.open(hello.versions.length)
    for (const version of hello.versions) writer.uint(version)
    writer.close(start, hello.versions.length)
  }
  return writer.take()
}

/** `undefined`: it is none. */
export const decodeLinkHello = (bytes: Uint8Array): LinkHello | undefined => {
  if (bytes.length > LINK_HELLO_BYTES_MAX) return undefined
  const reader = readerOf(bytes)
  const block = (): Uint8Array => reader.copy(reader.blockLength(LINK_NONCE_BYTES))
  const blocks = [NO_BYTES, NO_BYTES, NO_BYTES]
  const versions: Array<number> = []
  let [version, strength] = [0, 0]
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === 0x08) version = reader.uint32()
    else if (tag === 0x10) strength = reader.uint32()
    else if (tag === 0x1a || tag === 0x22 || tag === 0x2a) blocks[(tag - 0x1a) / 8] = block()
    else if (tag === 0x30) versions.push(reader.uint32())
    else if (tag === 0x32) readPacked(reader, versions)
    else if (tag >>> 3 <= 6) reader.fail()
    else reader.skip(tag & 7)
  }
  const name = STRENGTHS[strength - 1]
  if (!reader.ok || name === undefined) return undefined
  const [hostKey, nonce, ephemeralKey] = blocks as [Uint8Array, Uint8Array, Uint8Array]
  const hello = { version, strength: name, hostKey, nonce, ephemeralKey, versions }
  return isWellFormed(hello) ? hello : undefined
}

const readPacked = (reader: Reader, into: Array<number>): void => {
  const end = reader.blockLength(LINK_HELLO_BYTES_MAX) + reader.at
  while (reader.ok && reader.at < end) into.push(reader.uint32())
  if (reader.at !== end) reader.fail()
}

export const encodeLinkProof = (proof: LinkProof): Uint8Array => {
  assert(proof.signature.length === SIGNATURE_BYTES, "an ed25519 signature has 64 bytes")
  assert(proof.mac.length === MAC_BYTES, "an HMAC-SHA256 has 32 bytes")
  writer.clear()
  writer.reserve(8 + SIGNATURE_BYTES + MAC_BYTES)
  writer.byte(0x0a)
  writer.block(proof.signature)
  writer.byte(0x12)
  writer.block(proof.mac)
  return writer.take()
}

/** `undefined`: it is none. */
export const decodeLinkProof = (bytes: Uint8Array): LinkProof | undefined => {
  if (bytes.length > LINK_HELLO_BYTES_MAX) return undefined
  const reader = readerOf(bytes)
  let [signature, mac] = [NO_BYTES, NO_BYTES]
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === 0x0a) signature = reader.copy(reader.blockLength(SIGNATURE_BYTES))
    else if (tag === 0x12) mac = reader.copy(reader.blockLength(MAC_BYTES))
    else if (tag >>> 3 <= 2) reader.fail()
    else reader.skip(tag & 7)
  }
  const whole = signature.length === SIGNATURE_BYTES && mac.length === MAC_BYTES
  return reader.ok && whole ? { signature, mac } : undefined
}

const readerOf = (bytes: Uint8Array): Reader => {
  const reader = new Reader()
  reader.set(bytes, 0, bytes.length)
  return reader
}
