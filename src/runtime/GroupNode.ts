/**
 * One node of a group on its host: the host core, and the channels to the other members and to
 * clients. Plain synchronous code; `Replica` owns it.
 */
import type { Sha256 } from "../base/blob.ts"
import { hexOf, NO_BYTES } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Channel, LinkEnd } from "../link/channel.ts"
import type { Goodbye } from "../link/goodbye.ts"
import {
  FETCH_TOKEN_BYTES,
  type Hello,
  INCARNATION_BYTES,
  LINK_VERSION
} from "../link/groupHello.ts"
import { checkHello, checkStore } from "../link/hello.ts"
import { HostCore } from "../link/hostCore.ts"
import type { HostWatch } from "../link/hostWatch.ts"
import type { KeepPort } from "../link/hostLinks.ts"
import type { LogCore, StoreInvalid } from "../link/logCore.ts"
import type { Penalty, PenaltyOptions } from "../link/penalties.ts"
import type { Clock } from "../link/ports.ts"
import type { Proofs } from "../link/proofs.ts"
import { protocolsDigest } from "../link/protocolsDigest.ts"
import type { EpochStanding } from "../server/epoch.ts"
import type { Route } from "../server/Input.ts"
import type { ClientMessage, Message, OneWay, PeerMessage, Reply } from "../server/Message.ts"
import type { IsEffect, ProtocolSpec } from "../server/Protocol.ts"
import type { Carrier } from "./Carrier.ts"
import type { Group } from "./Group.ts"
import { type Host, STOPPING } from "./Host.ts"
import { wrongNode } from "./internal/epochCalls.ts"
import { HostFetches, passesOf } from "./internal/hostFetches.ts"
import { checkIdentity, dials, dialsMember } from "./internal/identity.ts"
import { makeSteadyClock, randomBytes } from "./internal/random.ts"
import type { Ran } from "./internal/runs.ts"
import { Ways } from "./internal/ways.ts"

export interface NodeOptions {
  readonly host: Host
  readonly group: Group["Service"]
  readonly self: NodeId
  readonly protocols: ReadonlyArray<ProtocolSpec>
  readonly limits: Limits
  readonly clock: Clock
  readonly carrier: Carrier["Service"]
  readonly log: LogCore | undefined
  /** 16 bytes; of the log where there is one. */
  readonly storeId: Uint8Array
  readonly isEffect: IsEffect
  /** Absent: the one that needs no host. */
  readonly sha256?: Sha256 | undefined
  readonly run: (token: number, effect: unknown, ended: (result: Ran) => void) => void
  readonly interrupt: (token: number) => void
  readonly penalties?: PenaltyOptions | undefined
  /** In a group with keys. */
  readonly proofs?: Proofs
  /** Looks on. */
  readonly watch?: HostWatch | undefined
  /** Where its epoch stands at a member, or durably here; absent: the group has no other. */
  readonly heard?: (of: NodeId, standing: EpochStanding) => void
  /** The member has no such epoch any more. */
  readonly gone?: (member: NodeId) => void
  /** The node went silent for good: it must be ended. */
  readonly halted: (reason: string) => void
}

/** Where replies of a route go. */
export interface RouteEnd {
  readonly send: (reply: Reply) => void
  /** Of a link. */
  readonly close?: (goodbye: Goodbye) => void
}

/** Nobody waits there. */
const NO_ROUTE: Route = 0
/** Node's timers reach no further; woken too early, the host core asks again. */
const DELAY_MS_MAX = 2 ** 31 - 1

export class GroupNode {
  readonly core: HostCore
  readonly fetches: HostFetches
  readonly ways: Ways
  readonly group: Group["Service"]
  readonly host: Host
  private readonly options: NodeOptions
  private ignored = 0
  private readonly protocols: Uint8Array
  private readonly incarnation = randomBytes(INCARNATION_BYTES)
  /** Takes back what the host's links were given. */
  private readonly leaves: Array<() => void> = []
  /** Channels to members and clients, open now. */
  private readonly channels = new Set<Channel>()
  private readonly peers = new Map<NodeId, Channel>()
  /** The store that each member first showed to this node, where the group is durable. */
  private readonly stores = new Map<NodeId, string>()
  /** Members that are granted nothing more until then. */
  private readonly slowed = new Map<NodeId, number>()
  private readonly routes = new Map<Route, RouteEnd>()
  private routeCount = 0
  private alarm: ReturnType<typeof setTimeout> | undefined
  private stopping = false

  /** @throws ProtocolInvalid */
  constructor(options: NodeOptions) {
    this.options = options
    const { clock, host } = options
    this.host = host
    this.group = options.group
    this.protocols = protocolsDigest(options.protocols)
    this.ways = new Ways(options)
    const { group, self, limits, carrier } = options
    this.fetches = new HostFetches({
      ...{ group, self, limits, carrier },
      passes: passesOf(this.peers, carrier.suite),
      serve: (peer, range) => this.core.fetches.serve(peer, range),
      answered: (id, result) => this.core.fetches.answered(id, result)
    })
    this.core = new HostCore({
      self: options.self,
      system: options.group.system,
      protocols: options.protocols,
      limits: options.limits,
      log: options.log,
      isEffect: options.isEffect,
      announced: options.group.epoch > 1,
      ...(options.sha256 && { sha256: options.sha256 }),
      ...(options.proofs && { proofs: options.proofs }),
      penalties: options.penalties,
      ...(options.watch && { watch: options.watch }),
      ports: {
        clock,
        steady: makeSteadyClock(),
        sendToPeer: (peer, message) => this.peers.get(peer)?.send(message),
        sendToClient: (route, reply) => this.routes.get(route)?.send(reply),
        run: (token, effect) =>
          options.run(token, effect, (result) => this.core.ran(token, result)),
        interrupt: options.interrupt,
        ask: this.fetches.ask,
        report: (what, detail, about) => {
          if (what === "ignored") this.ignored++
          else host.reporter.report(what, detail, { ...about, group: group.name, node: self })
        },
        halt: options.halted,
        penalise: (penalty) => this.penalise(penalty),
        ...(options.heard && { epoch: options.heard }),
        wake: () => host.wake(this),
        wakeAt: (atMs) => this.wakeAt(atMs)
      }
    })
  }

  boot(): StoreInvalid | undefined {
    const invalid = this.core.boot()
    if (this.options.group.durable)
      for (const [node, storeId] of this.core.engine.stores) this.stores.set(node, storeId)
    return invalid
  }

  /** What the operator may want to know; of links, those of all the host's groups. */
  get counters() {
    return { ...this.host.counters, ignored: this.ignored }
  }

  /** Joins its host, and opens channels to the members that it is to dial. After `boot`. */
  start(): void {
    const { host, group } = this
    const { self } = this.options
    host.join(this)
    this.leaves.push(host.links.offer(group.name, this.port(undefined)))
    for (const [node, address] of group.addresses) {
      if (node === self || !dials(group, self, node)) continue
      const handshake = () => dialsMember(group, node, host.identity)
      const target = { ...this.ways.to(node, address), handshake }
      const keep = host.links.keep(target, this.port({ node, address }))
      this.leaves.push(() => keep.close(STOPPING))
    }
    host.wake(this)
  }

  /** The host's turn. */
  drain(): void {
    this.core.drain()
    this.release()
  }
  /** The host's tick. */
  tick(): void {
    this.core.tick()
  }

  /** A caller that is no link, e.g. one unary call. */
  openRoute(end: RouteEnd): Route {
    const route = ++this.routeCount
    this.routes.set(route, end)
    return route
  }
  oneWay(message: OneWay): void {
    this.core.fromClient(NO_ROUTE, message)
  }
  fromRoute(route: Route, message: ClientMessage): void {
    this.core.fromClient(route, message)
  }
  closeRoute(route: Route): void {
    this.routes.delete(route)
    this.core.clientGone(route)
  }

  /** Takes no new channels. */
  refuse(): void {
    this.stopping = true
  }

  /** Ends its channels, telling why, and lets nothing out any more. */
  stop(why: Goodbye = STOPPING): void {
    this.refuse()
    clearTimeout(this.alarm)
    this.core.stop()
    this.fetches.stop()
    for (const leave of this.leaves.splice(0)) leave()
    for (const channel of [...this.channels]) channel.close(why)
    this.host.leave(this)
    this.routes.clear()
  }

  /** The channel to a member, where it is open, for telemetry. */
  channelTo(member: NodeId): Channel | undefined {
    return this.peers.get(member)
  }

  /** Clients connected now, for tests and telemetry. */
  get clientCount(): number {
    return this.routes.size
  }

  hello(): Hello {
    const { group, self, storeId } = this.options
    return {
      version: LINK_VERSION,
      group: group.name,
      groupDigest: group.digest,
      node: self,
      clientKey: NO_BYTES,
      storeId,
      incarnation: this.incarnation,
      horizonMs: this.core.horizonMs,
      fetchToken: NO_BYTES,
      protocols: this.protocols
    }
  }

  private port(dialled: Dialled | undefined): KeepPort {
    return {
      hello: () => ({ ...this.hello(), fetchToken: randomBytes(FETCH_TOKEN_BYTES) }),
      check: (theirs, { session, unary }) =>
        checkHello(this.hello(), theirs) ??
        this.ways.check(theirs, unary) ??
        checkIdentity(this.options.group, theirs, session) ??
        this.check(theirs, dialled),
      opened: (channel, theirs) => this.opened(channel, theirs),
      receive: (channel, message) => this.receive(channel, message),
      closed: (channel, end) => {
        this.closed(channel, end)
        const member = dialled?.node ?? channel.theirs?.node
        if (end.by === "peer" && end.goodbye?.code === "epoch_gone" && member) {
          this.options.gone?.(member)
        }
      },
      failed: () => {}
    }
  }

  private check(theirs: Hello, dialled: Dialled | undefined): Goodbye | undefined {
    const { group, self, limits } = this.options
    if (this.stopping) return STOPPING
    const out = this.core.refuses(theirs.node)
    if (out !== undefined) return { code: out.banned ? "banned" : "overloaded", detail: out.detail }
    if (dialled !== undefined) {
      const wrong = wrongNode(dialled.node, dialled.address, theirs)
      return wrong ?? checkStore(this.stores.get(theirs.node), theirs)
    }
    if (theirs.node === 0) {
      if (this.routes.size < limits.routesMax) return undefined
      return { code: "overloaded", detail: `${limits.routesMax} clients are connected` }
    }
    if (group.system.rank(theirs.node) < 0) {
      return {
        code: "wrong_group",
        detail: `node ${theirs.node} is no member of group "${group.name}"`
      }
    }
    if (dials(group, theirs.node, self)) return checkStore(this.stores.get(theirs.node), theirs)
    const which = group.keys.size > 0 ? "lower key" : "lower id"
    return {
      code: "conflict",
      detail: `node ${theirs.node} dialled node ${self}: of two members the ${which} dials`
    }
  }

  private penalise(penalty: Penalty): void {
    switch (penalty.kind) {
      case "slow":
        return void this.slowed.set(penalty.member, penalty.untilMs)
      case "cut": {
        const code = penalty.untilMs === Number.POSITIVE_INFINITY ? "banned" : "overloaded"
        return this.peers.get(penalty.member)?.close({ code, detail: penalty.detail })
      }
      case "cutClient":
        return this.routes
          .get(penalty.route)
          ?.close?.({ code: "overloaded", detail: penalty.detail })
    }
  }

  private opened(channel: Channel, theirs: Hello): void {
    this.channels.add(channel)
    if (theirs.node === 0) {
      channel.id = this.openRoute(channel)
      channel.client = hexOf(theirs.clientKey)
      return
    }
    if (this.options.group.durable && !this.stores.has(theirs.node)) {
      this.stores.set(theirs.node, hexOf(theirs.storeId))
    }
    const old = this.peers.get(theirs.node)
    channel.id = theirs.node
    this.peers.set(theirs.node, channel)
    if (old !== undefined) {
      mark("host: link displaced")
      old.close({ code: "replaced", detail: "a newer link has taken its place" })
    }
    this.core.peerUp(theirs.node, hexOf(theirs.storeId))
  }

  private receive(channel: Channel, message: Message): void {
    // The channel has seen to it that members and clients say what is theirs to say.
    const { id, client } = channel
    if (client !== "") this.core.fromClient(id, message as ClientMessage, client)
    else this.core.receive(id, message as PeerMessage)
  }

  private closed(channel: Channel, end: LinkEnd): void {
    if (this.channels.delete(channel)) {
      if (channel.theirs!.node === 0) this.closeRoute(channel.id)
      else if (this.peers.get(channel.id) === channel) {
        this.peers.delete(channel.id)
        this.core.peerDown(channel.id)
        if (isBad(channel, end)) {
          this.core.penalties.fault(channel.id, "bad_link", this.options.clock.nowMs())
        }
      }
    }
    // The end of a link is told once, not for each of its channels.
    if (end.what === "channel") this.host.tell(channel.remote, end, channel.id !== 0)
  }

  /** What came in was worked off: those who sent it may send more. */
  private release(): void {
    if (!this.core.caughtUp) return
    for (const channel of this.channels) if (!this.isSlowed(channel)) channel.release()
  }

  /** It sent more than its rate: what it was granted before is all it may send for now. */
  private isSlowed({ id, client }: Channel): boolean {
    const untilMs = client === "" ? this.slowed.get(id) : undefined
    if (untilMs === undefined) return false
    if (this.options.clock.nowMs() < untilMs) return true
    this.slowed.delete(id)
    return false
  }

  private wakeAt(atMs: number): void {
    clearTimeout(this.alarm)
    // Node warns of a negative delay: the time may have come while this node was at work.
    const delayMs = Math.max(0, Math.min(atMs - this.options.clock.nowMs(), DELAY_MS_MAX))
    this.alarm = setTimeout(() => this.core.timeUp(), delayMs)
  }
}

/** What came over a link, from whom it proves to be, was none of ours. */
const isBad = ({ session }: Channel, { what, by, goodbye }: LinkEnd): boolean => {
  const code = goodbye?.code
  const ours = what === "link" && by === "us" && session?.proven !== undefined
  return ours && (code === "malformed" || code === "too_large")
}

interface Dialled {
  readonly node: NodeId
  readonly address: string
}
