/** A frame of a link: `quorate.v1.Frame`, `Hello` and `Goodbye` of proto/quorate/v1/link.proto. */
import { NO_BYTES } from "../base/bytes.ts"
import { assert } from "../base/assert.ts"
import { type ErrorCode, errorCodeNumber, errorCodeOf } from "../base/errorCode.ts"
import { LIMITS, type Limits } from "../base/limits.ts"
import { isNodeId, type NodeId } from "../base/NodeId.ts"
import type { Message } from "../server/Message.ts"
import { appendMessage, type DecodeOptions, DETAIL_BYTES_MAX, decodeMessage } from "./envelope.ts"
import { utf8Bytes, utf8Cut } from "../base/utf8.ts"
import { Reader, UINT32_MAX, Writer } from "../base/wire.ts"

/** Of frames, hellos and envelopes. A node refuses any other with `unsupported_version`. */
export const LINK_VERSION = 1
export const DIGEST_BYTES = 32
export const CLIENT_KEY_BYTES = 32
export const STORE_ID_BYTES = 16
export const INCARNATION_BYTES = 16
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
}

/** Why a link was refused or ended: `detail` says what, and what to do. */
export interface Goodbye {
  readonly code: ErrorCode
  readonly detail: string
}

/** A frame holds one hello, or one goodbye, or messages: none of them in a bare acknowledgement. */
export type FrameContent =
  | { readonly kind: "hello"; readonly hello: Hello }
  | { readonly kind: "messages"; readonly messages: ReadonlyArray<Message> }
  | { readonly kind: "goodbye"; readonly goodbye: Goodbye }

export interface Frame {
  /** 1, 2, 3 … per direction and connection. */
  readonly sequence: number
  /** Highest sequence of the other side that was handed on; 0: none. */
  readonly acknowledged: number
  readonly content: FrameContent
}

/** Field number * 8 + wire type. */
const TAG = {
  sequence: 0x08,
  acknowledged: 0x10,
  hello: 0x1a,
  envelope: 0x22,
  goodbye: 0x2a
} as const
const FRAME_FIELD_MAX = 5
export const ENVELOPE_TAG = TAG.envelope
/** What sequence and acknowledgement take at most. */
export const FRAME_HEADER_BYTES_MAX = 18

const scratch = new Writer(1024)

export const encodeFrame = (frame: Frame): Uint8Array => {
  scratch.clear()
  scratch.reserve(FRAME_HEADER_BYTES_MAX)
  writeHeader(scratch, frame.sequence, frame.acknowledged)
  const content = frame.content
  switch (content.kind) {
    case "hello":
      block(TAG.hello, encodeHello(content.hello))
      break
    case "goodbye":
      block(TAG.goodbye, encodeGoodbye(content.goodbye))
      break
    case "messages":
      for (const message of content.messages) appendMessage(scratch, TAG.envelope, message)
  }
  return scratch.take()
}

export const writeHeader = (writer: Writer, sequence: number, acknowledged: number): void => {
  assert(sequence >= 1, "sequences begin at 1")
  writer.byte(TAG.sequence)
  writer.uint(sequence)
  if (acknowledged === 0) return
  writer.byte(TAG.acknowledged)
  writer.uint(acknowledged)
}

const block = (tag: number, bytes: Uint8Array): void => {
  scratch.reserve(bytes.length + 5)
  scratch.byte(tag)
  scratch.block(bytes)
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
  return undefined
}

/** States that our own hello is well formed. */
export const assertHello = (hello: Hello): void => {
  const problem = helloProblem(hello)
  assert(problem === undefined, problem)
}

const encodeHello = (h: Hello): Uint8Array => {
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
  return writer.take()
}

const encodeGoodbye = (goodbye: Goodbye): Uint8Array => {
  const detail = utf8Cut(goodbye.detail, DETAIL_BYTES_MAX)
  const writer = new Writer(64)
  writer.reserve(16 + 3 * detail.length)
  writer.byte(0x08)
  writer.uint(errorCodeNumber(goodbye.code))
  if (detail !== "") {
    writer.byte(0x12)
    writer.text(detail)
  }
  return writer.take()
}

/**
 * The frame in `bytes`; `undefined` when it, or anything in it, is malformed. Its messages own
 * their bodies as {@link decodeMessage} says: `bytes` must never be written again.
 */
export const decodeFrame = (bytes: Uint8Array, limits: Limits = LIMITS): Frame | undefined => {
  const options: DecodeOptions = { bodyBytesMax: limits.bodyBytesMax, copy: false }
  const reader = new Reader()
  reader.set(bytes, 0, bytes.length)
  let sequence = 0
  let acknowledged = 0
  let hello: Hello | undefined
  let goodbye: Goodbye | undefined
  const messages: Array<Message> = []
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === TAG.envelope) {
      const message = readMessage(reader, options)
      if (message !== undefined) messages.push(message)
    } else if (tag === TAG.sequence) sequence = reader.uint()
    else if (tag === TAG.acknowledged) acknowledged = reader.uint()
    else if (tag === TAG.hello && hello === undefined) hello = readHello(reader)
    else if (tag === TAG.goodbye && goodbye === undefined) goodbye = readGoodbye(reader)
    else if (tag >>> 3 <= FRAME_FIELD_MAX) reader.fail()
    else reader.skip(tag & 7)
  }
  if (!reader.ok || sequence === 0) return undefined
  const content = contentOf(hello, goodbye, messages)
  return content === undefined ? undefined : { sequence, acknowledged, content }
}

const contentOf = (
  hello: Hello | undefined,
  goodbye: Goodbye | undefined,
  messages: ReadonlyArray<Message>
): FrameContent | undefined => {
  if (hello === undefined && goodbye === undefined) return { kind: "messages", messages }
  if (messages.length > 0) return undefined
  if (goodbye === undefined) return hello === undefined ? undefined : { kind: "hello", hello }
  return hello === undefined ? { kind: "goodbye", goodbye } : undefined
}

const readMessage = (reader: Reader, options: DecodeOptions): Message | undefined => {
  const length = reader.blockLength(reader.bytes.length)
  const start = reader.at
  const message = reader.ok
    ? decodeMessage(reader.bytes, start, start + length, options)
    : undefined
  if (message === undefined) reader.fail()
  else reader.at = start + length
  return message
}

/** A reader over the block that `outer` stands before; `outer` passes it. */
const inner = (outer: Reader): Reader => {
  const reader = new Reader()
  const length = outer.blockLength(outer.bytes.length)
  reader.set(outer.bytes, outer.at, outer.at + length)
  outer.at += length
  return reader
}

const readHello = (outer: Reader): Hello | undefined => {
  const reader = inner(outer)
  const block = (): Uint8Array => reader.copy(reader.blockLength(CLIENT_KEY_BYTES))
  const hello = {
    version: 0,
    group: "",
    groupDigest: NO_BYTES,
    node: 0,
    clientKey: NO_BYTES,
    storeId: NO_BYTES,
    incarnation: NO_BYTES,
    horizonMs: 0
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
    else if (tag >>> 3 <= 8) reader.fail()
    else reader.skip(tag & 7)
  }
  if (reader.ok && helloProblem(hello) === undefined) return hello
  outer.fail()
  return undefined
}

const readGoodbye = (outer: Reader): Goodbye | undefined => {
  const reader = inner(outer)
  let number = 0
  let detail = ""
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === 0x08) number = reader.uint()
    else if (tag === 0x12) detail = reader.text(DETAIL_BYTES_MAX)
    else if (tag >>> 3 <= 2) reader.fail()
    else reader.skip(tag & 7)
  }
  const code = errorCodeOf(number)
  if (reader.ok && code !== undefined) return { code, detail }
  outer.fail()
  return undefined
}
