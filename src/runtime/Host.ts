/**
 * A node's host: the host core, the links to the other members and to clients, and the turns in
 * which they work. Plain synchronous code; `Replica` owns it. Between members the lower id dials.
 */
import { hexOf, NO_BYTES } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { NodeId } from "../base/NodeId.ts"
import { type Goodbye, type Hello, INCARNATION_BYTES, LINK_VERSION } from "../link/frame.ts"
import { checkHello, checkStore } from "../link/hello.ts"
import { HostCore } from "../link/hostCore.ts"
import type { HostWatch } from "../link/hostWatch.ts"
import type { LogCore, StoreInvalid } from "../link/logCore.ts"
import type { Clock } from "../link/ports.ts"
import type { Proofs } from "../link/proofs.ts"
import type { Route } from "../server/Input.ts"
import type { ClientMessage, Message, OneWay, PeerMessage, Reply } from "../server/Message.ts"
import type { IsEffect, ProtocolSpec } from "../server/Protocol.ts"
import type { Carrier, Connection, ConnectionEvents } from "./Carrier.ts"
import type { Group } from "./Group.ts"
import { Dialer } from "./internal/dialer.ts"
import { wrongNode } from "./internal/groupClient.ts"
import { isHealthy, Link, type LinkClosed, type LinkOwner } from "./internal/link.ts"
import { randomBytes } from "./internal/random.ts"
import { Reporter } from "./internal/reporter.ts"
import type { Ran } from "./internal/runs.ts"
import { Turn } from "./internal/turn.ts"

export interface HostOptions {
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
  readonly run: (token: number, effect: unknown, ended: (result: Ran) => void) => void
  readonly interrupt: (token: number) => void
  /** In a group with keys. */
  readonly proofs?: Proofs
  /** Looks on. */
  readonly watch?: HostWatch | undefined
  /** One line for the operator. */
  readonly print: (line: string) => void
  /** The node went silent for good: it must be ended. */
  readonly halted: (reason: string) => void
}

/** Where replies of a route go. */
export interface RouteEnd {
  readonly send: (reply: Reply) => void
}

/** Nobody waits there. */
const NO_ROUTE: Route = 0
/** Node's timers reach no further; woken too early, the host core asks again. */
const DELAY_MS_MAX = 2 ** 31 - 1
const STOPPING: Goodbye = { code: "not_ready", detail: "the node stops" }

export class Host {
  readonly core: HostCore
  /** What the operator may want to know. */
  readonly counters = { linksRefused: 0, linksCut: 0, garbage: 0, ignored: 0 }
  private readonly options: HostOptions
  private readonly turn: Turn
  private readonly reporter: Reporter
  private readonly incarnation = randomBytes(INCARNATION_BYTES)
  private readonly links = new Set<Link>()
  private readonly peers = new Map<NodeId, Link>()
  /** The store that each member first showed to this node, where the group is durable. */
  private readonly stores = new Map<NodeId, string>()
  private readonly routes = new Map<Route, RouteEnd>()
  private readonly dialers: Array<Dialer> = []
  private routeCount = 0
  private ticker: ReturnType<typeof setInterval> | undefined
  private alarm: ReturnType<typeof setTimeout> | undefined
  private stopping = false

  /** @throws ProtocolInvalid */
  constructor(options: HostOptions) {
    this.options = options
    const { clock } = options
    this.turn = new Turn(() => this.core.drain())
    this.reporter = new Reporter(
      (line) => options.print(`node ${options.self}: ${line}`),
      clock.nowMs
    )
    this.core = new HostCore({
      self: options.self,
      system: options.group.system,
      protocols: options.protocols,
      limits: options.limits,
      log: options.log,
      isEffect: options.isEffect,
      ...(options.proofs && { proofs: options.proofs }),
      ...(options.watch && { watch: options.watch }),
      ports: {
        clock,
        sendToPeer: (peer, message) => this.peers.get(peer)?.send(message),
        sendToClient: (route, reply) => this.routes.get(route)?.send(reply),
        run: (token, effect) =>
          options.run(token, effect, (result) => this.core.ran(token, result)),
        interrupt: options.interrupt,
        report: (what, detail) => {
          if (what === "ignored") this.counters.ignored++
          else this.reporter.say(`${what}: ${detail}`)
        },
        halt: options.halted,
        wake: () => this.turn.wake(),
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

  /** Dials the members with a higher id, and lets time pass. After `boot`. */
  start(): void {
    const { group, self, limits, carrier } = this.options
    for (const [node, address] of group.addresses) {
      if (node <= self) continue
      const dialer: Dialer = new Dialer({
        carrier,
        address,
        limits,
        makeLink: () => this.makeLink({ node, address, dialer })
      })
      this.dialers.push(dialer)
      dialer.dial()
    }
    this.ticker = setInterval(() => this.tick(), limits.tickMs)
  }

  /** Somebody dialled this node. */
  accept(connection: Connection): ConnectionEvents {
    const link = this.makeLink(undefined)
    link.begin(connection)
    return link.events
  }

  garbage(remote: string, what: string): void {
    this.counters.garbage++
    this.reporter.say(`dropped a connection from ${remote}: ${what}`, `garbage: ${what}`)
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
  }

  /** Takes no new links, and dials no more. */
  refuse(): void {
    this.stopping = true
  }

  /** Ends all links, telling why, and lets nothing out any more. */
  stop(): void {
    this.stopping = true
    clearInterval(this.ticker)
    clearTimeout(this.alarm)
    for (const dialer of this.dialers) dialer.stop(STOPPING)
    this.core.stop()
    for (const link of [...this.links]) link.cut(STOPPING)
    this.routes.clear()
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
      horizonMs: this.core.horizonMs
    }
  }

  private makeLink(dialled: Dialled | undefined): Link {
    const hello = this.hello()
    const owner: LinkOwner = {
      limits: this.options.limits,
      turn: this.turn,
      nowMs: this.options.clock.nowMs,
      check: (_link, theirs) => checkHello(hello, theirs) ?? this.check(theirs, dialled),
      opened: (link, theirs) => {
        dialled?.dialer.opened()
        this.opened(link, theirs)
      },
      receive: (link, message) => this.receive(link, message),
      closed: (link, why) => {
        this.closed(link, why, dialled?.address)
        dialled?.dialer.closed(why)
      }
    }
    const link = new Link(owner, hello)
    this.links.add(link)
    return link
  }

  private check(theirs: Hello, dialled: Dialled | undefined): Goodbye | undefined {
    const { group, self, limits } = this.options
    if (this.stopping) return STOPPING
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
    if (theirs.node < self) return checkStore(this.stores.get(theirs.node), theirs)
    return {
      code: "conflict",
      detail: `node ${theirs.node} dialled node ${self}: of two members the lower id dials`
    }
  }

  private opened(link: Link, theirs: Hello): void {
    if (theirs.node === 0) {
      link.id = this.openRoute(link)
      link.client = hexOf(theirs.clientKey)
      return
    }
    if (this.options.group.durable && !this.stores.has(theirs.node)) {
      this.stores.set(theirs.node, hexOf(theirs.storeId))
    }
    const old = this.peers.get(theirs.node)
    if (old !== undefined) {
      mark("host: link displaced")
      old.cut({ code: "replaced", detail: "a newer link has taken its place" })
    }
    link.id = theirs.node
    this.peers.set(theirs.node, link)
    this.core.peerUp(theirs.node, hexOf(theirs.storeId))
  }

  private receive(link: Link, message: Message): void {
    // The link core has seen to it that members and clients say what is theirs to say.
    const { id, client } = link
    if (client !== "") this.core.fromClient(id, message as ClientMessage, client)
    else this.core.receive(link.id, message as PeerMessage)
  }

  private closed(link: Link, why: LinkClosed, address: string | undefined): void {
    this.links.delete(link)
    if (link.theirs?.node === 0) this.closeRoute(link.id)
    else if (link.id !== 0 && this.peers.get(link.id) === link) {
      this.peers.delete(link.id)
      this.core.peerDown(link.id)
    }
    const goodbye = why.goodbye
    if (goodbye === undefined || isHealthy(goodbye)) return
    if (link.theirs === undefined) this.counters.linksRefused++
    else this.counters.linksCut++
    const by = why.byPeer ? "refused by" : "refused"
    // Who dialled this node comes from another port each time; the text names who it is.
    const cause = `${by} ${address ?? "a dialler"}: ${why.text}`
    this.reporter.say(`link ${by} ${link.remote}: ${why.text}`, cause)
  }

  private wakeAt(atMs: number): void {
    clearTimeout(this.alarm)
    // Node warns of a negative delay: the time may have come while this node was at work.
    const delayMs = Math.max(0, Math.min(atMs - this.options.clock.nowMs(), DELAY_MS_MAX))
    this.alarm = setTimeout(() => this.core.timeUp(), delayMs)
  }

  private tick(): void {
    for (const link of this.links) link.tick()
    this.core.tick()
  }
}

interface Dialled {
  readonly node: NodeId
  readonly address: string
  readonly dialer: Dialer
}
