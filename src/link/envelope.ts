/**
 * One message as a `quorate.v1.Envelope` (proto/quorate/v1/link.proto), written by hand because
 * this runs for every message: small ones take well under half a microsecond each way.
 */
import { NO_BYTES } from "../base/bytes.ts"
import { assert } from "../base/assert.ts"
import { errorCodeNumber, errorCodeOf } from "../base/errorCode.ts"
import { LIMITS } from "../base/limits.ts"
import { NODE_ID_MAX } from "../base/NodeId.ts"
import { isSession, type LaneKey, SESSION_BYTES } from "../server/laneKey.ts"
import type { Message, Reply, Word } from "../server/Message.ts"
import { laneAt } from "./laneAt.ts"
import { utf8Cut } from "../base/utf8.ts"
import { Reader, UINT32_MAX, Writer } from "../base/wire.ts"

/** A reply's or goodbye's detail, in UTF-8. The sender cuts it, a receiver refuses more. */
export const DETAIL_BYTES_MAX = 512
/** What an envelope takes beside its body and its detail, at most. */
const FIXED_BYTES_MAX = 128
/** What a small envelope takes beside its body, usually. */
const FIXED_BYTES_USUAL = 44

const KIND = {
  word: 1,
  want: 2,
  wantLane: 3,
  taken: 4,
  request: 5,
  oneWay: 6,
  cancel: 7,
  reply: 8,
  resume: 9
} as const

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
  horizonMs: 0x78
} as const
const FIELD_MAX = 15

const scratch = new Writer(1024)

/**
 * The envelope of `message`, without length or tag. A word's bytes are kept in `word.wire`, so a
 * word to many, or said again, is encoded once: whoever gets them must not write into them.
 */
export const encodeMessage = (message: Message): Uint8Array => {
  if (message.kind === "word" && message.wire !== undefined) return message.wire
  scratch.clear()
  scratch.reserve(messageBytesMax(message))
  writeMessage(scratch, message)
  const bytes = scratch.take()
  if (message.kind === "word") message.wire = bytes
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
    case "resume":
      return field(writer, TAG.position, message.position)
    case "wantLane":
      assert(message.from >= 1 && message.to > message.from, "a want of a lane names a range")
      lane(writer, message.lane)
      field(writer, TAG.index, message.from)
      return field(writer, TAG.indexEnd, message.to)
    case "taken":
      field(writer, TAG.position, message.taken)
      return field(writer, TAG.done, message.done)
    case "request":
      assert(message.deadlineMs <= UINT32_MAX, "a deadline is below 2^32 milliseconds")
      call(writer, message.session, message.index)
      method(writer, message.method)
      field(writer, TAG.ackedBelow, message.ackedBelow)
      field(writer, TAG.deadlineMs, message.deadlineMs)
      return body(writer, message.body)
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
}

const writeReply = (writer: Writer, reply: Reply): void => {
  call(writer, reply.session, reply.index)
  body(writer, reply.body)
  if (reply.code === undefined) return
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
  writer.byte(tag)
  writer.uint(value)
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

/** The fields of the envelope being read; one, used again for each. */
class Fields {
  kind = 0
  position = 0
  done = 0
  lane = ""
  index = 0
  indexEnd = 0
  method = 0
  round = 0
  ackedBelow = 0
  deadlineMs = 0
  body: Uint8Array = NO_BYTES
  code = 0
  detail = ""
  node = 0
  horizonMs = 0

  clear(): void {
    this.kind = this.position = this.done = this.index = this.indexEnd = this.method = 0
    this.round = this.ackedBelow = this.deadlineMs = this.code = this.node = this.horizonMs = 0
    this.lane = this.detail = ""
    this.body = NO_BYTES
  }
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
  fields.body = NO_BYTES
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
    default:
      // A known field with another wire type, or field 0, is no envelope of ours.
      if (tag >>> 3 <= FIELD_MAX) reader.fail()
      else reader.skip(tag & 7)
  }
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

const build = (f: Fields): Message | undefined => {
  switch (f.kind) {
    case KIND.word:
      return buildWord(f)
    case KIND.want:
      return { kind: "want", position: f.position }
    case KIND.resume:
      return f.position < 1 ? undefined : { kind: "resume", position: f.position }
    case KIND.wantLane:
      if (f.lane === "" || f.index < 1 || f.indexEnd <= f.index) return undefined
      return { kind: "wantLane", lane: f.lane, from: f.index, to: f.indexEnd }
    case KIND.taken:
      return { kind: "taken", taken: f.position, done: f.done }
    case KIND.request:
      return buildRequest(f)
    case KIND.oneWay:
      return { kind: "oneWay", method: f.method, body: f.body }
    case KIND.cancel:
      if (!isSession(f.lane) || f.index < 1) return undefined
      return { kind: "cancel", session: f.lane, index: f.index }
    case KIND.reply:
      return buildReply(f)
    default:
      return undefined
  }
}

const buildWord = (f: Fields): Message | undefined => {
  if (f.position < 1 || f.lane === "" || f.index < 1) return undefined
  return {
    kind: "word",
    position: f.position,
    lane: f.lane,
    index: f.index,
    method: f.method,
    round: f.round,
    ackedBelow: f.ackedBelow,
    body: f.body
  }
}

const buildRequest = (f: Fields): Message | undefined => {
  if (!isSession(f.lane) || f.index < 1) return undefined
  return {
    kind: "request",
    session: f.lane,
    index: f.index,
    ackedBelow: f.ackedBelow,
    method: f.method,
    deadlineMs: f.deadlineMs,
    body: f.body
  }
}

const buildReply = (f: Fields): Message | undefined => {
  if (!isSession(f.lane) || f.index < 1 || f.node > NODE_ID_MAX) return undefined
  if (f.code === 0) return { kind: "reply", session: f.lane, index: f.index, body: f.body }
  const code = errorCodeOf(f.code)
  if (code === undefined || (code === "redirect" && f.node === 0)) return undefined
  return {
    kind: "reply",
    session: f.lane,
    index: f.index,
    body: f.body,
    code,
    ...(f.detail === "" ? undefined : { detail: f.detail }),
    ...(f.node === 0 ? undefined : { node: f.node }),
    ...(f.horizonMs === 0 ? undefined : { horizonMs: f.horizonMs })
  }
}
