/**
 * Frames of a link as unary calls: a word is a call of its own method, with its ids as headers and
 * its body as it is; the rest are calls of `quorate.v1.Peer`. A frame and its call say the same: a
 * tag covers the frame, which the receiver makes of headers and body.
 */
import { bytesEqual, bytesOfHex, hexOf } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { isNodeId, type NodeId } from "../base/NodeId.ts"
import { UINT32_MAX } from "../base/wire.ts"
import { LANE_NAME, type LaneKey, laneOfBytes, laneText, SESSION_BYTES } from "../server/laneKey.ts"
import { type MethodId, methodId, TRACE_BYTES, type Word } from "../server/Message.ts"
import { decodeBatch, encodeBatch } from "./batch.ts"
import { decodeFrame, encodeFrame, type Frame } from "./frame.ts"
import type { Packet } from "./ports.ts"
import { SIGNATURE_BYTES } from "./proofs.ts"
import { TAG_BYTES } from "./sealing.ts"

/** Headers of calls between members, in the order of docs/PROTOCOL.md. */
export const LINK_HEADER = {
  /** `shake`, `tell` or `word`. */
  call: "quorate-call",
  /** The link: 16 bytes that the side that dialled drew. */
  link: "quorate-link",
  /** Of a `shake`: the group. */
  group: "quorate-group",
  /** Node ids of both ends. */
  from: "quorate-from",
  to: "quorate-to",
  /** Of the frame. */
  sequence: "quorate-sequence",
  // Of a word, from here on.
  /** The frame's tag. */
  auth: "quorate-auth",
  channel: "quorate-channel",
  credit: "quorate-credit",
  position: "quorate-position",
  /** A session in hexadecimal, or a lane's name. */
  lane: "quorate-lane",
  index: "quorate-index",
  round: "quorate-round",
  acknowledged: "quorate-acknowledged",
  author: "quorate-author",
  signature: "quorate-signature",
  trace: "quorate-trace"
} as const

export const SHAKE = "quorate.v1.Peer/Shake"
export const TELL = "quorate.v1.Peer/Tell"
export const LINK_ID_BYTES = 16

type Headers = Readonly<Record<string, unknown>>

export interface LinkCall {
  /** "package.Service/Method" */
  readonly method: string
  /** Lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

/** The members between which a link of calls is; it is their group's alone. */
export interface UnaryEnds {
  readonly group: string
  /** The side that speaks: this one. */
  readonly from: NodeId
  readonly to: NodeId
}
export interface Way extends UnaryEnds {
  /** 32 hexadecimal digits. */
  readonly link: string
}

export interface CallOptions {
  readonly way: Way
  readonly limits: Limits
  readonly sequence: number
  /** Its frame is no ciphertext. */
  readonly readable: boolean
  /** "package.Service/Method" of a method id. */
  readonly methodName: (method: MethodId) => string | undefined
}

export const callOf = (packet: Packet, options: CallOptions): LinkCall => {
  const { way, sequence, readable, limits } = options
  const head = {
    [LINK_HEADER.link]: way.link,
    [LINK_HEADER.from]: String(way.from),
    [LINK_HEADER.to]: String(way.to),
    [LINK_HEADER.sequence]: String(sequence)
  }
  const frame = readable ? decodeFrame(packet.frame, limits) : undefined
  if (frame?.content.kind === "handshake") {
    const headers = { [LINK_HEADER.call]: "shake", ...head, [LINK_HEADER.group]: way.group }
    return { method: SHAKE, headers, body: encodeBatch(packet) }
  }
  const said = frame && wordIn(frame)
  const method = said && options.methodName(said.word.method)
  // A tag fits the very bytes.
  const same = frame && (packet.tag === undefined || bytesEqual(encodeFrame(frame), packet.frame))
  if (said === undefined || method === undefined || !same) {
    const headers = { [LINK_HEADER.call]: "tell", ...head }
    return { method: TELL, headers, body: encodeBatch(packet) }
  }
  const auth = packet.tag && { [LINK_HEADER.auth]: hexOf(packet.tag) }
  const headers = { [LINK_HEADER.call]: "word", ...head, ...auth, ...wordHeaders(said, frame) }
  return { method, headers, body: said.word.body }
}

interface Said {
  readonly channel: number
  readonly word: Word
}
const wordIn = ({ content }: Frame): Said | undefined => {
  if (content.kind !== "messages" || content.messages.length !== 1) return undefined
  const message = content.messages[0]!
  return message.kind === "word" ? { channel: content.channel, word: message } : undefined
}

const wordHeaders = ({ channel, word }: Said, { credit }: Frame): Record<string, string> => {
  const headers: Record<string, string> = {
    [LINK_HEADER.channel]: String(channel),
    [LINK_HEADER.position]: String(word.position),
    [LINK_HEADER.lane]: laneText(word.lane),
    [LINK_HEADER.index]: String(word.index)
  }
  if (credit !== 0) headers[LINK_HEADER.credit] = String(credit)
  if (word.round !== 0) headers[LINK_HEADER.round] = String(word.round)
  if (word.ackedBelow !== 0) headers[LINK_HEADER.acknowledged] = String(word.ackedBelow)
  if (word.author !== undefined) headers[LINK_HEADER.author] = String(word.author)
  if (word.signature !== undefined) headers[LINK_HEADER.signature] = hexOf(word.signature)
  if (word.trace !== undefined) headers[LINK_HEADER.trace] = hexOf(word.trace)
  return headers
}

/** The link of a call, as its speaker names it. `undefined`: it is none between members. */
export const wayOf = (headers: Headers): Way | undefined => {
  const link = String(headers[LINK_HEADER.link])
  const [from, to] = [counter(headers[LINK_HEADER.from]), counter(headers[LINK_HEADER.to])]
  if (link.length !== 2 * LINK_ID_BYTES || bytesOfHex(link) === undefined) return undefined
  if (!isNodeId(from) || !isNodeId(to)) return undefined
  return { link, group: String(headers[LINK_HEADER.group] ?? ""), from, to }
}

/** The frame in a call, and its place; `undefined`: there is none. */
export const packetOf = (
  call: { readonly method: string; readonly headers: Headers; readonly body: Uint8Array },
  limits: Limits
): { readonly sequence: number; readonly packet: Packet } | undefined => {
  const { method, headers, body } = call
  const sequence = counter(headers[LINK_HEADER.sequence])
  if (sequence === undefined || sequence < 1) return undefined
  const kind = headers[LINK_HEADER.call]
  const ours = method === (kind === "shake" ? SHAKE : TELL)
  const packet = kind === "word" ? wordPacket(call, sequence) : ours ? decodeBatch(body) : undefined
  if (packet === undefined || packet.frame.length > limits.batchBytesMax) return undefined
  return { sequence, packet }
}

const wordPacket = (
  {
    method,
    headers,
    body
  }: { readonly method: string; readonly headers: Headers } & {
    readonly body: Uint8Array
  },
  sequence: number
): Packet | undefined => {
  const channel = positive(headers[LINK_HEADER.channel])
  const position = positive(headers[LINK_HEADER.position])
  const index = positive(headers[LINK_HEADER.index])
  const lane = laneOf(headers[LINK_HEADER.lane])
  const credit = orZero(headers[LINK_HEADER.credit])
  const round = orZero(headers[LINK_HEADER.round])
  const ackedBelow = orZero(headers[LINK_HEADER.acknowledged])
  const author = orZero(headers[LINK_HEADER.author])
  const signature = orNone(headers[LINK_HEADER.signature], SIGNATURE_BYTES)
  const trace = orNone(headers[LINK_HEADER.trace], TRACE_BYTES)
  const tag = orNone(headers[LINK_HEADER.auth], TAG_BYTES)
  if (channel === undefined || position === undefined || index === undefined) return undefined
  if (lane === undefined || credit === undefined || round === undefined) return undefined
  if (ackedBelow === undefined || author === undefined) return undefined
  if (channel > UINT32_MAX || round > UINT32_MAX) return undefined
  if (signature === false || trace === false || tag === false) return undefined
  const word: Word = {
    kind: "word",
    ...{ position, lane, index, method: methodId(method), round, ackedBelow, body },
    ...(author === 0 ? undefined : { author }),
    ...(signature && { signature }),
    ...(trace && { trace })
  }
  const content = { kind: "messages", channel, messages: [word] } as const
  const frame = encodeFrame({ sequence, acknowledged: 0, credit, content })
  return tag === undefined ? { frame } : { frame, tag }
}

/** A whole number that both sides can count with. */
const counter = (header: unknown): number | undefined => {
  if (typeof header !== "string" || !/^[0-9]{1,16}$/.test(header)) return undefined
  const value = Number(header)
  return Number.isSafeInteger(value) ? value : undefined
}
const positive = (header: unknown): number | undefined => counter(header) || undefined
const orZero = (header: unknown): number | undefined => (header === undefined ? 0 : counter(header))

/** Absent, or so many bytes; false: something else. */
const orNone = (header: unknown, length: number): Uint8Array | undefined | false => {
  if (header === undefined) return undefined
  const bytes = typeof header === "string" ? bytesOfHex(header) : undefined
  return bytes?.length === length && bytes
}

const laneOf = (header: unknown): LaneKey | undefined => {
  if (typeof header !== "string") return undefined
  if (LANE_NAME.test(header)) return header
  const bytes = header.length === 2 * SESSION_BYTES ? bytesOfHex(header) : undefined
  return bytes && laneOfBytes(bytes)
}
