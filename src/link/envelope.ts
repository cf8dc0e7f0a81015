/**
 * One message as a `quorate.v1.Envelope` (proto/quorate/v1/link.proto), written by hand because
 * this runs for every message: small ones take well under half a microsecond each way.
 */
import { NO_BYTES } from "../base/bytes.ts"
import { assert } from "../base/assert.ts"
import { errorCodeNumber } from "../base/errorCode.ts"
import { LIMITS } from "../base/limits.ts"
import { EPOCH_STATES } from "../server/epoch.ts"
import { isSession, type LaneKey, SESSION_BYTES } from "../server/laneKey.ts"
import { type Message, type Reply, TRACE_BYTES, type Word } from "../server/Message.ts"
import { build, Fields, KIND } from "./envelopeFields.ts"
import { laneAt } from "./laneAt.ts"
import { utf8Cut } from "../base/utf8.ts"
import { Reader, UINT32_MAX, Writer } from "../base/wire.ts"

/** A reply's or goodbye's detail, in UTF-8. The sender cuts it, a receiver refuses more. */
export const DETAIL_BYTES_MAX = 512
/** What an envelope takes beside its body and its detail, at most. */
const FIXED_BYTES_MAX = 256
/** What a small envelope takes beside its body, usually. */
const FIXED_BYTES_USUAL = 44

/** Field number * 8 + wire type: 0 varint, 2 block, 5 fixed32. */
const TAG = {
  kind: 0x08,
  position: 0x10,
  done: 0x18,
  lane: 0x22,
  index: 0x28,
  indexEnd: 0x30,
  method: 0x3d,
  round: 0x40,
  ackedBelow: 0x48,
  deadlineMs: 0x50,
  body: 0x5a,
  code: 0x60,
  detail: 0x6a,
  node: 0x70,
  horizonMs: 0x78,
  tentative: 0x80,
  author: 0x88,
  signature: 0x92,
  clientKey: 0xa2,
  nonce: 0xaa,
  trace: 0xb2
} as const
/** Known fields beside those from 1 to 15. */
const FIELDS_ABOVE: ReadonlySet<number> = new Set([16, 17, 18, 20, 21, 22])
const SIGNATURE_BYTES = 64
const CLIENT_KEY_BYTES = 32
const NONCE_BYTES = 16
/** Tag, length and context. */
const TRACE_FIELD_BYTES = 3 + TRACE_BYTES

const scratch = new Writer(1024)

/**
 * The envelope of `message`, without length or tag. A word's bytes are kept in `word.wire`, so a
 * word to many, or said again, is encoded once: whoever gets them must not write into them.
 */
export const encodeMessage = (message: Message): Uint8Array => {
  if (message.kind === "word") {
    const wire = wordWire(message)
    return message.trace === undefined ? wire : traced(wire, message.trace)
  }
  scratch.clear()
  scratch.reserve(messageBytesMax(message))
  writeMessage(scratch, message)
  return scratch.take()
}

/** A word's envelope as the log keeps it: without a trace, which is a matter of each sending. */
export const wordWire = (word: Word): Uint8Array => {
  if (word.wire !== undefined) return word.wire
  scratch.clear()
  scratch.reserve(messageBytesMax(word))
  writeMessage(scratch, word)
  return (word.wire = scratch.take())
}

const traced = (wire: Uint8Array, trace: Uint8Array): Uint8Array => {
  const field = new Writer(TRACE_FIELD_BYTES)
  field.reserve(TRACE_FIELD_BYTES)
  block(field, TAG.trace, trace)
  const bytes = new Uint8Array(wire.length + field.length)
  bytes.set(wire)
  bytes.set(field.take(), wire.length)
  return bytes
}

/** Appends tag, length and envelope: one element of a frame's `envelopes`. */
export const appendMessage = (writer: Writer, tag: number, message: Message): void => {
  if (message.kind === "word") {
    const wire = encodeMessage(message)
    writer.reserve(wire.length + 5)
    writer.byte(tag)
    writer.block(wire)
    return
  }
  writer.reserve(messageBytesMax(message) + 8)
  writer.byte(tag)
  const guess = FIXED_BYTES_USUAL + ("body" in message ? message.body.length : 0)
  const start = writer.open(guess)
  writeMessage(writer, message)
  writer.close(start, guess)
}

const messageBytesMax = (message: Message): number =>
  FIXED_BYTES_MAX +
  ("body" in message ? message.body.length : 0) +
  (message.kind === "epoch" ? message.next.length : 0) +
  (message.kind === "reply" && message.detail !== undefined
    ? Math.min(3 * message.detail.length, 4 * DETAIL_BYTES_MAX)
    : 0)

const writeMessage = (writer: Writer, message: Message): void => {
  writer.byte(TAG.kind)
  writer.byte(KIND[message.kind])
  switch (message.kind) {
    case "word":
      return writeWord(writer, message)
    case "want":
    case "cut":
    case "resume":
      return field(writer, TAG.position, message.position)
    case "wantLane":
      assert(message.from >= 1 && message.to > message.from, "a want of a lane names a range")
      lane(writer, message.lane)
      field(writer, TAG.index, message.from)
      return field(writer, TAG.indexEnd, message.to)
    case "behind":
      lane(writer, message.lane)
      return field(writer, TAG.index, message.own)
    case "taken":
      field(writer, TAG.position, message.taken)
      return field(writer, TAG.done, message.done)
    case "epoch":
      field(writer, TAG.position, EPOCH_STATES.indexOf(message.state) + 1)
      return body(writer, message.next)
    case "request":
      assert(message.deadlineMs <= UINT32_MAX, "a deadline is below 2^32 milliseconds")
      call(writer, message.session, message.index)
      method(writer, message.method)
      field(writer, TAG.ackedBelow, message.ackedBelow)
      field(writer, TAG.deadlineMs, message.deadlineMs)
      body(writer, message.body)
      if (message.proof !== undefined) {
        block(writer, TAG.signature, message.proof.signature)
        block(writer, TAG.clientKey, message.proof.clientKey)
        block(writer, TAG.nonce, message.proof.nonce)
      }
      if (message.trace !== undefined) block(writer, TAG.trace, message.trace)
      return
    case "oneWay":
      method(writer, message.method)
      return body(writer, message.body)
    case "cancel":
      return call(writer, message.session, message.index)
    case "reply":
      return writeReply(writer, message)
  }
}

const writeWord = (writer: Writer, word: Word): void => {
  assert(word.position >= 1 && word.index >= 1, "positions and indexes begin at 1")
  assert(word.round <= UINT32_MAX, "a round is at most 2^32 - 1")
  field(writer, TAG.position, word.position)
  lane(writer, word.lane)
  field(writer, TAG.index, word.index)
  method(writer, word.method)
  field(writer, TAG.round, word.round)
  field(writer, TAG.ackedBelow, word.ackedBelow)
  body(writer, word.body)
  if (word.author !== undefined) field(writer, TAG.author, word.author)
  if (word.signature !== undefined) block(writer, TAG.signature, word.signature)
}

const writeReply = (writer: Writer, reply: Reply): void => {
  call(writer, reply.session, reply.index)
  body(writer, reply.body)
  if (reply.tentative) field(writer, TAG.tentative, 1)
  if (reply.code === undefined) return
  assert(reply.tentative !== true, "a failure is never tentative")
  field(writer, TAG.code, errorCodeNumber(reply.code))
  if (reply.detail !== undefined && reply.detail !== "") {
    writer.byte(TAG.detail)
    writer.text(utf8Cut(reply.detail, DETAIL_BYTES_MAX))
  }
  if (reply.code === "redirect") assert(reply.node !== undefined, "a redirect names a node")
  if (reply.node !== undefined) field(writer, TAG.node, reply.node)
  if (reply.horizonMs !== undefined) field(writer, TAG.horizonMs, reply.horizonMs)
}

/** Zero is absence, as everywhere in proto3. */
const field = (writer: Writer, tag: number, value: number): void => {
  if (value === 0) return
  writer.uint(tag)
  writer.uint(value)
}
const block = (writer: Writer, tag: number, bytes: Uint8Array): void => {
  writer.uint(tag)
  writer.block(bytes)
}
const lane = (writer: Writer, key: LaneKey): void => {
  assert(key.length >= 1 && key.length <= SESSION_BYTES, "a lane is a session or a short name")
  writer.byte(TAG.lane)
  writer.latin(key)
}
const call = (writer: Writer, session: LaneKey, index: number): void => {
  assert(isSession(session) && index >= 1, "a call has a session and an index from 1")
  lane(writer, session)
  field(writer, TAG.index, index)
}
const method = (writer: Writer, id: number): void => {
  if (id === 0) return
  writer.byte(TAG.method)
  writer.fixed32(id)
}
const body = (writer: Writer, bytes: Uint8Array): void => {
  if (bytes.length === 0) return
  writer.byte(TAG.body)
  writer.block(bytes)
}

const reader = new Reader()
const fields = new Fields()

export interface DecodeOptions {
  readonly bodyBytesMax: number
  /** Bodies are copied; else they may be views of `bytes`. */
  readonly copy: boolean
}
const VIEWS: DecodeOptions = { bodyBytesMax: LIMITS.bodyBytesMax, copy: false }

/**
 * The message in `bytes` from `start` to `end`; `undefined` for anything that is none: an unknown
 * kind, a field of the wrong type, beyond its bounds or missing. Unknown fields are skipped.
 *
 * Who owns the bytes: `body` may be a view of `bytes`, which therefore must never be written again.
 */
export const decodeMessage = (
  bytes: Uint8Array,
  start: number,
  end: number,
  options: DecodeOptions = VIEWS
): Message | undefined => {
  reader.set(bytes, start, end)
  fields.clear()
  while (reader.more) readField(options)
  const message = reader.ok ? build(fields) : undefined
  fields.clear()
  reader.bytes = NO_BYTES
  return message
}

const readField = (options: DecodeOptions): void => {
  const tag = reader.uint32()
  switch (tag) {
    case TAG.kind:
      fields.kind = reader.uint()
      return
    case TAG.position:
      fields.position = reader.uint()
      return
    case TAG.done:
      fields.done = reader.uint()
      return
    case TAG.lane:
      fields.lane = laneAt(reader)
      return
    case TAG.index:
      fields.index = reader.uint()
      return
    case TAG.indexEnd:
      fields.indexEnd = reader.uint()
      return
    case TAG.method:
      fields.method = reader.fixed32()
      return
    case TAG.round:
      fields.round = reader.uint32()
      return
    case TAG.ackedBelow:
      fields.ackedBelow = reader.uint()
      return
    case TAG.deadlineMs:
      fields.deadlineMs = reader.uint32()
      return
    case TAG.body:
      fields.body = readBody(options)
      return
    default:
      return readRareField(tag)
  }
}

const readRareField = (tag: number): void => {
  switch (tag) {
    case TAG.code:
      fields.code = reader.uint32()
      return
    case TAG.detail:
      fields.detail = reader.text(DETAIL_BYTES_MAX)
      return
    case TAG.node:
      fields.node = reader.uint()
      return
    case TAG.horizonMs:
      fields.horizonMs = reader.uint()
      return
    case TAG.author:
      fields.author = reader.uint()
      return
    case TAG.signature:
      fields.signature = exactly(SIGNATURE_BYTES)
      return
    case TAG.clientKey:
      fields.clientKey = exactly(CLIENT_KEY_BYTES)
      return
    case TAG.nonce:
      fields.nonce = exactly(NONCE_BYTES)
      return
    case TAG.trace:
      fields.trace = exactly(TRACE_BYTES)
      return
    case TAG.tentative:
      fields.tentative = reader.uint()
      return
    default:
      // A known field with another wire type, or field 0, is no envelope of ours.
      if (tag >>> 3 <= 15 || FIELDS_ABOVE.has(tag >>> 3)) reader.fail()
      else reader.skip(tag & 7)
  }
}

/** Absent, or of this length. */
const exactly = (length: number): Uint8Array => {
  const got = reader.blockLength(length)
  if (got === 0) return NO_BYTES
  if (got === length) return reader.copy(length)
  reader.fail()
  return NO_BYTES
}

/**
 * A large body is a view, unless that would keep a frame of many times its size in memory for as
 * long as the message lives. A small one is copied: an application may keep what it finds in a
 * request or reply. Not so a word's: it goes with its instance, like the words beside it in the
 * frame, and a small copy lives in the JavaScript heap, from where the first codec that reads it
 * moves it out, at the price of all other work on the word.
 */
const BODY_COPIED_BYTES = 64
const readBody = (options: DecodeOptions): Uint8Array => {
  const length = reader.blockLength(options.bodyBytesMax)
  if (length === 0) return NO_BYTES
  const copied =
    options.copy ||
    (length <= BODY_COPIED_BYTES && fields.kind !== KIND.word) ||
    (reader.bytes.length > 2 * LIMITS.batchBytesTarget && 4 * length < reader.bytes.length)
  return copied ? reader.copy(length) : reader.view(length)
}
