/**
 * A connection of unary calls: each frame of a link is one call, to which the other side answers
 * once it has handed it on. Both sides dial; calls come in any order, and are put back in theirs. A
 * call that fails or comes too late breaks the link: it repeats nothing.
 *
 * Who was dialled cannot call before it knows who dials: what it says before the handshake is done,
 * and its first frame, answer the dialer's calls.
 */
import { NO_BYTES } from "../base/bytes.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { MethodId } from "../server/Message.ts"
import { BATCH_FIELD_BYTES_MAX, decodeBatch, encodeBatch } from "./batch.ts"
import { Fifo } from "./fifo.ts"
import { decodeFrame, encodeFrame, LINK_CHANNEL } from "./frame.ts"
import { decodeLinkHello } from "./linkHello.ts"
import type { Connection, ConnectionEvents, Packet } from "./ports.ts"
import { callOf, LINK_HEADER, type LinkCall, packetOf, type Way } from "./unaryCall.ts"

/** What a call is answered with. */
export interface LinkReply {
  readonly body: Uint8Array
  /** It failed. */
  readonly code?: ErrorCode
  readonly detail?: string
  /** The other side did not say so: the call or its answer was lost. */
  readonly lost?: true
}

export interface UnaryLinkOptions {
  readonly limits: Limits
  /** For people: the other end. */
  readonly remote: string
  /** `from`: this side. */
  readonly way: Way
  readonly dialled: boolean
  readonly methodName: (method: MethodId) => string | undefined
  /** Makes a call of the other side, and calls `done` once, never within the call. */
  readonly call: (call: LinkCall, done: (reply: LinkReply) => void) => void
  /** At most once: the handshake is done. */
  readonly settled?: () => void
  /** At most once: it makes the calls that it has, no new ones; then it ends. */
  readonly closing?: () => void
  /** After what runs now. */
  readonly later: (run: () => void) => void
  /** Once: it makes no more calls, and takes none. */
  readonly ended: () => void
}

type Answer = (reply: LinkReply) => void

/** A call that came before its turn. */
interface Waiting {
  readonly packet: Packet
  readonly isShake: boolean
  readonly answer: Answer
}
interface Queued {
  readonly sequence: number
  readonly packet: Packet
}

/** Frames that may come before the handshake is done: its own, and the first openings. */
const EARLY_FRAMES_MAX = 8

/** Limits of a link of calls: a word is a call, which is never in parts. */
export const unaryLimits = (limits: Limits): Limits => ({
  ...limits,
  batchEnvelopesTarget: 1,
  fragmentBytes: limits.bodyBytesMax,
  keepAliveMs: limits.unaryKeepAliveMs
})

export class UnaryLink implements Connection {
  readonly remote: string
  readonly unary: Way
  /** Set before anything comes. */
  events: ConnectionEvents | undefined
  private readonly options: UnaryLinkOptions
  private readonly limits: Limits
  private state: "open" | "closing" | "over" = "open"
  private trusted = false
  private encrypted = false
  /** Of this side's frames: the last one's sequence, those not called yet, calls not answered. */
  private said = 0
  private readonly queue = new Fifo<Queued>()
  private outstanding = 0
  /** Of the other side's: handed on; and those behind a hole, by sequence. */
  private received = 0
  private readonly waiting = new Map<number, Waiting>()
  private waitingBytes = 0
  /** Of who was dialled: what answers the dialer's handshake, and its call that waits for it. */
  private readonly answers = new Fifo<Packet>()
  private shake: Answer | undefined

  constructor(options: UnaryLinkOptions) {
    this.options = options
    this.limits = options.limits
    this.remote = options.remote
    this.unary = options.way
  }

  /** Of the next call that comes. */
  get bodyBytesMax(): number {
    const { batchBytesMax, handshakeFrameBytesMax } = this.limits
    return (this.trusted ? batchBytesMax : handshakeFrameBytesMax) + BATCH_FIELD_BYTES_MAX
  }

  get backlogBytes(): number {
    return this.full ? this.limits.backlogBytesMax : 0
  }

  send(packet: Packet): void {
    if (this.state !== "open") return
    this.said++
    this.look(packet)
    if (!this.options.dialled && (this.said === 1 || !this.trusted)) {
      this.answers.push(packet)
      this.answerShake()
    } else {
      this.queue.push({ sequence: this.said, packet })
      this.makeCalls()
    }
  }

  trust(): void {
    this.trusted = true
    this.options.settled?.()
    this.answerShake()
  }

  close(): void {
    if (this.state !== "open") return
    this.state = "closing"
    this.options.closing?.()
    this.refuseWaiting()
    this.options.later(() => this.endIfIdle())
  }

  /** The other side's call; `answer` is called once. */
  take(
    call: {
      readonly method: string
      readonly headers: Readonly<Record<string, unknown>>
      readonly body: Uint8Array
    },
    answer: Answer
  ): void {
    const found = packetOf(call, this.limits)
    if (found === undefined) {
      return answer(failed("malformed", "its headers and body are no frame of a link"))
    }
    const { sequence, packet } = found
    // It was handed on already: a proxy may repeat what was answered.
    if (sequence <= this.received) return answer(DONE)
    if (this.state !== "open") return answer(OVER)
    const most = this.trusted ? this.limits.unaryInFlight : EARLY_FRAMES_MAX
    if (sequence > this.received + most) {
      const what = `frame ${sequence} where ${this.received + 1} is due`
      return answer(failed("overloaded", `${what}: at most ${most} may be under way`))
    }
    const before = this.waiting.get(sequence)
    if (before !== undefined) {
      mark("unary link: twice")
      this.forget(sequence, before)
      before.answer(failed("replaced", "the same call came again"))
    }
    const { linkBytes } = this.limits
    if (this.waitingBytes + packet.frame.length > linkBytes) {
      return answer(failed("overloaded", `more than ${linkBytes} bytes wait for their turn`))
    }
    const isShake = call.headers[LINK_HEADER.call] === "shake"
    if (sequence !== this.received + 1) mark("unary link: out of order")
    this.keep(sequence, { packet, isShake, answer })
    this.handOn()
  }

  /** It is over: nothing can be said, or heard. */
  fail(why: string): void {
    if (this.state === "over") return
    this.end(why)
  }

  private get full(): boolean {
    return this.outstanding >= this.limits.unaryInFlight || this.queue.length > 0
  }

  /** Links say in their first frame how they are kept. */
  private look({ frame: bytes }: Packet): void {
    if (this.said > 1) return
    const content = decodeFrame(bytes, this.limits)?.content
    const hello = content?.kind === "handshake" ? content.parts.hello : undefined
    this.encrypted = hello !== undefined && decodeLinkHello(hello)?.strength === "encrypted"
  }

  private makeCalls(): void {
    while (this.outstanding < this.limits.unaryInFlight && this.state !== "over") {
      const next = this.queue.shift()
      if (next === undefined) return
      const { sequence, packet } = next
      const { way, methodName } = this.options
      const readable = packet.tag === undefined || !this.encrypted
      const call = callOf(packet, { way, limits: this.limits, sequence, readable, methodName })
      const isShake = call.headers[LINK_HEADER.call] === "shake"
      this.outstanding++
      this.options.call(call, (reply) => this.answered(sequence, isShake, reply))
    }
  }

  private answered(sequence: number, isShake: boolean, reply: LinkReply): void {
    if (this.state === "over") return
    if (reply.code !== undefined) {
      if (isShake && reply.lost !== true) this.refused(reply.code, reply.detail ?? "")
      return this.end(`a call failed: ${reply.detail ?? reply.code}`)
    }
    const wasFull = this.full
    this.outstanding--
    const packet = isShake && reply.body.length > 0 ? decodeBatch(reply.body) : undefined
    if (this.state === "open") {
      this.events?.answered?.(sequence)
      // The answer to the handshake's first part is the other side's first frame, and so on.
      if (packet !== undefined && sequence > this.received) {
        this.keep(sequence, { packet, isShake: false, answer: () => {} })
        this.handOn()
      }
    }
    this.makeCalls()
    if (wasFull && !this.full && this.state === "open") this.events?.drained()
    this.endIfIdle()
  }

  /** The link was not taken: a goodbye for its core, as who accepts a stream would say it there. */
  private refused(code: ErrorCode, detail: string): void {
    if (this.state !== "open") return
    const content = { kind: "goodbye", channel: LINK_CHANNEL, goodbye: { code, detail } } as const
    const sequence = this.received + 1
    const frame = encodeFrame({ sequence, acknowledged: 0, credit: 0, content })
    this.events?.packet({ frame })
  }

  private keep(sequence: number, it: Waiting): void {
    this.waiting.set(sequence, it)
    this.waitingBytes += it.packet.frame.length
  }
  private forget(sequence: number, it: Waiting): void {
    this.waiting.delete(sequence)
    this.waitingBytes -= it.packet.frame.length
  }

  private handOn(): void {
    for (;;) {
      const next = this.waiting.get(this.received + 1)
      if (next === undefined || this.state !== "open") return
      this.forget(++this.received, next)
      if (next.isShake && !this.options.dialled) this.shake = next.answer
      this.events?.packet(next.packet)
      if (this.shake === next.answer) this.answerShake()
      else if (!next.isShake || this.options.dialled) next.answer(DONE)
    }
  }

  private answerShake(): void {
    const { shake } = this
    if (shake === undefined) return
    const packet = this.answers.shift()
    // The first one is answered with a frame; the last one needs none.
    if (packet === undefined && (this.said === 0 || !this.trusted)) return
    this.shake = undefined
    shake(packet === undefined ? DONE : { body: encodeBatch(packet) })
  }

  private refuseWaiting(): void {
    this.shake?.(OVER)
    this.shake = undefined
    for (const [sequence, it] of this.waiting) {
      this.forget(sequence, it)
      it.answer(OVER)
    }
  }

  private endIfIdle(): void {
    if (this.state !== "closing" || this.outstanding > 0 || this.queue.length > 0) return
    this.end("closed by this side")
  }

  private end(why: string): void {
    this.state = "over"
    this.queue.clear()
    this.refuseWaiting()
    this.options.ended()
    this.events?.closed(why)
  }
}

const DONE: LinkReply = { body: NO_BYTES }
const failed = (code: ErrorCode, detail: string): LinkReply => ({ body: NO_BYTES, code, detail })
const OVER = failed("not_ready", "this link is over: dial again")
