/**
 * What one channel has to say: envelopes in order as far as the peer's credit goes, and control,
 * which needs none and passes them.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { Writer } from "../base/wire.ts"
import type { Message } from "../server/Message.ts"
import { appendMessage, encodeMessage } from "./envelope.ts"
import { Fifo } from "./fifo.ts"
import { ENVELOPE_TAG, FRAME_HEADER_BYTES_MAX, type FrameContent } from "./frame.ts"

/** Told apart so, of control only the newest is kept. */
const controlKey = (message: Message): string | undefined => {
  switch (message.kind) {
    case "taken":
    case "want":
      return message.kind
    case "behind":
      return `behind ${message.lane}`
    case "wantLane":
      return `wantLane ${message.lane} ${message.from} ${message.to}`
    default:
      return undefined
  }
}
/** A frame of control alone costs no credit. */
export const isControl = ({ kind }: Message): boolean =>
  kind === "taken" || kind === "want" || kind === "behind" || kind === "wantLane"

/** Envelopes with room for a header in front; or one alone that goes in fragments. */
interface Piece {
  readonly bytes: Uint8Array
  readonly large: boolean
}

const BATCH_BYTES_MIN = 1024
/** Envelopes of control have no bodies: what one takes at most. */
const CONTROL_BYTES_MAX = 64
/** Header, tag and length around a fragment. */
const FRAGMENT_EXTRA_BYTES = 64

export class Outbox {
  /** Bytes of frames, in all: sent, and what the peer takes. */
  sent = 0
  granted: number
  private readonly limits: Limits
  /** The batch being filled: room for a header, then `batchEnvelopes` envelopes. */
  private readonly batch = new Writer(BATCH_BYTES_MIN)
  private batchEnvelopes = 0
  private readonly pieces = new Fifo<Piece>()
  private pieceBytes = 0
  /** Of the large one at the head, so many bytes went. */
  private largeSent = 0
  private readonly control = new Map<string, Message>()

  constructor(limits: Limits) {
    this.limits = limits
    this.granted = limits.creditBytes
    this.beginBatch()
  }

  /** What waits here. */
  get bytes(): number {
    const control = this.control.size * CONTROL_BYTES_MAX
    return this.batch.length - FRAME_HEADER_BYTES_MAX + this.pieceBytes - this.largeSent + control
  }

  /** A whole batch waits, and may go. */
  get full(): boolean {
    const head = this.pieces.peek()
    return head !== undefined && this.mayGo(head)
  }

  push(message: Message): void {
    const key = controlKey(message)
    if (key === undefined) return this.queue(message)
    // the newest, at its place in time
    this.control.delete(key)
    this.control.set(key, message)
  }

  /** There is something to say now. `room`: data may go too. */
  ready(room: boolean): boolean {
    if (this.control.size > 0) return true
    if (!room) return false
    const head = this.pieces.peek()
    if (head !== undefined) return this.mayGo(head)
    return this.batchEnvelopes > 0 && this.fits(this.batch.length)
  }

  /** What to say next: content, or envelopes with room for a header in front. */
  next(channel: number, room: boolean): FrameContent | Uint8Array | undefined {
    const head = this.pieces.peek()
    if (room && head === undefined && this.batchEnvelopes > 0) {
      const bytes = this.nextBatch()
      if (bytes !== undefined) return bytes
    }
    if (this.control.size > 0) return { kind: "messages", channel, messages: this.nextControl() }
    if (!room || head === undefined || !this.mayGo(head)) return undefined
    if (head.large) return this.nextFragment(channel, head.bytes)
    this.pieces.shift()
    this.pieceBytes -= head.bytes.length
    return head.bytes
  }

  clear(): void {
    this.beginBatch()
    this.pieces.clear()
    this.pieceBytes = 0
    this.control.clear()
    this.largeSent = 0
  }

  private queue(message: Message): void {
    const { bodyBytesMax, batchBytesTarget, batchEnvelopesTarget, fragmentBytes } = this.limits
    const bodyBytes = "body" in message ? message.body.length : 0
    assert(bodyBytes <= bodyBytesMax, "a body is too large")
    if (bodyBytes > fragmentBytes) {
      if (this.batchEnvelopes > 0) this.seal()
      return this.keep({ bytes: encodeMessage(message), large: true })
    }
    const before = this.batch.length
    appendMessage(this.batch, ENVELOPE_TAG, message)
    this.batchEnvelopes++
    if (this.batch.length - FRAME_HEADER_BYTES_MAX > batchBytesTarget && this.batchEnvelopes > 1) {
      this.keep({ bytes: this.batch.split(before, FRAME_HEADER_BYTES_MAX), large: false })
      this.batchEnvelopes = 1
    } else if (this.batchEnvelopes >= batchEnvelopesTarget) this.seal()
  }

  private keep(piece: Piece): void {
    this.pieces.push(piece)
    this.pieceBytes += piece.bytes.length
  }

  private fits(bytes: number): boolean {
    return this.sent + bytes <= this.granted
  }
  private mayGo({ bytes, large }: Piece): boolean {
    if (!large) return this.fits(bytes.length)
    const next = Math.min(bytes.length - this.largeSent, this.limits.fragmentBytes)
    return this.fits(next + FRAGMENT_EXTRA_BYTES)
  }

  /** The oldest of it, as much as a frame has. */
  private nextControl(): ReadonlyArray<Message> {
    const most = Math.floor(this.limits.batchBytesMax / CONTROL_BYTES_MAX) - 1
    const messages: Array<Message> = []
    for (const [key, message] of this.control) {
      if (messages.length === most) break
      messages.push(message)
      this.control.delete(key)
    }
    return messages
  }

  /** The batch as it is, and control with it: one frame instead of two. */
  private nextBatch(): Uint8Array | undefined {
    const bytesMost = this.batch.length + this.control.size * CONTROL_BYTES_MAX
    if (bytesMost > this.limits.batchBytesMax || !this.fits(bytesMost)) return undefined
    for (const message of this.control.values()) appendMessage(this.batch, ENVELOPE_TAG, message)
    this.control.clear()
    const bytes = this.batch.take()
    this.beginBatch()
    return bytes
  }

  private nextFragment(channel: number, whole: Uint8Array): FrameContent {
    const start = this.largeSent
    const bytes = whole.subarray(start, start + this.limits.fragmentBytes)
    const left = whole.length - start - bytes.length
    this.largeSent = left === 0 ? 0 : start + bytes.length
    if (left === 0) {
      this.pieces.shift()
      this.pieceBytes -= whole.length
    }
    return { kind: "fragment", channel, bytes, left }
  }

  private beginBatch(): void {
    this.batch.clear()
    this.batch.reserve(FRAME_HEADER_BYTES_MAX)
    this.batch.skip(FRAME_HEADER_BYTES_MAX)
    this.batchEnvelopes = 0
  }

  private seal(): void {
    this.keep({ bytes: this.batch.take(), large: false })
    this.beginBatch()
  }
}
