import { assert } from "../base/assert.ts"
import type { Prng } from "../base/prng.ts"
import type { Message } from "../server/Message.ts"
import { type Traffic, TrafficCount } from "./traffic.ts"
import type { VirtualTime } from "./virtualTime.ts"

/** A node by its id, a client by a number above every node id. */
export type Endpoint = number

/** What both sides of a new connection tell each other first. */
export interface SimHello {
  readonly storeId: string
  readonly horizonMs: number
}

/** What the network tells an endpoint. */
export interface NetworkPort {
  readonly hello: () => SimHello
  readonly opened: (peer: Endpoint, hello: SimHello) => void
  readonly closed: (peer: Endpoint) => void
  readonly receive: (peer: Endpoint, bytes: Uint8Array) => void
  /** What links have decoded; absent: it is encoded for `receive`. */
  readonly took?: (peer: Endpoint, message: Message) => void
}

/** Delays in integer milliseconds. */
export interface NetworkTiming {
  /** An ordinary message takes 1 … delayMsMax. */
  readonly delayMsMax: number
  /** Of 1,000 messages, so many are slow: up to `slowMsMax`; those behind them wait (FIFO). */
  readonly slowPerMille: number
  readonly slowMsMax: number
  /** A new connection is tried within this time. */
  readonly dialMsMax: number
  /** A side notices a broken connection within this time. */
  readonly noticeMsMax: number
}

/** What a run needs of either network. */
export interface Network {
  readonly join: (dialer: Endpoint, acceptor: Endpoint) => void
  readonly attach: (endpoint: Endpoint, port: NetworkPort) => void
  readonly detach: (endpoint: Endpoint) => void
  readonly cut: (a: Endpoint, b: Endpoint, apartMs: number) => void
  readonly mute: (from: Endpoint, to: Endpoint, muteMs: number) => void
  readonly heal: () => void
  send: (from: Endpoint, to: Endpoint, bytes: Uint8Array, kind?: string) => boolean
  readonly isUp: (from: Endpoint, to: Endpoint) => boolean
  readonly traffic: () => ReadonlyArray<Traffic>
  /** The endpoint has worked off what came; links let those it names send more. */
  readonly release: (endpoint: Endpoint, of: (peer: Endpoint) => boolean) => void
  readonly breaks: number
}

/** What a node needs of the network. */
export type HostNetwork = Pick<Network, "attach" | "detach" | "send" | "cut" | "release">

interface Connection {
  /** When the last message of each direction arrives: FIFO. */
  readonly lastMs: [number, number]
  /** A message from this end was lost, so none behind it arrives: the connection is a stream. */
  readonly deaf: [boolean, boolean]
  broken: boolean
}
/** Two endpoints that keep a connection while both live. */
interface Pair {
  /** Ends 0 (the dialer) and 1. */
  readonly ends: readonly [Endpoint, Endpoint]
  /** The newest connection, if it is not broken. */
  current: Connection | undefined
  /** The connection each end takes for open. */
  readonly sides: [Connection | undefined, Connection | undefined]
  /** Not dialed before. */
  blockedUntilMs: number
  /** What an end sends before this time is lost. */
  readonly mutedUntilMs: [number, number]
  readonly traffic: readonly [TrafficCount, TrafficCount]
}

/** A connection that has lost its stream in one direction is noticed dead within this time. */
const DEAF_MS_MAX = 1500
const ENDPOINTS_MAX = 2_097_152

/**
 * The `envelopes` network: every pair has one connection at a time, FIFO with random delays. A
 * break loses what was in flight, but for what arrives before the receiver notices; loss and
 * reordering happen only between connections. The two ends notice at different times, and a new
 * connection may come up at an end that has not noticed yet: it is told of the end first.
 */
export class SimNetwork implements Network {
  readonly #time: VirtualTime
  readonly #random: Prng
  readonly #timing: NetworkTiming
  readonly #ports = new Map<Endpoint, NetworkPort>()
  readonly #pairs = new Map<number, Pair>()
  readonly #pairsOf = new Map<Endpoint, Array<Pair>>()
  /** Messages that were lost in a break. */
  lost = 0
  breaks = 0

  constructor(time: VirtualTime, random: Prng, timing: NetworkTiming) {
    this.#time = time
    this.#random = random
    this.#timing = timing
  }

  /** The two keep a connection from now on, whenever both are attached. */
  join(dialer: Endpoint, acceptor: Endpoint): void {
    const key = pairKey(dialer, acceptor)
    assert(!this.#pairs.has(key), "a pair is joined once")
    const pair: Pair = {
      ends: [dialer, acceptor],
      current: undefined,
      sides: [undefined, undefined],
      blockedUntilMs: 0,
      mutedUntilMs: [0, 0],
      traffic: [new TrafficCount(), new TrafficCount()]
    }
    this.#pairs.set(key, pair)
    for (const end of pair.ends) {
      const pairs = this.#pairsOf.get(end)
      if (pairs === undefined) this.#pairsOf.set(end, [pair])
      else pairs.push(pair)
    }
    this.#planDial(pair, 0)
  }

  /** The endpoint lives, again or for the first time. */
  attach(endpoint: Endpoint, port: NetworkPort): void {
    assert(!this.#ports.has(endpoint), "an endpoint is attached once at a time")
    this.#ports.set(endpoint, port)
    for (const pair of this.#pairsOf.get(endpoint) ?? []) this.#planDial(pair, 0)
  }

  /** The endpoint is gone without a word; the others notice later. */
  detach(endpoint: Endpoint): void {
    this.#ports.delete(endpoint)
    for (const pair of this.#pairsOf.get(endpoint) ?? []) {
      pair.sides[sideOf(pair, endpoint)] = undefined
      this.#break(pair)
    }
  }

  /** Breaks the connection of two endpoints, if there is one, and keeps them apart. */
  cut(a: Endpoint, b: Endpoint, apartMs: number): void {
    const pair = this.#pairs.get(pairKey(a, b))
    if (pair === undefined) return
    pair.blockedUntilMs = Math.max(pair.blockedUntilMs, this.#time.nowMs + apartMs)
    this.#break(pair)
    this.#planDial(pair, pair.blockedUntilMs - this.#time.nowMs)
  }

  /**
   * What `from` sends to `to` vanishes for a while; the other direction lives. Both ends take the
   * connection for open, until one notices that nothing comes.
   */
  mute(from: Endpoint, to: Endpoint, muteMs: number): void {
    const pair = this.#pairs.get(pairKey(from, to))
    if (pair !== undefined) pair.mutedUntilMs[sideOf(pair, from)] = this.#time.nowMs + muteMs
  }

  /** Nothing keeps anybody apart any more. */
  heal(): void {
    for (const pair of this.#pairs.values()) {
      pair.blockedUntilMs = 0
      pair.mutedUntilMs.fill(0)
      this.#planDial(pair, 0)
    }
  }

  /**
   * False when `from` has no connection to `to`; true says nothing about arrival.
   * @param kind what it counts as in {@link traffic}
   */
  send(from: Endpoint, to: Endpoint, bytes: Uint8Array, kind = "bytes"): boolean {
    const pair = this.#pairs.get(pairKey(from, to))
    if (pair === undefined) return false
    const side = sideOf(pair, from)
    const connection = pair.sides[side]
    if (connection === undefined) return false
    pair.traffic[side].add(kind, bytes.length)
    this.#transmit(pair, connection, side, () => {
      if (pair.sides[1 - side] !== connection) this.lost++
      else this.#ports.get(to)?.receive(from, bytes)
    })
    return true
  }

  /** Nothing here counts what waits at a receiver. */
  release(): void {}

  isUp(from: Endpoint, to: Endpoint): boolean {
    const pair = this.#pairs.get(pairKey(from, to))
    return pair !== undefined && pair.sides[sideOf(pair, from)] !== undefined
  }

  /** What was sent up to now: by direction, then by kind. Compare two with `trafficSince`. */
  traffic(): ReadonlyArray<Traffic> {
    return [...this.#pairs.values()].flatMap(({ ends: [a, b], traffic }) => [
      ...traffic[0].rows(a, b),
      ...traffic[1].rows(b, a)
    ])
  }

  #transmit(pair: Pair, connection: Connection, side: 0 | 1, arrive: () => void): void {
    if (this.#time.nowMs < pair.mutedUntilMs[side]) this.#deafen(pair, connection, side)
    if (connection.broken || connection.deaf[side]) {
      this.lost++
      return
    }
    const { delayMsMax, slowPerMille, slowMsMax } = this.#timing
    const slow = this.#random.chance(slowPerMille)
    const now = this.#time.nowMs
    const delayMs = 1 + this.#random.below(slow ? slowMsMax : delayMsMax)
    const arrivesMs = Math.max(connection.lastMs[side]!, now + delayMs)
    connection.lastMs[side] = arrivesMs
    this.#time.after(arrivesMs - now, arrive)
  }

  #deafen(pair: Pair, connection: Connection, side: 0 | 1): void {
    if (connection.deaf[side]) return
    connection.deaf[side] = true
    this.#time.after(1 + this.#random.below(DEAF_MS_MAX), () => {
      if (pair.current !== connection) return
      this.#break(pair)
      this.#planDial(pair, 0)
    })
  }

  #planDial(pair: Pair, apartMs: number): void {
    const delayMs = apartMs + 1 + this.#random.below(this.#timing.dialMsMax)
    this.#time.after(delayMs, () => this.#dial(pair))
  }

  /** Hello goes over, and back; each end is open when the other's hello came. */
  #dial(pair: Pair): void {
    const [dialer, acceptor] = pair.ends
    const dialing = this.#ports.get(dialer)
    if (dialing === undefined || !this.#ports.has(acceptor)) return
    if (pair.current !== undefined || this.#time.nowMs < pair.blockedUntilMs) return
    const connection: Connection = { lastMs: [0, 0], deaf: [false, false], broken: false }
    pair.current = connection
    const hello = dialing.hello()
    this.#transmit(pair, connection, 0, () => {
      if (connection.broken) return
      const accepting = this.#ports.get(acceptor)!
      const back = accepting.hello()
      this.#transmit(pair, connection, 1, () => {
        if (!connection.broken) this.#opened(pair, 0, connection, back)
      })
      this.#opened(pair, 1, connection, hello)
    })
  }

  #opened(pair: Pair, side: 0 | 1, connection: Connection, hello: SimHello): void {
    this.#closed(pair, side)
    pair.sides[side] = connection
    this.#ports.get(pair.ends[side])!.opened(pair.ends[1 - side]!, hello)
  }

  #closed(pair: Pair, side: 0 | 1): void {
    if (pair.sides[side] === undefined) return
    pair.sides[side] = undefined
    this.#ports.get(pair.ends[side])?.closed(pair.ends[1 - side]!)
  }

  #break(pair: Pair): void {
    const connection = pair.current
    if (connection === undefined) return
    connection.broken = true
    pair.current = undefined
    this.breaks++
    for (const side of [0, 1] as const) {
      // Half of the ends notice at once: all in flight to them is lost. The others take longer.
      const delayMs = this.#random.chance(500) ? 0 : this.#random.below(this.#timing.noticeMsMax)
      this.#time.after(delayMs, () => {
        if (pair.sides[side] === connection) this.#closed(pair, side)
      })
    }
  }
}

const pairKey = (a: Endpoint, b: Endpoint): number => {
  assert(a !== b && a < ENDPOINTS_MAX && b < ENDPOINTS_MAX, "two endpoints differ")
  return a < b ? a * ENDPOINTS_MAX + b : b * ENDPOINTS_MAX + a
}
const sideOf = (pair: Pair, endpoint: Endpoint): 0 | 1 => (pair.ends[0] === endpoint ? 0 : 1)
