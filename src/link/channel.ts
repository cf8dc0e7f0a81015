/**
 * One group's part of a link: it opens on its own, has its own queue and its own credit, so that a
 * slow group delays nobody but itself. Messages in, pieces of frames out; the link numbers them.
 */
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { Message } from "../server/Message.ts"
import { decodeMessage } from "./envelope.ts"
import type { FrameContent } from "./frame.ts"
import type { Goodbye } from "./goodbye.ts"
import type { Hello } from "./groupHello.ts"
import type { LinkSession } from "./handshake.ts"
import { LargeEnvelope } from "./largeEnvelope.ts"
import { isControl, Outbox } from "./outbox.ts"
import type { UnaryEnds } from "./unaryCall.ts"

/** What a group's node or client is to its channels. None of these may throw. */
export interface ChannelPort {
  /** Asked once, when the channel opens, and for other things. */
  readonly hello: () => Hello
  /** A goodbye refuses the other side. Begin with `checkHello`. */
  readonly check: (theirs: Hello, channel: Channel) => Goodbye | undefined
  /** The channel is open: before any message. */
  readonly opened: (channel: Channel, theirs: Hello) => void
  /** Each message, in order, once. */
  readonly receive: (channel: Channel, message: Message) => void
  /** Once, also of a channel that never opened, and never before `opened` returned. */
  readonly closed: (channel: Channel, end: LinkEnd) => void
}

/** Who ended a link or channel, and why. */
export interface LinkEnd {
  readonly what: "link" | "channel"
  readonly by: "us" | "peer"
  /** Absent: the connection broke. */
  readonly goodbye: Goodbye | undefined
  /** For people. */
  readonly text: string
}

/** What a channel needs of its link. */
export interface ChannelLink {
  readonly limits: Limits
  readonly remote: string
  readonly session: LinkSession | undefined
  readonly unary: UnaryEnds | undefined
  /** Has the link ask for what this channel has to say. */
  readonly offer: (channel: Channel) => void
  /** It is over, and hears nothing more. */
  readonly forget: (channel: Channel) => void
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

/** What an envelope has beside its body. */
const ENVELOPE_BYTES_MAX = 1024
/** Credit is told again once this share of it was used up. */
const CREDIT_SHARE = 4

export class Channel {
  readonly number: number
  readonly port: ChannelPort
  /** What the owner knows the channel by: a peer's id or a client's route, once it is open. */
  id = 0
  /** A client's name for quotas; empty: a member's. */
  client = ""
  theirs: Hello | undefined
  private mine: Hello | undefined
  private readonly link: ChannelLink
  private readonly limits: Limits
  private state: "opening" | "open" | "closed" = "opening"
  private speech: Speech = "member"
  /** To be said: our part in the group, and in the end why it is over. */
  private helloDue = true
  private goodbyeDue: Goodbye | undefined
  private readonly outbox: Outbox
  /** Invariant: bytes sent and not acknowledged. */
  private unacknowledged = 0
  /** Bytes of frames, in all: came, were let go of by our side, and were told as taken. */
  private received = 0
  private released = 0
  private told: number
  /** The large envelope that is coming. */
  private readonly large = new LargeEnvelope()

  constructor(link: ChannelLink, number: number, port: ChannelPort) {
    this.link = link
    this.limits = link.limits
    this.number = number
    this.port = port
    this.outbox = new Outbox(this.limits)
    this.told = this.limits.creditBytes
    link.offer(this)
  }

  /** Our part in the group, the same as long as the channel lives. */
  get ours(): Hello {
    return (this.mine ??= this.port.hello())
  }
  get isOpen(): boolean {
    return this.state === "open"
  }
  get isClosed(): boolean {
    return this.state === "closed"
  }
  /** For people: the other end. */
  get remote(): string {
    return this.link.remote
  }
  /** What the hosts' handshake has led to. */
  get session(): LinkSession | undefined {
    return this.link.session
  }
  /** Present: the link is one of unary calls, between these members. */
  get unary(): UnaryEnds | undefined {
    return this.link.unary
  }
  /** Bytes queued or sent that the peer has not acknowledged. */
  get unacknowledgedBytes(): number {
    return this.outbox.bytes + this.unacknowledged
  }
  /** Bytes of the frames that messages went and came in, since the channel opened. */
  get traffic(): { readonly sentBytes: number; readonly receivedBytes: number } {
    return { sentBytes: this.outbox.sent, receivedBytes: this.received }
  }
  /** A whole batch waits: worth sending within a turn, so that both sides work at once. */
  get full(): boolean {
    return this.state === "open" && this.outbox.full
  }

  /**
   * Queues a message; a closed channel drops it. Beyond `linkBytes` queued or unacknowledged the
   * channel closes with `link_overrun`. A reply beyond twice `creditBytes` is dropped: its client
   * does not read, or asks again.
   */
  send(message: Message): void {
    if (this.state === "closed") return
    if (message.kind === "reply" && this.unacknowledgedBytes > 2 * this.limits.creditBytes) {
      return mark("channel: reply dropped")
    }
    this.outbox.push(message)
    const { linkBytes } = this.limits
    const bytes = this.unacknowledgedBytes
    if (bytes <= linkBytes) return this.link.offer(this)
    mark("channel: overrun")
    const what = `${bytes} bytes wait or are not acknowledged, at most ${linkBytes} may`
    this.cut({ code: "link_overrun", detail: `${what}: the receiver is too slow; open again` })
  }

  /** Ends the channel on purpose: what is queued and may go still goes, then the goodbye. */
  close(goodbye: Goodbye): void {
    if (this.state === "closed") return
    if (this.state === "opening") this.outbox.clear()
    this.finish({ what: "channel", by: "us", goodbye, text: textOf(goodbye) }, goodbye)
  }

  /** What came in up to now is worked off: the peer may send as much again. */
  release(): void {
    if (this.released === this.received) return
    this.released = this.received
    if (this.creditDue) this.link.offer(this)
  }

  // The link's side.

  /** There is something to say now. `room`: data may go, not only what is small. */
  ready(room: boolean): boolean {
    if (this.helloDue || this.goodbyeDue !== undefined) return true
    return this.state !== "opening" && (this.creditDue || this.outbox.ready(room))
  }

  /**
   * What to say next: content, or envelopes with room for a header in front. `undefined`: nothing,
   * as `ready` says too.
   */
  next(room: boolean): FrameContent | Uint8Array | undefined {
    const channel = this.number
    if (this.helloDue) {
      this.helloDue = false
      return { kind: "open", channel, hello: this.ours }
    }
    if (this.state === "opening") return undefined
    const out = this.outbox.next(channel, room)
    if (out !== undefined) return out
    if (this.goodbyeDue !== undefined) {
      const goodbye = this.goodbyeDue
      this.goodbyeDue = undefined
      this.outbox.clear()
      return { kind: "goodbye", channel, goodbye }
    }
    return this.creditDue ? { kind: "messages", channel, messages: [] } : undefined
  }

  /** What the next frame tells the peer to take in all; 0: nothing new. */
  takeCredit(): number {
    if (!this.creditDue) return 0
    this.told = this.released + this.limits.creditBytes
    return this.told
  }

  /** A frame of ours went that counts for credit. */
  onSent(frameBytes: number): void {
    this.outbox.sent += frameBytes
    this.unacknowledged += frameBytes
  }
  onAcknowledged(frameBytes: number): void {
    this.unacknowledged -= frameBytes
  }

  /** The peer takes more. A string: what is wrong with the frame. */
  onCredit(credit: number): string | undefined {
    const { granted } = this.outbox
    if (credit < granted) return `credit ${credit}, lower than ${granted} before`
    this.outbox.granted = credit
    this.link.offer(this)
    return undefined
  }

  /** The other side's part in the group. A string: what is wrong with the frame. */
  onOpen(theirs: Hello): string | undefined {
    if (this.state === "closed") return undefined
    if (this.theirs !== undefined) return "a channel that opens twice"
    this.theirs = theirs
    const { ours } = this
    if (theirs.node === 0 && ours.node === 0) {
      const detail = "both sides are clients: dial a node"
      this.cut({ code: "wrong_group", detail })
      return undefined
    }
    const refusal = this.port.check(theirs, this)
    if (refusal !== undefined) {
      this.cut(refusal)
      return undefined
    }
    this.speech = theirs.node === 0 ? "client" : ours.node === 0 ? "node" : "member"
    this.state = "open"
    this.port.opened(this, theirs)
    this.link.offer(this)
    return undefined
  }

  onMessages(messages: ReadonlyArray<Message>, frameBytes: number): string | undefined {
    if (this.state === "closed") return undefined
    if (this.state !== "open") return "messages before the channel is open"
    for (const message of messages) {
      if (SPEAKER[message.kind] !== this.speech) return `"${message.kind}" from a ${this.speech}`
    }
    if (!messages.every(isControl)) {
      this.received += frameBytes
      if (this.received > this.told) {
        return `${this.received} bytes where ${this.told} were granted`
      }
    }
    for (const message of messages) {
      this.port.receive(this, message)
      // `receive` may have closed it.
      if (this.isClosed) return undefined
    }
    return undefined
  }

  onFragment(bytes: Uint8Array, left: number, frameBytes: number): string | undefined {
    if (this.state === "closed") return undefined
    if (this.state !== "open") return "a fragment before the channel is open"
    this.received += frameBytes
    if (this.received > this.told) return `${this.received} bytes where ${this.told} were granted`
    const { bodyBytesMax } = this.limits
    const whole = this.large.take(bytes, left, bodyBytesMax + ENVELOPE_BYTES_MAX)
    if (!(whole instanceof Uint8Array)) return whole
    const message = decodeMessage(whole, 0, whole.length, { bodyBytesMax, copy: false })
    if (message === undefined) return "fragments of no envelope"
    if (SPEAKER[message.kind] !== this.speech) return `"${message.kind}" from a ${this.speech}`
    this.port.receive(this, message)
    return undefined
  }

  /** The link has ended, or the peer its part of it. Who ended the link may flush the queue. */
  onEnd(end: LinkEnd): void {
    if (this.state === "closed") return
    if (end.by === "peer" || this.state === "opening") this.outbox.clear()
    this.finish(end, undefined)
  }
  /** What is queued goes nowhere. */
  discard(): void {
    this.outbox.clear()
  }

  /** Ends it at once: what is queued is dropped. */
  private cut(goodbye: Goodbye): void {
    this.outbox.clear()
    this.finish({ what: "channel", by: "us", goodbye, text: textOf(goodbye) }, goodbye)
  }

  private finish(end: LinkEnd, goodbye: Goodbye | undefined): void {
    this.state = "closed"
    // Nobody knows of a channel whose opening was never said.
    if (this.helloDue && this.theirs === undefined) this.goodbyeDue = undefined
    else this.goodbyeDue = goodbye
    // What was queued behind an answer that was never said is for nobody.
    if (this.helloDue) this.outbox.clear()
    this.helloDue = false
    this.large.clear()
    this.link.forget(this)
    if (this.goodbyeDue !== undefined) this.link.offer(this)
    this.port.closed(this, end)
  }

  private get creditDue(): boolean {
    const { creditBytes } = this.limits
    return (
      this.state === "open" && this.released + creditBytes - this.told >= creditBytes / CREDIT_SHARE
    )
  }
}

export const textOf = ({ code, detail }: Goodbye): string => `${code}: ${detail}`
