/**
 * One Connect stream of `quorate.v1.Batch` over an HTTP/2 stream: a connection of the link.
 *
 * Written on the HTTP/2 stream itself, because every message between hosts passes here, and
 * connect-node's own client and server cost several times as much per message. The bytes are those
 * of the Connect protocol, so that stock Connect peers can be on the other side.
 * @source https://connectrpc.com/docs/protocol, "Streaming RPCs"
 */
import type { Http2Stream } from "node:http2"
import { constants } from "node:http2"
import type { Duplex } from "node:stream"
import { Gathered } from "../../base/gathered.ts"
import type { Limits } from "../../base/limits.ts"
import {
  BATCH_FIELD_BYTES_MAX,
  BATCH_FRAME_FIELD,
  BATCH_TAG_FIELD,
  decodeBatch
} from "../../link/batch.ts"
import type { Connection, ConnectionEvents, Packet } from "../../link/ports.ts"
import { errorCodeText, networkErrorText } from "./http2Sessions.ts"

export const LINK_PATH = "/quorate.v1.Peer/Link"
export const LINK_CONTENT_TYPE = "application/connect+proto"

/** Flags and length of a Connect message. */
const PREFIX_BYTES = 5
const FLAG_END = 2
/** An error in an end of stream is cut here. */
const END_BYTES_MAX = 65_536
const END_OF_STREAM = Buffer.from([FLAG_END, 0, 0, 0, 2, 0x7b, 0x7d])

export interface FrameStreamOptions {
  /** The side that ends with an end-of-stream message. */
  readonly server: boolean
  readonly remote: string
  readonly limits: Limits
  /** Why the stream ended, where that was before the other side spoke HTTP/2. */
  readonly unbegun?: () => string | undefined
  /** Once: the handshake is done, or the stream is over without. */
  readonly settled?: (done: boolean) => void
  /** Bytes came in that are no Connect stream of ours. */
  readonly garbage: (what: string) => void
}

type Stream = Http2Stream & Duplex

export class FrameStream implements Connection {
  readonly remote: string
  /** Set before the next turn of the event loop. */
  events: ConnectionEvents | undefined
  private readonly stream: Stream
  private readonly options: FrameStreamOptions
  private readonly reader: MessageReader
  private closing = false
  private left = false
  private over = false
  private isSettled = false
  /** The first reason is the one that is told. */
  private why: string | undefined

  constructor(stream: Stream, options: FrameStreamOptions) {
    this.stream = stream
    this.options = options
    this.remote = options.remote
    const reader = new MessageReader({
      bytesMax: options.limits.handshakeFrameBytesMax + BATCH_FIELD_BYTES_MAX,
      message: (flags, bytes) => this.onMessage(flags, bytes),
      tooLarge: (bytes) => this.fail(`a message of ${bytes} bytes`)
    })
    this.reader = reader
    stream.on("data", (chunk: Uint8Array) => reader.take(chunk))
    const unbegun = (): string | undefined => options.unbegun?.()
    stream.on("end", () => this.end(unbegun() ?? "the other side ended the stream"))
    stream.on("error", (error: Error) => this.end(networkErrorText(error)))
    stream.on("close", () => this.end(unbegun() ?? closeText(stream.rstCode)))
  }

  get backlogBytes(): number {
    return this.stream.writableLength
  }

  send(packet: Packet): void {
    if (this.closing || this.over) return
    this.stream.write(encodeMessage(packet), this.onTaken)
  }

  trust(): void {
    this.settle(true)
    this.reader.bytesMax = this.options.limits.batchBytesMax + BATCH_FIELD_BYTES_MAX
  }

  close(): void {
    if (this.closing) return
    this.closing = true
    this.because("closed by this side")
    const { stream } = this
    if (stream.destroyed) return
    // Of one that reads nothing more the stream would last as long as its connection.
    const late = setTimeout(() => stream.destroy(), this.options.limits.shutdownMs)
    stream.once("close", () => clearTimeout(late))
    if (this.options.server) {
      // Once all is written the request is cut too: nobody reads it any more.
      stream.end(END_OF_STREAM, () => stream.close(constants.NGHTTP2_NO_ERROR))
    } else stream.end()
  }

  /** What the layers below know better than the stream: it is told when the stream ends. */
  because(reason: string): void {
    this.why ??= reason
  }

  /** The session takes no new streams. */
  leave(why: string): void {
    if (this.left || this.over) return
    this.left = true
    this.events?.leaving(why)
  }

  /** Ends at once: the other side does not speak our protocol. */
  fail(what: string): void {
    if (this.over) return
    this.because(what)
    this.options.garbage(what)
    this.stream.close(constants.NGHTTP2_PROTOCOL_ERROR)
    this.end(what)
  }

  private readonly onTaken = (): void => {
    if (this.stream.writableLength > 0 || this.closing || this.over) return
    this.events?.drained()
  }

  private onMessage(flags: number, bytes: Uint8Array): void {
    if (this.over) return
    if (flags === FLAG_END && !this.options.server) return this.because(endText(bytes))
    if (flags !== 0) return this.fail(`a message with flags ${flags}`)
    const packet = decodeBatch(bytes)
    if (packet === undefined) this.fail("a message that is no Batch")
    else this.events?.packet(packet)
  }

  private settle(done: boolean): void {
    if (this.isSettled) return
    this.isSettled = true
    this.options.settled?.(done)
  }

  private end(reason: string): void {
    if (this.over) return
    this.over = true
    this.settle(false)
    this.because(reason)
    this.close()
    this.events?.closed(this.why ?? reason)
  }
}

const closeText = (code: number): string =>
  code === constants.NGHTTP2_NO_ERROR
    ? "the stream was closed"
    : `the stream was reset (${errorCodeText(code)})`

/** Prefix, fields, frame and tag in one piece: one write. */
const encodeMessage = ({ frame, tag }: Packet): Uint8Array => {
  const lengthBytes = varintBytes(frame.length)
  const tagBytes = tag === undefined ? 0 : 2 + tag.length
  const length = 1 + lengthBytes + frame.length + tagBytes
  const bytes = Buffer.allocUnsafe(PREFIX_BYTES + length)
  bytes[0] = 0
  bytes.writeUInt32BE(length, 1)
  bytes[PREFIX_BYTES] = BATCH_FRAME_FIELD
  let at = PREFIX_BYTES + 1
  for (let rest = frame.length; ; rest >>>= 7) {
    if (rest < 0x80) {
      bytes[at++] = rest
      break
    }
    bytes[at++] = (rest & 0x7f) | 0x80
  }
  bytes.set(frame, at)
  if (tag === undefined) return bytes
  at += frame.length
  bytes[at++] = BATCH_TAG_FIELD
  bytes[at++] = tag.length
  bytes.set(tag, at)
  return bytes
}

const varintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = value; rest >= 0x80; rest >>>= 7) bytes++
  return bytes
}

const endText = (bytes: Uint8Array): string => {
  try {
    const end: unknown = JSON.parse(Buffer.from(bytes).toString("utf8"))
    const { error } = end as { error?: { code?: unknown; message?: unknown } }
    if (error === undefined) return "the other side ended the stream"
    return `the other side ended the stream: ${error.code}: ${error.message ?? ""}`
  } catch {
    return "the other side ended the stream with bytes that are no end"
  }
}

type Prefix = readonly [number, number, number, number, number]

interface MessageReaderOptions {
  /** At first; it may be raised later. */
  readonly bytesMax: number
  readonly message: (flags: number, bytes: Uint8Array) => void
  readonly tooLarge: (bytes: number) => void
}

/**
 * Cuts chunks into Connect messages. Each message is a copy: a chunk's memory is the socket's, and
 * a vote that is kept must not hold on to it. Memory: what has come, never what a prefix promises.
 */
class MessageReader {
  bytesMax: number
  private readonly options: MessageReaderOptions
  private readonly prefix = new Uint8Array(PREFIX_BYTES)
  private prefixBytes = 0
  /** Of the message that is coming, which has `length` bytes. */
  private readonly bytes = new Gathered()
  private length = 0
  private dead = false

  constructor(options: MessageReaderOptions) {
    this.options = options
    this.bytesMax = options.bytesMax
  }

  take(chunk: Uint8Array): void {
    for (let at = 0; !this.dead; ) {
      if (this.prefixBytes < PREFIX_BYTES) {
        while (this.prefixBytes < PREFIX_BYTES && at < chunk.length) {
          this.prefix[this.prefixBytes++] = chunk[at++]!
        }
        if (this.prefixBytes < PREFIX_BYTES || !this.begin()) return
      }
      const part = Math.min(this.length - this.bytes.length, chunk.length - at)
      this.bytes.add(chunk.subarray(at, at + part), this.length)
      at += part
      if (this.bytes.length < this.length) return
      this.prefixBytes = 0
      this.options.message(this.prefix[0]!, this.bytes.take())
    }
  }

  private begin(): boolean {
    const [flags, a, b, c, d] = this.prefix as unknown as Prefix
    this.length = a * 2 ** 24 + b * 2 ** 16 + c * 2 ** 8 + d
    const bytesMax = flags === FLAG_END ? END_BYTES_MAX : this.bytesMax
    if (this.length <= bytesMax) return true
    this.dead = true
    this.options.tooLarge(this.length)
    return false
  }
}
