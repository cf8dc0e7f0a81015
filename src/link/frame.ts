/** A frame of a link: `quorate.v1.Frame` of proto/quorate/v1/link.proto. */
import { assert } from "../base/assert.ts"
import { LIMITS, type Limits } from "../base/limits.ts"
import { Reader, Writer } from "../base/wire.ts"
import type { Message } from "../server/Message.ts"
import { appendMessage, type DecodeOptions, decodeMessage } from "./envelope.ts"
import { encodeGoodbye, type Goodbye, readGoodbye } from "./goodbye.ts"
import type { HandshakeParts } from "./handshake.ts"
import { encodeHello, type Hello, readHello } from "./groupHello.ts"

/** Channels are numbered from 1 on; 0 stands for the link itself. */
export const LINK_CHANNEL = 0

/** A frame holds one of these; `messages` may be none: a bare acknowledgement, or credit. */
export type FrameContent =
  | { readonly kind: "handshake"; readonly parts: HandshakeParts }
  | { readonly kind: "open"; readonly channel: number; readonly hello: Hello }
  | {
      readonly kind: "messages"
      readonly channel: number
      readonly messages: ReadonlyArray<Message>
    }
  /** `left`: bytes of the envelope that are still to come. */
  | {
      readonly kind: "fragment"
      readonly channel: number
      readonly bytes: Uint8Array
      readonly left: number
    }
  | { readonly kind: "goodbye"; readonly channel: number; readonly goodbye: Goodbye }

export interface Frame {
  /** 1, 2, 3 … per direction and connection. */
  readonly sequence: number
  /** Highest sequence of the other side that was handed on; 0: none. */
  readonly acknowledged: number
  /** Bytes that the sender takes on the channel in all; 0: not told. */
  readonly credit: number
  readonly content: FrameContent
}

/** Field number * 8 + wire type. */
const TAG = {
  sequence: 0x08,
  acknowledged: 0x10,
  channel: 0x18,
  credit: 0x20,
  envelope: 0x2a,
  open: 0x32,
  goodbye: 0x3a,
  fragment: 0x42,
  fragmentLeft: 0x48,
  hello: 0x52,
  proof: 0x5a
} as const
const FRAME_FIELD_MAX = 11
export const ENVELOPE_TAG = TAG.envelope
/** What a header takes at most: sequence, acknowledgement, channel, credit. */
export const FRAME_HEADER_BYTES_MAX = 33

const scratch = new Writer(1024)

export const encodeFrame = (frame: Frame): Uint8Array => {
  const content = frame.content
  const channel = "channel" in content ? content.channel : LINK_CHANNEL
  scratch.clear()
  scratch.reserve(FRAME_HEADER_BYTES_MAX)
  writeHeader(scratch, { ...frame, channel })
  switch (content.kind) {
    case "handshake":
      if (content.parts.hello !== undefined) block(TAG.hello, content.parts.hello)
      if (content.parts.proof !== undefined) block(TAG.proof, content.parts.proof)
      break
    case "open":
      block(TAG.open, encodeHello(content.hello))
      break
    case "goodbye":
      block(TAG.goodbye, encodeGoodbye(content.goodbye))
      break
    case "fragment":
      block(TAG.fragment, content.bytes)
      if (content.left === 0) break
      scratch.reserve(9)
      scratch.byte(TAG.fragmentLeft)
      scratch.uint(content.left)
      break
    case "messages":
      for (const message of content.messages) appendMessage(scratch, TAG.envelope, message)
  }
  return scratch.take()
}

export interface FrameHeader {
  readonly sequence: number
  readonly acknowledged: number
  readonly channel: number
  readonly credit: number
}
/** Zero is absence. */
export const writeHeader = (writer: Writer, header: FrameHeader): void => {
  const { sequence, acknowledged, channel, credit } = header
  assert(sequence >= 1, "sequences begin at 1")
  writer.byte(TAG.sequence)
  writer.uint(sequence)
  if (acknowledged !== 0) {
    writer.byte(TAG.acknowledged)
    writer.uint(acknowledged)
  }
  if (channel === LINK_CHANNEL) return
  writer.byte(TAG.channel)
  writer.uint(channel)
  if (credit === 0) return
  writer.byte(TAG.credit)
  writer.uint(credit)
}

const block = (tag: number, bytes: Uint8Array): void => {
  scratch.reserve(bytes.length + 5)
  scratch.byte(tag)
  scratch.block(bytes)
}

/** Of a frame that ends a link: why. */
export const goodbyeIn = (bytes: Uint8Array): Goodbye | undefined => {
  const content = decodeFrame(bytes)?.content
  return content?.kind === "goodbye" && content.channel === LINK_CHANNEL
    ? content.goodbye
    : undefined
}

/** What may come once in a frame, and not beside anything else. */
interface Parts {
  hello: Uint8Array | undefined
  proof: Uint8Array | undefined
  open: Hello | undefined
  goodbye: Goodbye | undefined
  fragment: Uint8Array | undefined
  left: number
}

/**
 * The frame in `bytes`; `undefined` when it, or anything in it, is malformed. Its messages own
 * their bodies as {@link decodeMessage} says: `bytes` must never be written again.
 */
export const decodeFrame = (bytes: Uint8Array, limits: Limits = LIMITS): Frame | undefined => {
  const options: DecodeOptions = { bodyBytesMax: limits.bodyBytesMax, copy: false }
  const reader = new Reader()
  reader.set(bytes, 0, bytes.length)
  let [sequence, acknowledged, channel, credit] = [0, 0, LINK_CHANNEL, 0]
  let parts: Parts | undefined
  const messages: Array<Message> = []
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === TAG.envelope) {
      const message = readMessage(reader, options)
      if (message !== undefined) messages.push(message)
    } else if (tag === TAG.sequence) sequence = reader.uint()
    else if (tag === TAG.acknowledged) acknowledged = reader.uint()
    else if (tag === TAG.channel) channel = reader.uint32()
    else if (tag === TAG.credit) credit = reader.uint()
    else if (tag >>> 3 > FRAME_FIELD_MAX) reader.skip(tag & 7)
    else readPart(reader, tag, (parts ??= none()))
  }
  if (!reader.ok || sequence === 0) return undefined
  if (channel === LINK_CHANNEL && credit > 0) return undefined
  const content = contentOf(channel, parts, messages)
  return content && { sequence, acknowledged, credit, content }
}

const none = (): Parts => ({
  hello: undefined,
  proof: undefined,
  open: undefined,
  goodbye: undefined,
  fragment: undefined,
  left: 0
})

const readPart = (reader: Reader, tag: number, parts: Parts): void => {
  if (tag === TAG.hello && parts.hello === undefined) parts.hello = readBytes(reader)
  else if (tag === TAG.proof && parts.proof === undefined) parts.proof = readBytes(reader)
  else if (tag === TAG.open && parts.open === undefined) parts.open = readHello(reader)
  else if (tag === TAG.goodbye && parts.goodbye === undefined) parts.goodbye = readGoodbye(reader)
  else if (tag === TAG.fragment && parts.fragment === undefined) parts.fragment = readBytes(reader)
  else if (tag === TAG.fragmentLeft) parts.left = reader.uint32()
  else reader.fail()
}

const readBytes = (reader: Reader): Uint8Array => {
  const length = reader.blockLength(reader.bytes.length)
  return length === 0 ? reader.copy(0) : reader.view(length)
}

const contentOf = (
  channel: number,
  found: Parts | undefined,
  messages: ReadonlyArray<Message>
): FrameContent | undefined => {
  if (found === undefined) {
    if (channel === LINK_CHANNEL && messages.length > 0) return undefined
    return { kind: "messages", channel, messages }
  }
  const { hello, proof, open, goodbye, fragment, left } = found
  const handshake = hello ?? proof
  const count = [handshake, open, goodbye, fragment].filter((it) => it !== undefined).length
  if (count !== 1 || messages.length > 0 || (left > 0 && fragment === undefined)) return undefined
  if (goodbye !== undefined) return { kind: "goodbye", channel, goodbye }
  const ofChannel = open !== undefined || fragment !== undefined
  if (ofChannel !== (channel !== LINK_CHANNEL)) return undefined
  if (open !== undefined) return { kind: "open", channel, hello: open }
  if (fragment !== undefined) {
    return fragment.length === 0 ? undefined : { kind: "fragment", channel, bytes: fragment, left }
  }
  const parts = { ...(hello && { hello }), ...(proof && { proof }) }
  return { kind: "handshake", parts }
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
