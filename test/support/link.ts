/** Link cores without a network, for tests: two hosts, each with one group's channel. */
import { checkLimits, LIMITS, type Limits } from "../../src/base/limits.ts"
import type { Channel, ChannelPort, LinkEnd } from "../../src/link/channel.ts"
import { decodeFrame, encodeFrame, type FrameContent } from "../../src/link/frame.ts"
import type { Goodbye } from "../../src/link/goodbye.ts"
import { type Hello, LINK_VERSION } from "../../src/link/groupHello.ts"
import { acceptorHandshake, dialerHandshake, type Handshake } from "../../src/link/handshake.ts"
import { checkHello } from "../../src/link/hello.ts"
import { encodeLinkHello } from "../../src/link/linkHello.ts"
import { LinkCore } from "../../src/link/linkCore.ts"
import type { Packet } from "../../src/link/ports.ts"
import type { Message } from "../../src/server/Message.ts"

export const helloOf = (node: number, more: Partial<Hello> = {}): Hello => ({
  version: LINK_VERSION,
  group: "g",
  groupDigest: new Uint8Array(32).fill(1),
  node,
  clientKey: new Uint8Array(node === 0 ? 32 : 0),
  storeId: new Uint8Array(node === 0 ? 0 : 16),
  incarnation: new Uint8Array(16),
  horizonMs: 0,
  fetchToken: new Uint8Array(0),
  ...more
})
export const small: Limits = {
  ...LIMITS,
  bodyBytesMax: 2000,
  batchBytesMax: 4000,
  batchBytesTarget: 500,
  batchEnvelopesTarget: 8,
  cursorBytesMax: 3000,
  fragmentBytes: 700,
  creditBytes: 4800,
  linkBytes: 12_000
}
checkLimits(small)

export interface SideOptions {
  readonly hello: Hello
  readonly limits?: Limits
  readonly handshake?: Handshake
  readonly check?: ChannelPort["check"]
  readonly receive?: (channel: Channel, message: Message) => void
  /** Others that may be opened, or `undefined`: the side itself. */
  readonly offered?: (theirs: Hello) => ChannelPort | Goodbye | undefined
}

/** What becomes of one channel, as its owner sees it. */
export class Owner {
  readonly got: Array<Message> = []
  readonly opened: Array<Hello> = []
  readonly ends: Array<LinkEnd> = []
  channel: Channel | undefined
  readonly port: ChannelPort
  constructor({ hello, check, receive }: SideOptions) {
    this.port = {
      hello: () => hello,
      check: check ?? ((theirs) => checkHello(hello, theirs)),
      opened: (channel, theirs) => {
        this.channel = channel
        this.opened.push(theirs)
      },
      receive: (channel, message) => {
        this.got.push(message)
        receive?.(channel, message)
      },
      closed: (_, end) => this.ends.push(end)
    }
  }
}

export class Side extends Owner {
  readonly core: LinkCore
  private hurried = 0
  private flushing = false
  constructor(options: SideOptions) {
    super(options)
    const { offered, limits = LIMITS } = options
    this.core = new LinkCore({
      limits,
      remote: "the other side",
      handshake: options.handshake ?? plainAcceptor(),
      opened: () => {},
      offered: (theirs) => offered?.(theirs) ?? this.port,
      wake: () => {},
      hurry: () => {
        // It would give the next packet before the one that is being made.
        if (this.flushing) throw new Error("hurried within a flush")
        this.hurried++
      }
    })
  }
  /** How often a whole batch waited. */
  get hurries(): number {
    return this.hurried
  }
  flushAll(): Array<Packet> {
    const packets: Array<Packet> = []
    this.flushing = true
    for (let p = this.core.flush(); p !== undefined; p = this.core.flush()) packets.push(p)
    this.flushing = false
    return packets
  }
  contents(): ReadonlyArray<FrameContent> {
    return this.flushAll().map(({ frame }) => decodeFrame(frame)!.content)
  }
  take(packets: ReadonlyArray<Packet>): void {
    for (const packet of packets) this.core.take(packet)
  }
  /** What came in is worked off. */
  release(): void {
    this.channel?.release()
  }
}

export const plainDialer = (): Handshake => dialerHandshake({ strength: "plaintext" })
export const plainAcceptor = (): Handshake =>
  acceptorHandshake({ strengths: ["plaintext"], allow: () => undefined })

/** Until neither has more to say. */
export const pump = (a: Side, b: Side): void => {
  for (let more = true; more; ) {
    const [to, fro] = [a.flushAll(), b.flushAll()]
    b.take(to)
    a.take(fro)
    more = to.length + fro.length > 0
  }
}
/** Two sides, the first of which dials and opens a channel. */
export const pairOf = (a: SideOptions, b: SideOptions): [Side, Side] => {
  const pair: [Side, Side] = [new Side({ handshake: plainDialer(), ...a }), new Side(b)]
  pump(...pair)
  pair[0].core.open(pair[0].port)
  pump(...pair)
  return pair
}
export const members = (limits: Limits = LIMITS, more: Partial<SideOptions> = {}): [Side, Side] =>
  pairOf({ hello: helloOf(1), limits }, { hello: helloOf(2), limits, ...more })

export const linkHello = (version = LINK_VERSION): FrameContent => {
  const none = new Uint8Array(0)
  const keys = { hostKey: none, nonce: none, ephemeralKey: none, versions: [] }
  const hello = encodeLinkHello({ version, strength: "plaintext", ...keys })
  return { kind: "handshake", parts: { hello } }
}
/** The frames that open a link, and one channel for `hello`, by hand. */
export const opening = (hello: Hello): [Packet, Packet] => [
  packet(1, linkHello()),
  packet(2, { kind: "open", channel: 1, hello })
]
/** A member that is open against frames made by hand, of which `next` is the third. */
export const opened = (limits: Limits = LIMITS): Side => {
  const side = new Side({ hello: helloOf(1), limits })
  side.take(opening(helloOf(2)))
  side.flushAll()
  return side
}
export const packet = (
  sequence: number,
  content: FrameContent,
  { acknowledged = 0, credit = 0 } = {}
): Packet => ({ frame: encodeFrame({ sequence, acknowledged, credit, content }) })
export const messages = (...list: ReadonlyArray<Message>): FrameContent => ({
  kind: "messages",
  channel: list.length === 0 ? 0 : 1,
  messages: list
})
export const want = (position: number): Message => ({ kind: "want", position })
export const word = (position: number, length: number): Message => ({
  kind: "word",
  position,
  lane: "slots",
  index: 1,
  method: 7,
  round: 0,
  ackedBelow: 0,
  body: new Uint8Array(length)
})
export const positions = (side: Owner): ReadonlyArray<number> =>
  side.got.flatMap((m) => (m.kind === "word" ? [m.position] : []))
