/** One side's part in a group, as it says when a channel opens: `quorate.v1.Hello`. */
import { assert } from "../base/assert.ts"
import { NO_BYTES } from "../base/bytes.ts"
import { isNodeId, type NodeId } from "../base/NodeId.ts"
import { utf8Bytes } from "../base/utf8.ts"
import { type Reader, UINT32_MAX, Writer } from "../base/wire.ts"
import { inner } from "./goodbye.ts"

/** Of frames, hellos and envelopes. A node refuses any other with `unsupported_version`. */
export const LINK_VERSION = 2
export const DIGEST_BYTES = 32
export const CLIENT_KEY_BYTES = 32
export const STORE_ID_BYTES = 16
export const INCARNATION_BYTES = 16
export const FETCH_TOKEN_BYTES = 16
/** A group's name, in UTF-8. */
export const GROUP_BYTES_MAX = 255

export interface Hello {
  readonly version: number
  readonly group: string
  /** 32 bytes. */
  readonly groupDigest: Uint8Array
  /** 0: a client. */
  readonly node: NodeId | 0
  /** 32 bytes of a client; a member has none (empty). */
  readonly clientKey: Uint8Array
  /** 16 bytes of a member; a client has none (empty). */
  readonly storeId: Uint8Array
  /** 16 bytes, random per run of the process. */
  readonly incarnation: Uint8Array
  /** No session opened at or below it runs at the sender. */
  readonly horizonMs: number
  /**
   * 16 random bytes for the member that hears it: shows that it is the one that asks for ranges, as
   * long as the channel lives. Empty: it is given none.
   */
  readonly fetchToken: Uint8Array
  /** 32 bytes of a member: what it runs, which all members have to run. Absent: not told. */
  readonly protocols?: Uint8Array
}

/** What is wrong with a hello; `undefined`: nothing. The rule of both sides. */
const helloProblem = (h: Hello): string | undefined => {
  if (!(h.version >= 1 && h.version <= UINT32_MAX)) return "a hello has a version"
  if (h.group === "" || utf8Bytes(h.group) > GROUP_BYTES_MAX) {
    return `a group's name has 1 to ${GROUP_BYTES_MAX} bytes`
  }
  if (h.groupDigest.length !== DIGEST_BYTES) return `a group digest has ${DIGEST_BYTES} bytes`
  if (h.node !== 0 && !isNodeId(h.node)) return "a node is a node id, or 0 for a client"
  const member = h.node !== 0
  if (h.clientKey.length !== (member ? 0 : CLIENT_KEY_BYTES)) {
    return `a client, and only a client, has a key of ${CLIENT_KEY_BYTES} bytes`
  }
  if (h.storeId.length !== (member ? STORE_ID_BYTES : 0)) {
    return `a member, and only a member, has a store id of ${STORE_ID_BYTES} bytes`
  }
  if (h.incarnation.length !== INCARNATION_BYTES) {
    return `an incarnation has ${INCARNATION_BYTES} bytes`
  }
  if (h.protocols !== undefined && (!member || h.protocols.length !== DIGEST_BYTES)) {
    return `a member, and only a member, tells of its protocols in ${DIGEST_BYTES} bytes`
  }
  if (h.fetchToken.length !== 0 && h.fetchToken.length !== FETCH_TOKEN_BYTES) {
    return `a token for fetches has ${FETCH_TOKEN_BYTES} bytes`
  }
  return undefined
}

/** States that our own hello is well formed. */
export const assertHello = (hello: Hello): void => {
  const problem = helloProblem(hello)
  assert(problem === undefined, problem)
}

export const encodeHello = (h: Hello): Uint8Array => {
  assertHello(h)
  const writer = new Writer(512)
  writer.reserve(256 + 3 * h.group.length)
  writer.byte(0x08)
  writer.uint(h.version)
  writer.byte(0x12)
  writer.text(h.group)
  writer.byte(0x1a)
  writer.block(h.groupDigest)
  if (h.node !== 0) {
    writer.byte(0x20)
    writer.uint(h.node)
  }
  if (h.clientKey.length > 0) {
    writer.byte(0x2a)
    writer.block(h.clientKey)
  }
  if (h.storeId.length > 0) {
    writer.byte(0x32)
    writer.block(h.storeId)
  }
  writer.byte(0x3a)
  writer.block(h.incarnation)
  if (h.horizonMs !== 0) {
    writer.byte(0x40)
    writer.uint(h.horizonMs)
  }
  if (h.fetchToken.length > 0) {
    writer.byte(0x4a)
    writer.block(h.fetchToken)
  }
  if (h.protocols !== undefined) {
    writer.byte(0x52)
    writer.block(h.protocols)
  }
  return writer.take()
}

export const readHello = (outer: Reader): Hello | undefined => {
  const reader = inner(outer)
  const block = (): Uint8Array => reader.copy(reader.blockLength(CLIENT_KEY_BYTES))
  const hello: { -readonly [Field in keyof Hello]: Hello[Field] } = {
    version: 0,
    group: "",
    groupDigest: NO_BYTES,
    node: 0,
    clientKey: NO_BYTES,
    storeId: NO_BYTES,
    incarnation: NO_BYTES,
    horizonMs: 0,
    fetchToken: NO_BYTES
  }
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === 0x08) hello.version = reader.uint32()
    else if (tag === 0x12) hello.group = reader.text(GROUP_BYTES_MAX)
    else if (tag === 0x1a) hello.groupDigest = block()
    else if (tag === 0x20) hello.node = reader.uint()
    else if (tag === 0x2a) hello.clientKey = block()
    else if (tag === 0x32) hello.storeId = block()
    else if (tag === 0x3a) hello.incarnation = block()
    else if (tag === 0x40) hello.horizonMs = reader.uint()
    else if (tag === 0x4a) hello.fetchToken = block()
    else if (tag === 0x52) hello.protocols = block()
    else if (tag >>> 3 <= 10) reader.fail()
    else reader.skip(tag & 7)
  }
  if (reader.ok && helloProblem(hello) === undefined) return hello
  outer.fail()
  return undefined
}
