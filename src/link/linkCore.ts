/**
 * One side of one connection: hello, sequence, acknowledgement, batches. Bytes in, messages out,
 * and the other way round; no clock, no socket. It repeats nothing: when the connection breaks,
 * this object is thrown away, cursors and the clients' retries see to the rest.
 */
import { assert } from "../base/assert.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { Message } from "../server/Message.ts"
import { appendMessage } from "./envelope.ts"
import { Fifo } from "./fifo.ts"
import {
  assertHello,
  decodeFrame,
  ENVELOPE_TAG,
  encodeFrame,
  FRAME_HEADER_BYTES_MAX,
  type FrameContent,
  type Goodbye,
  type Hello,
  writeHeader
} from "./frame.ts"
import { Writer } from "../base/wire.ts"

export interface LinkOptions {
  readonly limits: Limits
  readonly hello: Hello
  /** A goodbye refuses the link. Begin with `checkHello`. */
  readonly check: (theirs: Hello) => Goodbye | undefined
  /** Each message, in order, once. It must not throw. */
  readonly receive: (message: Message) => void
  /** The link is open: before any message. */
  readonly opened: (theirs: Hello) => void
}

export type LinkState = "opening" | "open" | "closed"

/** Who ended the link, and why. */
export interface LinkEnd {
  readonly by: "us" | "peer"
  readonly goodbye: Goodbye
}

/** What the other side may say, as the two hellos have it. */
type Speech = "member" | "client" | "node"

const SPEAKER: { readonly [Kind in Message["kind"]]: Speech } = {
  word: "member",
  want: "member",
  resume: "member",
  wantLane: "member",
  cut: "member",
  behind: "member",
  taken: "member",
  epoch: "member",
  request: "client",
  oneWay: "client",
  cancel: "client",
  reply: "node"
}

type Phase =
  | { readonly state: "opening" }
  | { readonly state: "open"; readonly speech: Speech }
  /** `farewell`: the goodbye still to be flushed, after what `batches` hold. */
  | { readonly state: "closed"; readonly end: LinkEnd; readonly farewell: Goodbye | undefined }

/** A frame with messages, not acknowledged yet. */
interface Flight {
  readonly sequence: number
  readonly bytes: number
}

/** A bare acknowledgement is due, even within a turn, once this share of `linkBytes` came in. */
const ACK_SHARE = 8
const BATCH_BYTES_MIN = 1024

const header = new Writer(FRAME_HEADER_BYTES_MAX)

export class LinkCore {
  private readonly options: LinkOptions
  private phase: Phase = { state: "opening" }
  private started = false
  /** The batch being filled: room for a header, then `batchEnvelopes` envelopes. */
  private readonly batch = new Writer(BATCH_BYTES_MIN)
  private batchEnvelopes = 0
  /** Full batches, their headers still blank. */
  private readonly batches = new Fifo<Uint8Array>()
  private readonly flights = new Fifo<Flight>()
  /** Sequences. Invariant: acknowledged <= sent; our hello is 1, so `sent` is 0 until it went. */
  private sent = 0
  private acknowledged = 0
  private received = 0
  /** Invariant: the envelopes in `batch`, `batches` and `flights`. */
  private bytesOpen = 0
  /** Received in frames with messages since the last frame of ours, which acknowledged the rest. */
  private bytesUntold = 0

  constructor(options: LinkOptions) {
    assertHello(options.hello)
    this.options = options
    this.beginBatch()
  }

  get state(): LinkState {
    return this.phase.state
  }

  /** Set once the link is closed. */
  get end(): LinkEnd | undefined {
    return this.phase.state === "closed" ? this.phase.end : undefined
  }

  /** Bytes of envelopes queued or sent that the peer has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.bytesOpen
  }

  /** `flush` has a frame to give. */
  get ready(): boolean {
    if (this.phase.state === "closed") return this.phase.farewell !== undefined
    const helloDue = this.started && this.sent === 0
    return helloDue || (this.phase.state === "open" && (this.full || this.batchEnvelopes > 0))
  }

  /** A whole batch waits: worth flushing within a turn, so that both sides work at once. */
  get full(): boolean {
    return this.batches.length > 0
  }

  /** Queues our hello. Before any `onBytes`. */
  start(): void {
    assert(!this.started, "a link starts once")
    this.started = true
  }

  /**
   * Queues a message; nothing but our hello leaves before the link is open, and a closed link drops
   * it. Beyond `linkBytes` unacknowledged the link closes with `link_overrun`: see `end`.
   */
  send(message: Message): void {
    if (this.phase.state === "closed") return
    const { bodyBytesMax, batchBytesTarget, batchEnvelopesTarget, linkBytes } = this.options.limits
    assert(!("body" in message) || message.body.length <= bodyBytesMax, "a body is too large")
    const before = this.batch.length
    appendMessage(this.batch, ENVELOPE_TAG, message)
    this.bytesOpen += this.batch.length - before
    this.batchEnvelopes++
    if (this.batch.length - FRAME_HEADER_BYTES_MAX > batchBytesTarget && this.batchEnvelopes > 1) {
      this.batches.push(this.batch.split(before, FRAME_HEADER_BYTES_MAX))
      this.batchEnvelopes = 1
    } else if (this.batchEnvelopes >= batchEnvelopesTarget) {
      this.seal()
    }
    if (this.bytesOpen > linkBytes) {
      mark("link: overrun")
      const what = `${this.bytesOpen} bytes are not acknowledged, at most ${linkBytes} may be`
      this.cut("link_overrun", `${what}: the receiver is too slow; connect again`)
    }
  }

  /**
   * The next frame for the carrier, at most `batchBytesTarget` of envelopes unless one is larger;
   * call until `undefined`. On a link that we closed the last one is the goodbye. The bytes are the
   * caller's.
   */
  flush(): Uint8Array | undefined {
    if (!this.ready) return undefined
    if (this.sent === 0) return this.control({ kind: "hello", hello: this.options.hello })
    if (!this.full && this.batchEnvelopes > 0) this.seal()
    const batch = this.batches.shift()
    if (batch !== undefined) return this.stamp(batch)
    const phase = this.phase
    assert(phase.state === "closed" && phase.farewell !== undefined, "a ready link has a frame")
    this.phase = { ...phase, farewell: undefined }
    return this.control({ kind: "goodbye", goodbye: phase.farewell })
  }

  /**
   * A bare acknowledgement, when nothing else carries it: only after an eighth of `linkBytes` came
   * in, or (`atTick`) after any message. A bare one is not itself acknowledged, so two idle sides
   * fall silent.
   */
  flushAck(atTick: boolean): Uint8Array | undefined {
    if (this.phase.state !== "open" || this.ready || this.bytesUntold === 0) return undefined
    if (!atTick && this.bytesUntold < this.options.limits.linkBytes / ACK_SHARE) return undefined
    mark("link: bare acknowledgement")
    return this.control({ kind: "messages", messages: [] })
  }

  /**
   * Takes the next frame of the peer. A goodbye in return: cut the link after flushing, which says
   * it to the peer. The peer's own goodbye closes the link too: see `state` and `end` after each
   * call. `bytes` must never be written again.
   */
  onBytes(bytes: Uint8Array): Goodbye | undefined {
    assert(this.started, "a link starts before it takes bytes")
    if (this.phase.state === "closed") return undefined
    const { limits } = this.options
    if (bytes.length > limits.batchBytesMax) {
      const what = `a frame of ${bytes.length} bytes, at most ${limits.batchBytesMax} are taken`
      return this.cut("too_large", `${what}: make batches smaller`)
    }
    const frame = decodeFrame(bytes, limits)
    if (frame === undefined) return this.malformed("a frame that is no frame")
    if (frame.sequence !== this.received + 1) {
      mark("link: gap")
      return this.malformed(`frame ${frame.sequence} where ${this.received + 1} was due`)
    }
    if (frame.acknowledged < this.acknowledged || frame.acknowledged > this.sent) {
      return this.malformed(
        `acknowledgement ${frame.acknowledged}, not in ${this.acknowledged} to ${this.sent}`
      )
    }
    this.onAcknowledged(frame.acknowledged)
    return this.onContent(frame.sequence, frame.content, bytes.length)
  }

  /**
   * Ends the link on purpose: what is queued still goes if the link is open, then the goodbye. No
   * effect on a closed link.
   */
  close(goodbye: Goodbye): void {
    if (this.phase.state === "closed") return
    if (this.phase.state === "opening") this.dropQueue()
    this.started = true
    this.phase = { state: "closed", end: { by: "us", goodbye }, farewell: goodbye }
  }

  private onContent(sequence: number, content: FrameContent, bytes: number): Goodbye | undefined {
    const phase = this.phase
    if (content.kind === "goodbye") {
      this.dropQueue()
      const end: LinkEnd = { by: "peer", goodbye: content.goodbye }
      this.phase = { state: "closed", end, farewell: undefined }
      return undefined
    }
    if (content.kind === "hello") {
      if (phase.state === "open") return this.malformed("a second hello")
      this.received = sequence
      return this.onHello(content.hello)
    }
    if (phase.state !== "open") return this.malformed("a frame before the hello")
    for (const message of content.messages) {
      if (SPEAKER[message.kind] !== phase.speech) {
        return this.malformed(`"${message.kind}" from a ${phase.speech}`)
      }
    }
    for (const message of content.messages) {
      this.options.receive(message)
      // `receive` may have sent too much, or closed the link.
      if (this.state === "closed") return this.ourGoodbye
    }
    this.received = sequence
    if (content.messages.length > 0) this.bytesUntold += bytes
    return undefined
  }

  private onHello(theirs: Hello): Goodbye | undefined {
    const { hello, check, opened } = this.options
    if (theirs.node === 0 && hello.node === 0) {
      return this.cut("wrong_group", "both sides are clients: dial a node")
    }
    const refusal = check(theirs)
    if (refusal !== undefined) {
      this.close(refusal)
      return refusal
    }
    const speech = theirs.node === 0 ? "client" : hello.node === 0 ? "node" : "member"
    this.phase = { state: "open", speech }
    opened(theirs)
    return this.ourGoodbye
  }

  private onAcknowledged(acknowledged: number): void {
    this.acknowledged = acknowledged
    for (let flight = this.flights.peek(); flight !== undefined; flight = this.flights.peek()) {
      if (flight.sequence > acknowledged) return
      this.bytesOpen -= flight.bytes
      this.flights.shift()
    }
  }

  private get ourGoodbye(): Goodbye | undefined {
    return this.end?.by === "us" ? this.end.goodbye : undefined
  }

  private malformed(what: string): Goodbye {
    return this.cut("malformed", `${what}: the sender does not follow docs/PROTOCOL.md`)
  }

  /** Closes at once: what is queued is dropped. */
  private cut(code: ErrorCode, detail: string): Goodbye {
    this.dropQueue()
    const goodbye: Goodbye = { code, detail }
    this.close(goodbye)
    return goodbye
  }

  private dropQueue(): void {
    this.beginBatch()
    this.batches.clear()
    this.flights.clear()
    this.bytesOpen = 0
  }

  private beginBatch(): void {
    this.batch.clear()
    this.batch.reserve(FRAME_HEADER_BYTES_MAX)
    this.batch.skip(FRAME_HEADER_BYTES_MAX)
    this.batchEnvelopes = 0
  }

  private seal(): void {
    this.batches.push(this.batch.take())
    this.beginBatch()
  }

  /** Writes the header right before the envelopes; what stays blank in front of it is cut off. */
  private stamp(batch: Uint8Array): Uint8Array {
    const bytes = batch.length - FRAME_HEADER_BYTES_MAX
    const head = this.nextHeader()
    const start = FRAME_HEADER_BYTES_MAX - head.length
    batch.set(head, start)
    this.flights.push({ sequence: this.sent, bytes })
    return batch.subarray(start)
  }

  private nextHeader(): Uint8Array {
    this.sent++
    this.bytesUntold = 0
    header.reserve(FRAME_HEADER_BYTES_MAX)
    writeHeader(header, this.sent, this.received)
    return header.take()
  }

  private control(content: FrameContent): Uint8Array {
    this.sent++
    this.bytesUntold = 0
    return encodeFrame({ sequence: this.sent, acknowledged: this.received, content })
  }
}
