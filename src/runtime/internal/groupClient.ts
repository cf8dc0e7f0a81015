/** A client of one group: the call table over links to all members. Plain code; a scope owns it. */
import { hexOf, NO_BYTES } from "../../base/bytes.ts"
import type { ErrorCode } from "../../base/errorCode.ts"
import { LIMITS, type Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import { ClientKey } from "../../link/clientKey.ts"
import { CallCore } from "../../link/callCore.ts"
import type { CallPort, CallSpec } from "../../link/callTypes.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import { type Hello, INCARNATION_BYTES, LINK_VERSION } from "../../link/groupHello.ts"
import type { Channel } from "../../link/channel.ts"
import { checkHello } from "../../link/hello.ts"
import { HostLinks, type Keep } from "../../link/hostLinks.ts"
import { KEY_BYTES } from "../../link/proofs.ts"
import type { Clock, Signer } from "../../link/ports.ts"
import type { System } from "../../quorum/QuorumSystem.ts"
import type { ClientMessage, Message, MethodId, Reply } from "../../server/Message.ts"
import type { Carrier, NodeChannel, NodeChannelOptions } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import { NOBODY, type ObservedClient, observeClient, type Observers } from "./observed.ts"
import { makeClock, makeSteadyClock, randomBytes } from "./random.ts"
import { checkIdentity, dialsMember, type Identity } from "./identity.ts"
import { Turn } from "./turn.ts"

/** What no waiting mends. */
const FOR_GOOD: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "wrong_group",
  "unsupported_version",
  "unauthenticated"
])

export interface GroupClientOptions {
  readonly group: Group["Service"]
  readonly carrier: Carrier["Service"]
  readonly limits?: Limits
  /** Absent: nobody looks on. */
  readonly observers?: Observers
}

export class GroupClient implements CallPort {
  readonly system: System
  readonly core: CallCore
  private readonly limits: Limits
  private readonly clock: Clock = makeClock()
  private readonly turn = new Turn(() => this.links.flush())
  private readonly links: HostLinks
  private readonly hello: Hello
  private readonly key: ClientKey
  private readonly group: Group["Service"]
  private readonly signer: Signer | undefined
  private readonly observed: ObservedClient
  private readonly unobserve: () => void
  /** Methods whose requests are signed, of those called so far. */
  private readonly signed = new Set<MethodId>()
  private readonly channels = new Map<NodeId, NodeChannel>()
  /** "package.Service/Method" of the methods called so far. */
  private readonly names = new Map<MethodId, string>()
  private wakeTimer: ReturnType<typeof setTimeout> | undefined
  private readonly ticker: ReturnType<typeof setInterval>

  constructor({ group, carrier, limits = LIMITS, observers = NOBODY }: GroupClientOptions) {
    this.system = group.system
    this.limits = limits
    this.group = group
    const signer = carrier.makeKey?.()
    this.signer = signer
    this.key = new ClientKey({
      scope: { digest: group.digest, epoch: 0 },
      publicKey: signer?.publicKey ?? randomBytes(KEY_BYTES),
      signer,
      random: randomBytes
    })
    const client = { group: group.name, key: hexOf(this.key.publicKey) }
    this.observed = observeClient(observers, client)
    this.hello = {
      version: LINK_VERSION,
      group: group.name,
      groupDigest: group.digest,
      node: 0,
      clientKey: this.key.publicKey,
      storeId: NO_BYTES,
      incarnation: randomBytes(INCARNATION_BYTES),
      horizonMs: 0,
      fetchToken: NO_BYTES
    }
    this.links = new HostLinks({
      limits,
      clock: makeSteadyClock(),
      random: (below) => Math.floor(Math.random() * below),
      dial: (address, events) => carrier.dial(address, events),
      wake: () => this.turn.wake(),
      broke: () => {}
    })
    this.core = new CallCore({
      system: group.system,
      limits,
      ports: {
        clock: this.clock,
        sessionKey: (openedMs) => this.key.session(openedMs),
        send: (node, message) => this.send(node, message),
        random: (below) => Math.floor(Math.random() * below),
        wake: (atMs) => this.wake(atMs),
        watch: this.observed.watch
      }
    })
    this.unobserve = this.observed.begin(this.core)
    for (const [node, address] of group.addresses) {
      this.channels.set(node, this.channel(node, address, carrier))
    }
    this.ticker = setInterval(() => this.tick(), limits.tickMs)
  }

  /** `name`: "package.Service/Method" of `spec.method`, which the unary transport needs. */
  start<R, A>(spec: CallSpec<R, A> & { readonly name?: string }): () => void {
    if (spec.name !== undefined) this.names.set(spec.method, spec.name)
    if (spec.signed === true) this.signed.add(spec.method)
    const id = this.core.start(spec)
    return () => this.core.cancel(id)
  }

  /** Fails what is open with `cancelled` and lets go of everything. */
  close(): void {
    this.core.close()
    this.unobserve()
    clearTimeout(this.wakeTimer)
    clearInterval(this.ticker)
    for (const channel of this.channels.values()) channel.close()
    this.channels.clear()
    this.links.close(CLIENT_ENDS)
  }

  private channel(node: NodeId, address: string, carrier: Carrier["Service"]): NodeChannel {
    const { core, hello, limits } = this
    const check = (theirs: Hello): Goodbye | undefined =>
      checkHello(hello, theirs) ?? wrongNode(node, address, theirs)
    const up = (theirs: Hello): void => {
      this.observed.tap?.link("up", node)
      core.linkUp(node, theirs.horizonMs)
    }
    const down = (why: string, goodbye?: Goodbye): void => {
      this.observed.tap?.link("down", node)
      if (goodbye === undefined || !FOR_GOOD.has(goodbye.code)) core.linkDown(node, why)
      else core.linkRefused(node, goodbye.code, goodbye.detail)
    }
    const reply = (it: Reply): void => {
      this.observed.tap?.received(node, it)
      core.onReply(node, it)
    }
    const methodName = (id: MethodId): string | undefined => this.names.get(id)
    const options = { address, hello, limits, check, methodName, up, down, reply }
    if (carrier.unary !== undefined) return carrier.unary(options)
    const { links, group, signer } = this
    const identity = { signer, suite: carrier.suite }
    return new LinkChannel({ ...options, links, group, node, identity })
  }

  private send(node: NodeId, message: ClientMessage): boolean {
    const isSigned = message.kind === "request" && this.signed.has(message.method)
    const taken = this.channels.get(node)?.send(isSigned ? this.key.prove(message) : message)
    if (taken === true) this.observed.tap?.sent(node, message)
    return taken ?? false
  }

  private wake(atMs: number): void {
    clearTimeout(this.wakeTimer)
    const waitMs = Math.max(0, atMs - this.clock.nowMs())
    this.wakeTimer = setTimeout(() => this.core.tick(), waitMs)
  }

  private tick(): void {
    this.links.tick()
    for (const channel of this.channels.values()) channel.tick()
  }
}

interface LinkChannelOptions extends NodeChannelOptions {
  readonly links: HostLinks
  readonly group: Group["Service"]
  readonly node: NodeId
  readonly identity: Identity
}

const CLIENT_ENDS: Goodbye = { code: "cancelled", detail: "the client ends" }

/** The way to one node over a link that is dialled again and again. */
class LinkChannel implements NodeChannel {
  private readonly keep: Keep
  private channel: Channel | undefined

  constructor(options: LinkChannelOptions) {
    const { address, hello, links, group, node, identity } = options
    const handshake = () => dialsMember(group, node, identity)
    this.keep = links.keep(
      { name: address, address, handshake },
      {
        hello: () => hello,
        check: (theirs, { session }) =>
          options.check(theirs) ?? checkIdentity(group, theirs, session),
        opened: (channel, theirs) => {
          this.channel = channel
          options.up(theirs)
        },
        receive: (channel, message: Message) => {
          options.reply(message as Reply)
          channel.release()
        },
        closed: (channel, end) => {
          if (this.channel !== channel && this.channel !== undefined) return
          this.channel = undefined
          options.down(end.text, end.goodbye)
        },
        failed: (end) => options.down(end.text, end.goodbye)
      }
    )
  }
  send(message: ClientMessage): boolean {
    if (this.channel === undefined) return false
    this.channel.send(message)
    return true
  }
  tick(): void {}
  close(): void {
    this.keep.close(CLIENT_ENDS)
  }
}

/** The node behind an address must be the one that the group file names. */
export const wrongNode = (node: NodeId, address: string, theirs: Hello): Goodbye | undefined =>
  theirs.node === node
    ? undefined
    : {
        code: "wrong_group",
        detail: `${address} is node ${theirs.node}, not ${node}: check the group file's addresses`
      }
