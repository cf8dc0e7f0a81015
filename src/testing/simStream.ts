/**
 * One connection of two hosts: packets in order, each way with a queue, a socket that takes so much
 * a millisecond, and a way that takes its time. Where it breaks, at any byte, what came in part is
 * lost, and each end notices when it does; or never, and then nothing comes any more.
 */
import { assert } from "../base/assert.ts"
import type { Prng } from "../base/prng.ts"
import { Fifo } from "../link/fifo.ts"
import type { Connection, ConnectionEvents, Packet } from "../link/ports.ts"
import type { NetworkTiming } from "./simNetwork.ts"
import type { VirtualTime } from "./virtualTime.ts"

/** The dialer's, and the one it dialled. */
export type Side = 0 | 1

export interface StreamOptions {
  readonly time: VirtualTime
  readonly random: Prng
  readonly timing: NetworkTiming
  readonly handshakeFrameBytesMax: number
  /** For people: as each side sees the other. */
  readonly remotes: readonly [string, string]
  /** What a socket takes now. */
  readonly bytesPerMs: (from: Side) => number
  /** Until then what is sent is lost, or waits. */
  readonly mutedUntilMs: (from: Side) => number
  /** Until then the process there takes nothing: what comes waits, in order. */
  readonly stillUntilMs: (to: Side) => number
  readonly sent: (from: Side, packet: Packet) => void
  /** What comes instead of it: the adversary on the wire. */
  readonly comes: (to: Side, packet: Packet) => ReadonlyArray<Packet>
  readonly lost: (packets: number) => void
  /** Both ends know that it is over. */
  readonly over: () => void
}

/** Packets that arrive together. */
interface Burst {
  readonly packets: Array<Packet>
}

/** HTTP/2 and the stream's own framing. */
const PACKET_EXTRA_BYTES = 14
/** Of 1,000 times that packets leave together, so often they part on their way. */
const PARTS = 200
/** Of 1,000 mutes, so often what is sent comes once it is over, as TCP repeats it. */
const REPEATED = 400

const sizeOf = ({ frame, tag }: Packet): number =>
  frame.length + (tag?.length ?? 0) + PACKET_EXTRA_BYTES

class End implements Connection {
  readonly remote: string
  readonly queue = new Fifo<Packet>()
  backlogBytes = 0
  events: ConnectionEvents | undefined
  /** It was told so, or its process is gone: nothing happens here any more. */
  over = false
  closing = false
  left = false
  trusted = false
  private readonly busy: () => void
  private readonly sent: (packet: Packet) => void

  constructor(remote: string, sent: (packet: Packet) => void, busy: () => void) {
    this.remote = remote
    this.sent = sent
    this.busy = busy
  }
  send(packet: Packet): void {
    if (this.over || this.closing) return
    this.sent(packet)
    this.queue.push(packet)
    this.backlogBytes += sizeOf(packet)
    this.busy()
  }
  trust(): void {
    this.trusted = true
  }
  close(): void {
    if (this.closing) return
    this.closing = true
    this.busy()
  }
}

/** One direction. */
class Way {
  /** Bytes that the socket takes of its next packet already. */
  room = 0
  pumping = false
  /** When the last packet arrives: they stay in order. */
  lastMs = 0
  /** Something was lost, so nothing behind it comes. */
  deaf = false
  readonly bursts = new Fifo<Burst>()
  /** What has come, and waits for the process. */
  readonly held = new Fifo<() => void>()
}

export class SimStream {
  readonly ends: readonly [End, End]
  /** Something was changed on the wire, or said that no link says: an end is nobody's fault. */
  tampered = false
  readonly bornMs: number
  readonly #options: StreamOptions
  readonly #ways = [new Way(), new Way()] as const
  #connected = false
  #broken = false

  constructor(options: StreamOptions) {
    this.#options = options
    this.bornMs = options.time.nowMs
    const end = (side: Side): End =>
      new End(
        options.remotes[side],
        (packet) => options.sent(side, packet),
        () => this.#busy(side)
      )
    this.ends = [end(0), end(1)]
  }

  get isOver(): boolean {
    return this.ends[0].over && this.ends[1].over
  }

  /** Both ends use it, as far as they know. */
  get isLive(): boolean {
    return this.ends.every(({ over, closing }) => !over && !closing)
  }

  /** Packets have come to the side that it has not taken. */
  holds(to: Side): boolean {
    return this.#ways[to === 0 ? 1 : 0].held.length > 0
  }

  /** The other side takes it: what was queued leaves. */
  connect(far: ConnectionEvents): void {
    this.ends[1].events = far
    this.#connected = true
    for (const side of [0, 1] as const) this.#busy(side)
  }

  /** There is nobody, or nobody answers. */
  refuse(delayMs: number): void {
    this.ends[1].over = true
    this.#options.time.after(delayMs, () => this.#ended(0, "connection refused"))
  }

  /** The connection is reset: a part of what is on its way, up to any byte, still comes. */
  break(): void {
    if (this.#broken) return
    this.#broken = true
    const { random, time, timing } = this.#options
    for (const side of [0, 1] as const) {
      this.#cutAnywhere(this.#ways[side])
      const delayMs = random.chance(500) ? 0 : random.below(timing.noticeMsMax)
      time.after(delayMs, () => this.#ended(side, "connection reset"))
    }
  }

  /** A process is gone: with a reset, or, as when the power goes, without a word. */
  abandon(side: Side): void {
    this.ends[side].over = true
    if (this.#options.random.chance(500)) this.break()
    else for (const way of this.#ways) way.deaf = true
    this.#check()
  }

  /** What is between the two takes no new streams; this one lives on. */
  leave(side: Side): void {
    const end = this.ends[side]
    if (end.over || end.left || !this.#connected) return
    end.left = true
    end.events?.leaving("a proxy is drained")
  }

  /** It ends in order, though neither side wants it. */
  finish(): void {
    for (const end of this.ends) end.close()
  }

  /** Bytes that no link of this side sends. */
  inject(from: Side, packet: Packet): void {
    this.tampered = true
    this.ends[from].send(packet)
  }

  #busy(side: Side): void {
    const way = this.#ways[side]
    const { time } = this.#options
    if (!this.#connected) {
      if (this.ends[side].closing) time.after(1, () => this.#ended(side, "closed by this side"))
      return
    }
    if (way.pumping) return
    way.pumping = true
    time.after(0, () => this.#pump(side))
  }

  /** The socket takes what it can. */
  #pump(side: Side): void {
    const { time, bytesPerMs } = this.#options
    const [way, end] = [this.#ways[side], this.ends[side]]
    way.pumping = false
    if (end.over || this.#broken) return
    const rate = bytesPerMs(side)
    way.room = Math.max(way.room, rate)
    const leaving: Array<Packet> = []
    let next = end.queue.peek()
    for (; next !== undefined && sizeOf(next) <= way.room; next = end.queue.peek()) {
      end.queue.shift()
      way.room -= sizeOf(next)
      end.backlogBytes -= sizeOf(next)
      leaving.push(next)
    }
    if (leaving.length > 0) this.#transmit(side, leaving)
    if (next !== undefined) {
      const waitMs = Math.ceil((sizeOf(next) - way.room) / rate)
      way.room = sizeOf(next)
      way.pumping = true
      return time.after(waitMs, () => this.#pump(side))
    }
    way.room = 0
    assert(end.backlogBytes === 0, "all has left")
    if (end.closing) return this.#endInOrder(side)
    if (leaving.length > 0) end.events?.drained()
  }

  #transmit(from: Side, packets: Array<Packet>): void {
    const { random } = this.#options
    if (packets.length > 1 && random.chance(PARTS)) {
      const at = 1 + random.below(packets.length - 1)
      this.#burst(from, packets.slice(0, at))
      return this.#burst(from, packets.slice(at))
    }
    this.#burst(from, packets)
  }

  #burst(from: Side, packets: Array<Packet>): void {
    const way = this.#ways[from]
    const { time, lost } = this.#options
    const arrivesMs = this.#arrivalMs(from)
    if (way.deaf) return lost(packets.length)
    const burst = { packets }
    way.bursts.push(burst)
    time.after(arrivesMs - time.nowMs, () => {
      way.bursts.shift()
      const to = from === 0 ? 1 : 0
      this.#come(from, () => this.#arrive(to, burst))
    })
  }

  /** Something comes from `from`: at once, or when the process is awake. */
  #come(from: Side, then: () => void): void {
    const { time, stillUntilMs } = this.#options
    const { held } = this.#ways[from]
    const stillMs = stillUntilMs(from === 0 ? 1 : 0) - time.nowMs
    if (stillMs <= 0 && held.length === 0) return then()
    held.push(then)
    if (held.length > 1) return
    time.after(Math.max(0, stillMs), () => {
      for (let next = held.peek(); next !== undefined; next = held.peek()) {
        next()
        held.shift()
      }
    })
  }

  /** In order; at the latest when a mute is over, where it does not swallow what is said. */
  #arrivalMs(from: Side): number {
    const { time, random, timing, mutedUntilMs } = this.#options
    const way = this.#ways[from]
    const mutedMs = Math.max(time.nowMs, mutedUntilMs(from))
    if (mutedMs > time.nowMs && !random.chance(REPEATED)) way.deaf = true
    const slow = random.chance(timing.slowPerMille)
    const delayMs = 1 + random.below(slow ? timing.slowMsMax : timing.delayMsMax)
    return (way.lastMs = Math.max(way.lastMs, mutedMs + delayMs))
  }

  #arrive(to: Side, { packets }: Burst): void {
    const end = this.ends[to]
    for (const [i, packet] of packets.entries()) {
      for (const came of this.#options.comes(to, packet)) {
        if (end.over) return this.#options.lost(packets.length - i)
        if (!end.trusted && came.frame.length > this.#options.handshakeFrameBytesMax) {
          return this.break()
        }
        end.events?.packet(came)
      }
    }
  }

  #cutAnywhere(way: Way): void {
    const bursts = way.bursts.all()
    const bytes = bursts.flatMap(({ packets }) => packets.map(sizeOf))
    let left = this.#options.random.below(1 + bytes.reduce((sum, size) => sum + size, 0))
    for (const { packets } of bursts) {
      const whole = packets.findIndex((packet) => (left -= sizeOf(packet)) < 0)
      if (whole >= 0) this.#options.lost(packets.splice(whole).length)
    }
    way.deaf = true
  }

  /** Behind what it sent last. */
  #endInOrder(side: Side): void {
    const { time } = this.#options
    const other = side === 0 ? 1 : 0
    const arrivesMs = this.#arrivalMs(side)
    const way = this.#ways[side]
    time.after(arrivesMs - time.nowMs, () => {
      if (!way.deaf) this.#come(side, () => this.#ended(other, "closed by the other side"))
      this.#ended(side, "closed by this side")
    })
  }

  #ended(side: Side, reason: string): void {
    const end = this.ends[side]
    if (end.over) return
    end.over = true
    end.events?.closed(reason)
    this.#check()
  }

  #check(): void {
    if (this.isOver) this.#options.over()
  }
}
