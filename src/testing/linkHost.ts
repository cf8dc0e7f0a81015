/** One process on the `links` network: its links are those of production, from `HostLinks` down. */
import { sha256 } from "../base/sha256.ts"
import { NO_BYTES } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { NODE_ID_MAX } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { Channel, ChannelPort, LinkEnd } from "../link/channel.ts"
import { encodeMessage } from "../link/envelope.ts"
import type { Goodbye } from "../link/goodbye.ts"
import { type Hello, INCARNATION_BYTES, LINK_VERSION } from "../link/groupHello.ts"
import {
  acceptorHandshake,
  dialerHandshake,
  type Handshake,
  type LinkSession
} from "../link/handshake.ts"
import { checkHello } from "../link/hello.ts"
import { HostLinks } from "../link/hostLinks.ts"
import type { LinkStrength } from "../link/linkHello.ts"
import type { Connection, ConnectionEvents, Signer } from "../link/ports.ts"
import type { Message } from "../server/Message.ts"
import type { SimCrypto } from "./simCrypto.ts"
import type { Endpoint, NetworkPort } from "./simNetwork.ts"
import type { Side, SimStream } from "./simStream.ts"
import type { StreamJudge } from "./streamJudge.ts"
import type { VirtualTime } from "./virtualTime.ts"
import { EPOCH_MS } from "./world.ts"

/** A stream as one of its ends knows it. */
export interface StreamEnd {
  readonly stream: SimStream
  readonly side: Side
  readonly judge: StreamJudge
}

/** What all processes of a run share. */
export interface LinkWorld {
  readonly time: VirtualTime
  readonly limits: Limits
  readonly strength: LinkStrength
  readonly crypto: SimCrypto
  readonly signerOf: (endpoint: Endpoint) => Signer
  /** Whose key it is. */
  readonly ownerOf: (key: Uint8Array) => Endpoint | undefined
  readonly dial: (from: Endpoint, to: Endpoint, events: ConnectionEvents) => StreamEnd
  /** An end has no channel to a peer any more. */
  readonly down: (endpoint: Endpoint, peer: Endpoint) => void
}

const GROUP = "simulated"
const DIGEST = sha256(Uint8Array.of(1))
const REPLACED: Goodbye = { code: "replaced", detail: "a newer link has taken its place" }

export class LinkHost {
  readonly endpoint: Endpoint
  readonly links: HostLinks
  readonly #world: LinkWorld
  readonly #port: NetworkPort
  readonly #incarnation: Uint8Array
  readonly #random: Prng
  /** By what a handshake led to: the stream below. */
  readonly #streams = new WeakMap<LinkSession, StreamEnd>()
  /** What is dialled or accepted now: handshakes are made within. */
  #making: { stream: StreamEnd | undefined } = { stream: undefined }
  readonly #open = new Map<Channel, Endpoint>()
  readonly #current = new Map<Endpoint, Channel>()
  /** Until then it does nothing. */
  stillUntilMs = 0
  #woken = false
  #dead = false

  constructor(world: LinkWorld, endpoint: Endpoint, port: NetworkPort, random: Prng) {
    this.endpoint = endpoint
    this.#world = world
    this.#port = port
    this.#random = random
    this.#incarnation = random.bytes(INCARNATION_BYTES)
    const { limits, time } = world
    this.links = new HostLinks({
      limits,
      clock: { nowMs: () => EPOCH_MS + time.nowMs },
      random: (below) => random.below(below),
      dial: (address, events) => {
        const stream = world.dial(endpoint, Number(address), events)
        this.#making.stream = stream
        return stream.stream.ends[0]
      },
      ...(this.#isNode && { accepting: () => this.#noted(this.#accepting()) }),
      wake: () => this.#wake(),
      broke: () => {}
    })
    if (this.#isNode) this.offer(GROUP, this.#channels(undefined))
    const tick = (): void => {
      if (this.#dead) return
      const stillMs = this.stillUntilMs - time.nowMs
      if (stillMs > 0) return time.after(stillMs, tick)
      this.links.tick()
      time.after(limits.tickMs, tick)
    }
    time.after(random.below(limits.tickMs), tick)
  }

  get #isNode(): boolean {
    return this.endpoint <= NODE_ID_MAX
  }

  /** Keeps a channel to a node, of this host's own group or another. */
  keep(peer: Endpoint, port: ChannelPort = this.#channels(peer)): void {
    const { strength, crypto: suite, signerOf } = this.#world
    const expected = signerOf(peer).publicKey
    const keys = { suite, signer: signerOf(this.endpoint), expected }
    const handshake = (): Handshake => {
      this.#making = { stream: undefined }
      const plain = strength === "plaintext"
      return this.#noted(dialerHandshake(plain ? { strength } : { strength, ...keys }))
    }
    const failed = (): void => {
      if (!this.#isNode) this.#port.closed(peer)
    }
    this.links.keep({ name: String(peer), address: String(peer), handshake }, { ...port, failed })
  }

  offer(group: string, port: ChannelPort): void {
    this.links.offer(group, port)
  }

  accept(end: StreamEnd, connection: Connection): ConnectionEvents {
    this.#making = { stream: end }
    return this.links.accept(connection)
  }

  /** False: there is no channel to it. */
  send(peer: Endpoint, message: Message | undefined, bytes: Uint8Array): boolean {
    const channel = this.#current.get(peer)
    if (channel === undefined) return false
    const end = this.streamOf(channel)
    // What no link sends: a liar writes it into the stream.
    if (message === undefined) end.stream.inject(end.side, { frame: bytes })
    else this.say(channel, message)
    return true
  }

  /** Sends on a channel, before its judge. */
  say(channel: Channel, message: Message): void {
    const { judge, side } = this.streamOf(channel)
    if (channel.isClosed) return
    judge.says(side, channel.number, message)
    channel.send(message)
  }

  /** The process gets no time until then. */
  stand(untilMs: number): void {
    this.stillUntilMs = Math.max(this.stillUntilMs, untilMs)
  }

  isUp(peer: Endpoint): boolean {
    return this.#current.has(peer)
  }

  release(of: (peer: Endpoint) => boolean): void {
    for (const [channel, peer] of this.#open) if (of(peer)) channel.release()
  }

  /** The process is gone. */
  die(): void {
    this.#dead = true
  }

  streamOf(channel: Channel): StreamEnd {
    return this.#streams.get(channel.session!)!
  }

  hello(group = GROUP): Hello {
    const { storeId, horizonMs } = this.#port.hello()
    const { publicKey } = this.#world.signerOf(this.endpoint)
    return {
      version: LINK_VERSION,
      group,
      groupDigest: DIGEST,
      node: this.#isNode ? this.endpoint : 0,
      clientKey: this.#isNode ? NO_BYTES : publicKey,
      storeId: this.#isNode ? storeIdOf(storeId) : NO_BYTES,
      incarnation: this.#incarnation,
      horizonMs,
      fetchToken: NO_BYTES
    }
  }

  /** Why the other side is not who it says; `undefined`: it is. */
  check(theirs: Hello, channel: Channel, dialled: Endpoint | undefined): Goodbye | undefined {
    const { ownerOf } = this.#world
    const peer = this.peerOf(theirs)
    if (peer === undefined || (dialled !== undefined && peer !== dialled)) {
      return { code: "wrong_group", detail: "another host than the one that was meant" }
    }
    const proven = channel.session?.proven
    if (proven === undefined || ownerOf(proven.peerKey) === peer) return undefined
    return { code: "unauthenticated", detail: "its host key is another one's" }
  }

  peerOf({ node, clientKey }: Hello): Endpoint | undefined {
    return node === 0 ? this.#world.ownerOf(clientKey) : node
  }

  /** A port whose channels are judged. */
  judged(port: ChannelPort): ChannelPort {
    return {
      ...port,
      opened: (channel, theirs) => {
        const { judge, side } = this.streamOf(channel)
        judge.opened(side)
        channel.id = this.peerOf(theirs)!
        port.opened(channel, theirs)
      },
      receive: (channel, message) => {
        const { judge, side } = this.streamOf(channel)
        judge.hears(side, channel.number, message)
        port.receive(channel, message)
      },
      closed: (channel, end) => {
        this.#judgeEnd(channel, end)
        port.closed(channel, end)
      }
    }
  }

  #judgeEnd(channel: Channel, end: LinkEnd): void {
    const session = channel.session
    const stream = session && this.#streams.get(session)
    stream?.judge.closed(stream.side, channel.id !== 0, end)
  }

  #channels(dialled: Endpoint | undefined): ChannelPort {
    const isNode = this.#isNode
    return this.judged({
      hello: () => this.hello(),
      check: (theirs, channel) =>
        checkHello(this.hello(), theirs) ?? this.check(theirs, channel, dialled),
      opened: (channel, theirs) => this.#opened(channel, theirs),
      receive: (channel, message) => this.#receive(channel, message),
      closed: (channel) => {
        this.#open.delete(channel)
        const peer = dialled ?? channel.id
        if (this.#current.get(peer) === channel) {
          this.#current.delete(peer)
          if (!this.#dead) this.#world.down(this.endpoint, peer)
        } else if (isNode || this.#current.has(peer)) return
        if (!this.#dead) this.#port.closed(peer)
        const other = [...this.#open].find(([, end]) => end === peer)?.[0]
        // A client's channels on two links come in any order: each of them lives until it ends.
        if (!this.#dead && isNode && other !== undefined) this.#opened(other, other.theirs!)
      }
    })
  }

  #opened(channel: Channel, theirs: Hello): void {
    const peer = channel.id
    const old = this.#current.get(peer)
    this.#open.set(channel, peer)
    this.#current.set(peer, channel)
    if (old !== undefined && peer > NODE_ID_MAX) this.#port.closed(peer)
    else if (this.#isNode) old?.close(REPLACED)
    const storeId = theirs.node === 0 ? "" : nameOf(theirs.storeId)
    this.#port.opened(peer, { storeId, horizonMs: theirs.horizonMs })
  }

  #receive(channel: Channel, message: Message): void {
    if (this.#dead) return
    const { took, receive } = this.#port
    if (took === undefined) receive(channel.id, encodeMessage(message))
    else took(channel.id, message)
    if (!this.#isNode) channel.release()
  }

  #accepting(): Handshake {
    const { strength, crypto: suite, signerOf, ownerOf } = this.#world
    const stranger: Goodbye = { code: "unauthenticated", detail: "nobody has this key" }
    return acceptorHandshake({
      strengths: [strength],
      allow: (key) => (ownerOf(key) === undefined ? stranger : undefined),
      ...(strength !== "plaintext" && { suite, signer: signerOf(this.endpoint) })
    })
  }

  /** A handshake whose session leads back to its stream. */
  #noted({ start, take }: Handshake): Handshake {
    const making = this.#making
    return {
      start,
      take: (parts) => {
        const step = take(parts)
        if ("session" in step && step.session !== undefined)
          this.#streams.set(step.session, making.stream!)
        return step
      }
    }
  }

  #wake(): void {
    if (this.#woken) return
    this.#woken = true
    const { time } = this.#world
    const stillMs = Math.max(0, this.stillUntilMs - time.nowMs)
    time.after(stillMs + this.#random.below(2), () => {
      this.#woken = false
      if (!this.#dead) this.links.flush()
    })
  }
}

/** Stores have names in a run, of at most 16 letters. */
const storeIdOf = (name: string): Uint8Array => {
  const bytes = new Uint8Array(16)
  for (let i = 0; i < name.length; i++) bytes[i] = name.charCodeAt(i)
  return bytes
}
const nameOf = (storeId: Uint8Array): string =>
  String.fromCharCode(...storeId.subarray(0, storeId.indexOf(0) < 0 ? 16 : storeId.indexOf(0)))
