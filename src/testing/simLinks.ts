/**
 * The `links` network: what hosts and clients send goes through the links of production, over
 * streams that are slow, break at any byte, go deaf, are drained by proxies and meddled with.
 */
import { assert } from "../base/assert.ts"
import { hexOf } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { NODE_ID_MAX } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { decodeMessage } from "../link/envelope.ts"
import type { Goodbye } from "../link/goodbye.ts"
import type { ConnectionEvents, Packet, Signer } from "../link/ports.ts"
import { LinkHost, type LinkWorld, type StreamEnd } from "./linkHost.ts"
import type { LinkFault, LinkPlan } from "./linkPlan.ts"
import { Meddler } from "./meddler.ts"
import { Noise } from "./noise.ts"
import { SimCrypto } from "./simCrypto.ts"
import { SimKeys } from "./simKeys.ts"
import type { Endpoint, Network, NetworkPort, NetworkTiming } from "./simNetwork.ts"
import { type Side, SimStream } from "./simStream.ts"
import { isClientMessage, isPeerMessage } from "./speakers.ts"
import { StreamJudge } from "./streamJudge.ts"
import { type Traffic, TrafficCount } from "./traffic.ts"
import type { VirtualTime } from "./virtualTime.ts"

export interface SimLinksOptions {
  readonly time: VirtualTime
  readonly random: Prng
  readonly timing: NetworkTiming
  readonly limits: Limits
  readonly plan: LinkPlan
  /** Until then a second group is loud, and processes stand still. */
  readonly faultsUntilMs: number
  readonly fail: (what: string) => void
}

/** Two endpoints of which the first keeps a link to the second while both live. */
interface Pair {
  readonly ends: readonly [Endpoint, Endpoint]
  readonly streams: Set<StreamEnd>
  blockedUntilMs: number
  readonly mutedUntilMs: [number, number]
  slow: { readonly untilMs: number; readonly bytesPerMs: number }
  meddledUntilMs: number
  /** Since when one of the two has no channel to the other. */
  downSinceMs: number | undefined
  readonly traffic: readonly [TrafficCount, TrafficCount]
}

const LOOK_MS = 200
/** Of 1,000 processes that end, so many are stopped by a signal; the others are killed. */
const STOPPED = 300
const STOPPING: Goodbye = { code: "not_ready", detail: "the process stops" }
/** Of 1,000 dials that come to nothing, so many are never answered. */
const UNANSWERED = 300

export class SimLinks implements Network {
  readonly #options: SimLinksOptions
  readonly #world: LinkWorld
  readonly #keys = new SimKeys()
  readonly #signers = new Map<Endpoint, Signer>()
  readonly #owners = new Map<string, Endpoint>()
  readonly #pairs = new Map<string, Pair>()
  readonly #hosts = new Map<Endpoint, { readonly host: LinkHost; readonly noise?: Noise }>()
  /** Who has been there. */
  readonly #met = new Set<Endpoint>()
  readonly #meddler: Meddler
  #streams = 0
  /** Packets that were lost in a break. */
  lost = 0
  /** Times that an end had no channel to another one any more. */
  breaks = 0

  constructor(options: SimLinksOptions) {
    this.#options = options
    const { random, limits, plan, time } = options
    this.#meddler = new Meddler(random.fork(), plan.strength === "plaintext")
    this.#world = {
      ...{ time, limits, strength: plan.strength },
      crypto: new SimCrypto(random.fork(), this.#keys),
      signerOf: (endpoint) => this.#signerOf(endpoint),
      ownerOf: (key) => this.#owners.get(hexOf(key)),
      dial: (from, to, events) => this.#dial(from, to, events),
      down: () => {
        this.breaks++
      }
    }
    time.after(LOOK_MS, () => this.#look())
  }

  join(dialer: Endpoint, acceptor: Endpoint): void {
    const key = pairKey(dialer, acceptor)
    assert(!this.#pairs.has(key), "a pair is joined once")
    const pair: Pair = {
      ends: [dialer, acceptor],
      streams: new Set(),
      blockedUntilMs: 0,
      mutedUntilMs: [0, 0],
      slow: { untilMs: 0, bytesPerMs: 1 },
      meddledUntilMs: 0,
      downSinceMs: undefined,
      traffic: [new TrafficCount(), new TrafficCount()]
    }
    this.#pairs.set(key, pair)
    for (const end of pair.ends) this.#signerOf(end)
    this.#keep(pair)
  }

  attach(endpoint: Endpoint, port: NetworkPort): void {
    assert(!this.#hosts.has(endpoint), "an endpoint is attached once at a time")
    this.#signerOf(endpoint)
    const { random, plan, faultsUntilMs: untilMs } = this.#options
    const world = this.#world
    const host = new LinkHost(world, endpoint, port, random.fork())
    const noisy = plan.noise && endpoint <= NODE_ID_MAX
    const noise = noisy && new Noise({ host, world, random: random.fork(), untilMs })
    this.#met.add(endpoint)
    this.#hosts.set(endpoint, { host, ...(noise && { noise }) })
    for (const pair of this.#pairs.values()) if (pair.ends[0] === endpoint) this.#keep(pair)
  }

  #keep({ ends: [dialer, acceptor] }: Pair): void {
    const near = this.#hosts.get(dialer)
    near?.host.keep(acceptor)
    near?.noise?.keep(acceptor)
  }

  detach(endpoint: Endpoint): void {
    const gone = this.#hosts.get(endpoint)
    if (gone === undefined) return
    gone.host.die()
    gone.noise?.die()
    this.#hosts.delete(endpoint)
    // Some are stopped, and say so: what is queued still leaves.
    if (this.#options.random.chance(STOPPED)) return gone.host.links.close(STOPPING)
    for (const pair of this.#pairs.values()) {
      const side = pair.ends.indexOf(endpoint)
      if (side < 0) continue
      for (const { stream } of [...pair.streams]) stream.abandon(side as Side)
    }
  }

  cut(a: Endpoint, b: Endpoint, apartMs: number): void {
    const pair = this.#pairs.get(pairKey(a, b))
    if (pair === undefined) return
    pair.blockedUntilMs = Math.max(pair.blockedUntilMs, this.#options.time.nowMs + apartMs)
    for (const { stream } of [...pair.streams]) stream.break()
  }

  mute(from: Endpoint, to: Endpoint, muteMs: number): void {
    const pair = this.#pairs.get(pairKey(from, to))
    if (pair !== undefined)
      pair.mutedUntilMs[sideOf(pair, from)] = this.#options.time.nowMs + muteMs
  }

  heal(): void {
    for (const pair of this.#pairs.values()) {
      pair.blockedUntilMs = 0
      pair.mutedUntilMs.fill(0)
      pair.slow = { untilMs: 0, bytesPerMs: 1 }
      pair.meddledUntilMs = 0
    }
  }

  /** What goes wrong with links alone. */
  upset(fault: LinkFault): void {
    const { nowMs } = this.#options.time
    if (fault.kind === "leave") return this.#leave(fault.node, fault.endsMs)
    if (fault.kind === "still") {
      const untilMs = Math.min(nowMs + fault.forMs, this.#options.faultsUntilMs)
      return this.#hosts.get(fault.node)?.host.stand(untilMs)
    }
    const pair = this.#pairs.get(pairKey(...fault.between))
    if (pair === undefined) return
    const untilMs = nowMs + fault.forMs
    if (fault.kind === "slow") pair.slow = { untilMs, bytesPerMs: fault.bytesPerMs }
    else pair.meddledUntilMs = untilMs
  }

  send(from: Endpoint, to: Endpoint, bytes: Uint8Array, kind = "bytes"): boolean {
    const pair = this.#pairs.get(pairKey(from, to))
    const near = this.#hosts.get(from)
    if (pair === undefined || near === undefined) return false
    const { bodyBytesMax } = this.#options.limits
    const message = decodeMessage(bytes, 0, bytes.length, { bodyBytesMax, copy: false })
    const speaks = from > NODE_ID_MAX ? isClientMessage : to > NODE_ID_MAX ? isReply : isPeerMessage
    const said = message !== undefined && speaks(message) ? message : undefined
    if (!near.host.send(to, said, bytes)) return false
    pair.traffic[sideOf(pair, from)].add(kind, bytes.length)
    return true
  }

  isUp(from: Endpoint, to: Endpoint): boolean {
    return this.#hosts.get(from)?.host.isUp(to) ?? false
  }

  release(endpoint: Endpoint, of: (peer: Endpoint) => boolean): void {
    this.#hosts.get(endpoint)?.host.release(of)
  }

  traffic(): ReadonlyArray<Traffic> {
    return [...this.#pairs.values()].flatMap(({ ends: [a, b], traffic }) => [
      ...traffic[0].rows(a, b),
      ...traffic[1].rows(b, a)
    ])
  }

  /**
   * Two that live and have no link; of those asked for. Once faults are over it fails where
   * that lasts for longer than it takes to find out, and to dial.
   */
  unlinked(faultsUntilMs: number, asked: (endpoint: Endpoint) => boolean): string | undefined {
    const { nowMs } = this.#options.time
    for (const { ends, downSinceMs } of this.#pairs.values()) {
      if (downSinceMs === undefined || !ends.every(asked)) continue
      const downMs = nowMs - Math.max(faultsUntilMs, downSinceMs)
      const what = `${ends[0]} and ${ends[1]} have no link for ${downMs} ms`
      if (downMs > this.#boundMs) this.#options.fail(`links: ${what}`)
      return what
    }
    return undefined
  }

  get #boundMs(): number {
    const { helloTimeoutMs, silenceMsMax, redialRefusedMsMax } = this.#options.limits
    return 2 * (helloTimeoutMs + redialRefusedMsMax) + silenceMsMax
  }

  #look(): void {
    const { time } = this.#options
    for (const pair of this.#pairs.values()) {
      const [a, b] = pair.ends
      const both = this.#hosts.has(a) && this.#hosts.has(b)
      if (!both || (this.isUp(a, b) && this.isUp(b, a))) pair.downSinceMs = undefined
      else pair.downSinceMs ??= time.nowMs
      for (const { judge } of pair.streams) judge.look()
      this.#pileUp(pair)
    }
    time.after(LOOK_MS, () => this.#look())
  }

  /** One that has a successor ends soon. */
  #pileUp({ ends, streams }: Pair): void {
    const old = this.#options.time.nowMs - this.#boundMs
    const live = [...streams].filter(({ stream }) => stream.bornMs < old && stream.isLive)
    if (live.length < 3) return
    this.#options.fail(`links: ${live.length} old links of ${ends[0]} and ${ends[1]} still live`)
  }

  #signerOf(endpoint: Endpoint): Signer {
    let signer = this.#signers.get(endpoint)
    if (signer === undefined) {
      signer = this.#keys.signer(`host ${endpoint}`, (then) => then())
      this.#signers.set(endpoint, signer)
      this.#owners.set(hexOf(signer.publicKey), endpoint)
    }
    return signer
  }

  #dial(from: Endpoint, to: Endpoint, events: ConnectionEvents): StreamEnd {
    const { time, random, timing } = this.#options
    const pair = this.#pairs.get(pairKey(from, to))!
    const end = this.#makeStream(pair)
    const { stream, judge } = end
    stream.ends[0].events = events
    pair.streams.add(end)
    const delayMs = 1 + random.below(timing.dialMsMax)
    if (time.nowMs < pair.blockedUntilMs || !this.#hosts.has(to)) {
      // Where nobody has ever been, somebody says so.
      if (!this.#met.has(to) || !random.chance(UNANSWERED)) stream.refuse(delayMs)
      return end
    }
    time.after(delayMs, () => {
      if (stream.ends[0].over) return
      const far = this.#hosts.get(to)
      if (far === undefined) return stream.refuse(0)
      stream.connect(far.host.accept({ stream, judge, side: 1 }, stream.ends[1]))
    })
    return end
  }

  #makeStream(pair: Pair): StreamEnd {
    const { time, random, timing, limits, plan, fail } = this.#options
    const name = `${++this.#streams} of ${pair.ends[0]} and ${pair.ends[1]}`
    const readable = plan.strength !== "encrypted"
    const judge = new StreamJudge({ limits, name, readable, nowMs: () => time.nowMs, fail })
    const stream: SimStream = new SimStream({
      ...{ time, random, timing, handshakeFrameBytesMax: limits.handshakeFrameBytesMax },
      remotes: [`${pair.ends[1]}`, `${pair.ends[0]}`],
      bytesPerMs: () => (time.nowMs < pair.slow.untilMs ? pair.slow.bytesPerMs : plan.bytesPerMs),
      mutedUntilMs: (side) => pair.mutedUntilMs[side],
      stillUntilMs: (side) => this.#hosts.get(pair.ends[side])?.host.stillUntilMs ?? 0,
      sent: (side, packet) => judge.sent(side, packet),
      comes: (side, packet) => this.#comes(pair, end, side, packet),
      lost: (packets) => {
        this.lost += packets
      },
      over: () => void pair.streams.delete(end)
    })
    judge.stream = stream
    const end: StreamEnd = { stream, side: 0, judge }
    return end
  }

  #comes(
    pair: Pair,
    { stream, judge }: StreamEnd,
    to: Side,
    packet: Packet
  ): ReadonlyArray<Packet> {
    judge.comes(to, packet)
    if (this.#options.time.nowMs >= pair.meddledUntilMs) return [packet]
    return this.#meddler.instead(stream, packet)
  }

  #leave(node: Endpoint, endsMs: number): void {
    const { time, random } = this.#options
    for (const pair of this.#pairs.values()) {
      if (pair.ends[1] !== node) continue
      for (const { stream } of pair.streams) {
        time.after(random.below(50), () => stream.leave(0))
        time.after(50 + endsMs, () => stream.finish())
      }
    }
  }
}

const isReply = ({ kind }: { readonly kind: string }): boolean => kind === "reply"

const pairKey = (a: Endpoint, b: Endpoint): string => (a < b ? `${a} ${b}` : `${b} ${a}`)
const sideOf = (pair: Pair, endpoint: Endpoint): Side => (pair.ends[0] === endpoint ? 0 : 1)
