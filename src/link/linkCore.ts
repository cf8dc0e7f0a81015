/**
 * One side of one stream between two hosts: opening, sequence, acknowledgement, and the groups'
 * channels, which take turns. Packets in, messages out, and the other way round; no clock, no
 * socket. It repeats nothing: when the stream breaks this object is thrown away, cursors and the
 * clients' retries see to the rest.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import { Writer } from "../base/wire.ts"
import { Channel, type ChannelLink, type ChannelPort, type LinkEnd, textOf } from "./channel.ts"
import { Fifo } from "./fifo.ts"
import { Flights } from "./flights.ts"
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  FRAME_HEADER_BYTES_MAX,
  type FrameContent,
  goodbyeIn,
  LINK_CHANNEL,
  writeHeader
} from "./frame.ts"
import type { Goodbye } from "./goodbye.ts"
import type { Hello } from "./groupHello.ts"
import type { Handshake, HandshakeParts, LinkSession } from "./handshake.ts"
import { isControl } from "./outbox.ts"
import type { Packet } from "./ports.ts"
import { Pulse } from "./pulse.ts"
import { ALTERED } from "./sealing.ts"
import { Turns } from "./turns.ts"
import type { UnaryEnds } from "./unaryCall.ts"

export interface LinkOptions {
  readonly limits: Limits
  /** For people: the other end. */
  readonly remote: string
  readonly handshake: Handshake
  /** The connection is one of calls, which answers each frame: frames acknowledge nothing. */
  readonly unary?: UnaryEnds | undefined
  /** The handshake is done: channels may open. */
  readonly opened: (session: LinkSession) => void
  /** The other side, which dialled, opens a channel: whose it is, or why there is none. */
  readonly offered: (theirs: Hello) => ChannelPort | Goodbye
  /** There is something to flush, at the end of the turn. */
  readonly wake: () => void
  /** A whole batch is to be flushed, so that both sides work at once. */
  readonly hurry: () => void
}

/** A bare acknowledgement is due, even within a turn, once this share of `linkBytes` came in. */
const ACK_SHARE = 8
const header = new Writer(FRAME_HEADER_BYTES_MAX)

export class LinkCore implements ChannelLink {
  readonly limits: Limits
  private readonly options: LinkOptions
  private state: "opening" | "open" | "closed" = "opening"
  private over: LinkEnd | undefined
  private agreed: LinkSession | undefined
  /** Of the handshake, to be said before anything else. */
  private readonly parts = new Fifo<HandshakeParts>()
  /** Still to be said, after what the channels have. */
  private farewell: Goodbye | undefined
  private readonly channels = new Map<number, Channel>()
  private lastChannel = 0
  private readonly turns = new Turns<Channel>()
  /** Of channels that were not taken. */
  private readonly refusals = new Fifo<{ readonly channel: number; readonly goodbye: Goodbye }>()
  /** Sequences. Invariant: flights.acknowledged <= sent. */
  private readonly flights: Flights
  private sent = 0
  private received = 0
  /** Received in frames with messages since the last frame of ours, which acknowledged the rest. */
  private bytesUntold = 0
  private ackDue = false
  private readonly pulse: Pulse

  constructor(options: LinkOptions) {
    this.options = options
    this.limits = options.limits
    this.flights = new Flights(options.unary !== undefined)
    this.pulse = new Pulse(options.limits)
    const parts = options.handshake.start()
    if (parts !== undefined) this.parts.push(parts)
  }

  get isOpen(): boolean {
    return this.state === "open"
  }
  get isClosed(): boolean {
    return this.state === "closed"
  }
  get end(): LinkEnd | undefined {
    return this.over
  }
  get remote(): string {
    return this.options.remote
  }
  /** What the handshake has led to. */
  get session(): LinkSession | undefined {
    return this.agreed
  }
  get unary(): UnaryEnds | undefined {
    return this.options.unary
  }
  /** Of channels' frames. */
  get unacknowledgedBytes(): number {
    return this.flights.bytes
  }
  get channelCount(): number {
    return this.channels.size
  }

  /** Of the side that dialled: opens a channel, at once or when the link is open. */
  open(port: ChannelPort): Channel {
    const channel = new Channel(this, ++this.lastChannel, port)
    if (this.over === undefined) this.channels.set(channel.number, channel)
    else channel.onEnd(this.over)
    return channel
  }

  /** The next packet for the stream; call until `undefined`. The bytes are the caller's. */
  flush(): Packet | undefined {
    const parts = this.parts.shift()
    if (parts !== undefined) return { frame: this.control({ kind: "handshake", parts }) }
    if (this.state === "opening") return undefined
    const frame = this.nextFrame()
    if (frame === undefined) return undefined
    return this.agreed?.proven?.sealer.seal(this.sent, frame) ?? { frame }
  }

  /**
   * Takes the next packet of the peer, whose bytes must never be written again. It may close the
   * link: see `end`, after flushing, which tells the peer.
   */
  take(packet: Packet): void {
    if (this.state === "closed") return
    const { batchBytesMax, handshakeFrameBytesMax } = this.limits
    const most = this.isOpen ? batchBytesMax : handshakeFrameBytesMax
    if (packet.frame.length > most) {
      const what = `a frame of ${packet.frame.length} bytes, at most ${most} are taken`
      return this.cut({ code: "too_large", detail: `${what}: make batches smaller` })
    }
    const bytes = this.openPacket(packet)
    if (bytes === undefined) return
    const frame = decodeFrame(bytes, this.limits)
    if (frame === undefined) return this.malformed("a frame that is no frame")
    if (frame.sequence !== this.received + 1) {
      mark("link: gap")
      return this.malformed(`frame ${frame.sequence} where ${this.received + 1} was due`)
    }
    const fault = this.flights.fault(frame.acknowledged, this.sent)
    if (fault !== undefined) return this.malformed(fault)
    this.pulse.took()
    this.received = frame.sequence
    if (!this.flights.answered) this.onAcknowledged(frame.acknowledged)
    this.onFrame(frame, bytes.length)
  }

  /** All up to this frame were handed on, says the connection, which tells so of each. */
  onAnswered(sequence: number): void {
    assert(this.flights.answered && sequence <= this.sent, "what was sent is answered")
    if (sequence > this.flights.acknowledged) this.onAcknowledged(sequence)
  }

  /** Every `tickMs`: what came in is acknowledged, a silent link says it lives, a dead one ends. */
  tick(nowMs: number): void {
    const pulse = this.pulse.tick(nowMs)
    if (this.state !== "open") return
    if (pulse === "dead") {
      mark("link: silent")
      const what = `nothing came for ${this.limits.silenceMsMax} ms`
      return this.cut({ code: "deadline_exceeded", detail: `${what}: the connection is dead` })
    }
    this.ackDue = this.bytesUntold > 0 || pulse === "speak"
    if (this.ackDue) this.options.wake()
  }

  /** Ends the link on purpose: what is queued and may go still goes, then the goodbye. */
  close(goodbye: Goodbye): void {
    if (this.over !== undefined) return
    this.farewell = goodbye
    this.finish({ what: "link", by: "us", goodbye, text: textOf(goodbye) })
  }

  /** The stream is gone. */
  broken(text: string): void {
    if (this.over === undefined) this.drop({ what: "link", by: "peer", goodbye: undefined, text })
  }

  offer(channel: Channel): void {
    if (this.turns.add(channel)) this.options.wake()
    if (channel.full) this.options.hurry()
  }

  forget(channel: Channel): void {
    this.channels.delete(channel.number)
  }

  private get room(): boolean {
    return this.flights.bytes < this.limits.linkBytes - this.limits.batchBytesMax
  }

  private nextFrame(): Uint8Array | undefined {
    const { room } = this
    const refusal = this.refusals.shift()
    if (refusal !== undefined) return this.control({ kind: "goodbye", ...refusal })
    for (let left = this.turns.length; left > 0; left--) {
      const channel = this.turns.next()!
      const out = channel.next(room)
      if (out === undefined) continue
      const frame = this.frameOf(channel, out)
      // Whoever flushes comes back for it: to hurry them now would put the next frame before this.
      if (channel.ready(this.room)) this.turns.add(channel)
      return frame
    }
    if (this.farewell !== undefined) {
      const goodbye = this.farewell
      this.farewell = undefined
      return this.control({ kind: "goodbye", channel: LINK_CHANNEL, goodbye })
    }
    if (this.state === "closed") return undefined
    if (!this.ackDue && this.bytesUntold < this.limits.linkBytes / ACK_SHARE) return undefined
    mark("link: bare acknowledgement")
    return this.control({ kind: "messages", channel: LINK_CHANNEL, messages: [] })
  }

  private frameOf(channel: Channel, out: FrameContent | Uint8Array): Uint8Array {
    const credit = channel.takeCredit()
    const frame =
      out instanceof Uint8Array
        ? this.stamp(out, channel.number, credit)
        : this.control(out, credit)
    const counts =
      out instanceof Uint8Array ||
      out.kind === "fragment" ||
      (out.kind === "messages" && !out.messages.every(isControl))
    if (!counts) return frame
    this.flights.push(this.sent, channel, frame.length)
    return frame
  }

  private openPacket({ frame, tag }: Packet): Uint8Array | undefined {
    const opener = this.agreed?.proven?.opener
    if (opener === undefined) {
      if (tag === undefined) return frame
      this.malformed("a tag where none is due")
      return undefined
    }
    const bytes = tag && opener.open(this.received + 1, { frame, tag })
    if (bytes !== undefined) return bytes
    const gaveUp = tag === undefined && this.received === 1 ? goodbyeIn(frame) : undefined
    mark(gaveUp === undefined ? "link: forged" : "link: handshake given up")
    if (gaveUp === undefined) this.cut(ALTERED)
    else this.broken(`the other side had given up the handshake, as it seems: ${textOf(gaveUp)}`)
    return undefined
  }

  private onFrame({ content, credit }: Frame, bytes: number): void {
    if (content.kind === "goodbye" && content.channel === LINK_CHANNEL) {
      const { goodbye } = content
      return this.drop({ what: "link", by: "peer", goodbye, text: textOf(goodbye) })
    }
    if (content.kind === "handshake") return this.onHandshake(content.parts)
    if (this.state !== "open") return this.malformed("a frame before the link is open")
    if (content.channel === LINK_CHANNEL) return
    const speaks = content.kind === "messages" && content.messages.length > 0
    const asks = speaks || content.kind === "fragment"
    if (asks && !this.flights.answered) this.bytesUntold += bytes
    const fault = this.onChannel(content, credit, bytes)
    if (fault !== undefined) this.malformed(fault)
  }

  private onHandshake(parts: HandshakeParts): void {
    if (this.state === "open") return this.malformed("a second handshake")
    const step = this.options.handshake.take(parts)
    if ("refused" in step) return this.cut(step.refused)
    if (step.send !== undefined) this.parts.push(step.send)
    this.options.wake()
    if (step.session === undefined) return
    this.agreed = step.session
    this.state = "open"
    this.options.opened(step.session)
  }

  private onChannel(
    content: Extract<FrameContent, { readonly channel: number }>,
    credit: number,
    bytes: number
  ): string | undefined {
    const channel = this.channels.get(content.channel) ?? this.offered(content)
    if (typeof channel === "string") return channel
    // It is over here, and the peer will hear so.
    if (channel === undefined) return undefined
    const fault = credit === 0 ? undefined : channel.onCredit(credit)
    if (fault !== undefined) return fault
    switch (content.kind) {
      case "open":
        return channel.onOpen(content.hello)
      case "goodbye": {
        const { goodbye } = content
        channel.onEnd({ what: "channel", by: "peer", goodbye, text: textOf(goodbye) })
        return undefined
      }
      case "messages":
        return channel.onMessages(content.messages, bytes)
      case "fragment":
        return channel.onFragment(content.bytes, content.left, bytes)
    }
  }

  /** The other side opens a channel; or speaks of one that is over. */
  private offered(
    content: { readonly channel: number } & FrameContent
  ): Channel | string | undefined {
    const { channel: number } = content
    if (number <= this.lastChannel) return undefined
    if (content.kind !== "open") return `channel ${number} was never opened`
    this.lastChannel = number
    const { channelsMax } = this.limits
    const answer: ChannelPort | Goodbye =
      this.channels.size + this.refusals.length < channelsMax
        ? this.options.offered(content.hello)
        : { code: "overloaded", detail: `${channelsMax} channels are open: close one of them` }
    if (!("code" in answer)) {
      const channel = new Channel(this, number, answer)
      this.channels.set(number, channel)
      return channel
    }
    // Who does not even read why is dropped with its link: see the bound on what is not read.
    if (this.refusals.length < 2 * channelsMax)
      this.refusals.push({ channel: number, goodbye: answer })
    else this.cut(answer)
    this.options.wake()
    return undefined
  }

  private onAcknowledged(acknowledged: number): void {
    const { room } = this
    this.flights.acknowledge(acknowledged)
    if (room || !this.room) return
    for (const channel of this.channels.values()) this.offer(channel)
  }

  private malformed(what: string): void {
    const detail = `${what}: the sender does not follow docs/PROTOCOL.md`
    this.cut({ code: "malformed", detail })
  }

  /** Closes at once: what is queued is dropped. */
  private cut(goodbye: Goodbye): void {
    if (this.over !== undefined) return
    this.farewell = goodbye
    this.drop({ what: "link", by: "us", goodbye, text: textOf(goodbye) })
  }

  private drop(end: LinkEnd): void {
    this.refusals.clear()
    for (const channel of this.channels.values()) channel.discard()
    this.finish(end)
  }

  private finish(end: LinkEnd): void {
    this.state = "closed"
    this.over = end
    for (const channel of [...this.channels.values()]) channel.onEnd(end)
    this.options.wake()
  }

  /** Writes the header right before the envelopes; what stays blank in front of it is cut off. */
  private stamp(batch: Uint8Array, channel: number, credit: number): Uint8Array {
    this.begin()
    header.clear()
    header.reserve(FRAME_HEADER_BYTES_MAX)
    writeHeader(header, { sequence: this.sent, acknowledged: this.told, channel, credit })
    const head = header.take()
    const start = FRAME_HEADER_BYTES_MAX - head.length
    batch.set(head, start)
    return batch.subarray(start)
  }

  private control(content: FrameContent, credit = 0): Uint8Array {
    this.begin()
    return encodeFrame({ sequence: this.sent, acknowledged: this.told, credit, content })
  }

  private get told(): number {
    return this.flights.answered ? 0 : this.received
  }

  private begin(): void {
    assert(this.sent < Number.MAX_SAFE_INTEGER, "frames are counted")
    this.sent++
    this.bytesUntold = 0
    this.ackDue = false
    this.pulse.said()
  }
}
