/**
 * A group on real sockets: every node behind its own port, a fault proxy on each way from one node
 * to another and from clients to each node. Its hosts are at hand.
 */
import type { DescService } from "@bufbuild/protobuf"
import { Context, Effect } from "effect"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { hexOf } from "../../src/base/bytes.ts"
import type { HostWatch } from "../../src/link/hostWatch.ts"
import type { LinkStrength } from "../../src/link/linkHello.ts"
import { LogCore } from "../../src/link/logCore.ts"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import type { Signer } from "../../src/link/ports.ts"
import type { FaultModel } from "../../src/quorum/FaultModel.ts"
import type { Carrier, Listener } from "../../src/runtime/Carrier.ts"
import { type Group, parseGroup } from "../../src/runtime/Group.ts"
import { GroupNode } from "../../src/runtime/GroupNode.ts"
import { Host, STOPPING } from "../../src/runtime/Host.ts"
import { GroupClient } from "../../src/runtime/internal/groupClient.ts"
import { makeClock, randomBytes } from "../../src/runtime/internal/random.ts"
import { NOBODY } from "../../src/runtime/internal/observed.ts"
import { Runs } from "../../src/runtime/internal/runs.ts"
import { Strangers } from "../../src/runtime/internal/strangers.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { nodeSha256 } from "../../src/runtime/platform-node/nodeCrypto.ts"
import { makeSigner } from "../../src/runtime/platform-node/nodeKeys.ts"
import { openUnaryChannel } from "../../src/runtime/platform-node/unaryCarrier.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { FaultProxy } from "./faultProxy.ts"
import { freePorts } from "./processes.ts"

/** `unary`: clients make unary calls; `unary alone`: members too. Else there are links. */
export type RealTransport = "link" | "unary" | "unary alone"

export interface RealGroupOptions {
  readonly transport: RealTransport
  readonly nodes: number
  readonly model: FaultModel
  readonly spec: ProtocolSpec
  readonly descriptor: DescService
  readonly limits?: Partial<Limits>
  /** Default: plaintext. With others nodes have keys. */
  readonly links?: LinkStrength
  /** Of the proxies. */
  readonly seed: number
  /** What a life of a node is watched by, and what stands over its protocol and log. */
  readonly watch: (id: NodeId) => HostWatch
  readonly over: (spec: ProtocolSpec, id: NodeId) => ProtocolSpec
  readonly log: (log: LogCore, id: NodeId) => LogCore
  /** When a disk has synced what was written. */
  readonly synced: (done: () => void) => void
  readonly halted: (id: NodeId, reason: string) => void
}

interface Life {
  readonly host: GroupNode
  readonly listener: Listener
  readonly log: LogCore
  readonly strangers: Strangers
}

/** Who dials: a node, or any client. */
type From = NodeId | "client"
const nameOf = (from: From, to: NodeId): string => `${from}>${to}`
/** Tests are in a hurry. */
const HASTY: Partial<Limits> = {
  // A bit that turns in the length of a frame of HTTP/2 leaves a link waiting for what never comes.
  keepAliveMs: 400,
  silenceMsMax: 2_000,
  redialMsMin: 10,
  redialMsMax: 200,
  redialRefusedMsMax: 400
}

export class RealGroup {
  readonly limits: Limits
  readonly proxies = new Map<string, FaultProxy>()
  readonly lives = new Map<NodeId, Life>()
  readonly printed: Array<string> = []
  private readonly options: RealGroupOptions
  private readonly group: Group["Service"]
  private readonly signers: ReadonlyArray<Signer | undefined>
  private readonly disks = new Map<NodeId, MemoryDisk>()
  private readonly clients: Array<GroupClient> = []

  private constructor(
    options: RealGroupOptions,
    group: Group["Service"],
    signers: ReadonlyArray<Signer | undefined>
  ) {
    this.options = options
    this.signers = signers
    this.group = group
    this.limits = { ...LIMITS, ...HASTY, ...options.limits }
  }

  /** Proxies are there; no node runs yet. */
  static async open(options: RealGroupOptions): Promise<RealGroup> {
    const ports = await freePorts(options.nodes)
    const { links = "plaintext" } = options
    const signers = ports.map(() => (links === "plaintext" ? undefined : makeSigner()))
    const nodes = ports.map((port, i) => {
      const key = signers[i] && { key: hexOf(signers[i].publicKey) }
      return { id: i + 1, address: `127.0.0.1:${port}`, ...key }
    })
    const transport = options.transport === "unary alone" ? "unary" : "link"
    const config = { group: "real", faults: options.model, durable: true, links, transport, nodes }
    const group = parseGroup(config, "test")
    if (!("system" in group)) throw group
    const real = new RealGroup(options, group, signers)
    for (const [to, target] of group.addresses) {
      for (const from of [...group.system.members, "client" as const]) {
        if (from === to) continue
        const seed = options.seed * 1_000 + real.proxies.size
        real.proxies.set(nameOf(from, to), await FaultProxy.open({ target, seed }))
      }
    }
    return real
  }

  get ids(): ReadonlyArray<NodeId> {
    return this.group.system.members
  }

  /** Where a node listens itself, `host:port`. */
  address(id: NodeId): string {
    return this.group.addresses.get(id)!
  }

  /** Proxies on the ways to and from a node, between nodes or of clients too. */
  around(id: NodeId, clients = false): ReadonlyArray<FaultProxy> {
    return [...this.proxies].flatMap(([name, proxy]) => {
      const [from, to] = name.split(">")
      const touches = from === String(id) || to === String(id)
      return touches && (clients || from !== "client") ? [proxy] : []
    })
  }

  /** A new process over the node's disk. */
  async start(id: NodeId): Promise<void> {
    const { options, group, limits } = this
    const disk = this.disks.get(id) ?? new MemoryDisk({ later: options.synced })
    const init = !this.disks.has(id)
    this.disks.set(id, disk)
    const storeId = randomBytes(16)
    const log = LogCore.open({ disk, limits, init, storeId, owner: `node ${id}` })
    if (!(log instanceof LogCore)) throw new Error(`${log.where}: ${log.what}`)
    const runs = new Runs(Context.empty())
    const carrier = this.carrier(id)
    const clock = makeClock()
    const process = new Host({
      ...{ limits, clock, carrier, name: `node ${id}` },
      signer: this.signers[id - 1],
      print: (line) => void this.printed.push(line)
    })
    const host = new GroupNode({
      host: process,
      group,
      self: id,
      protocols: [options.over(options.spec, id)],
      limits,
      clock,
      sha256: nodeSha256,
      carrier,
      log: options.log(log, id),
      storeId: log.storeId,
      isEffect: Effect.isEffect,
      run: (token, effect, ended) => runs.start(token, effect, ended),
      interrupt: (token) => runs.interrupt(token),
      halted: (reason) => options.halted(id, reason),
      watch: options.watch(id)
    })
    const invalid = host.boot()
    if (invalid !== undefined) throw new Error(`${invalid.where}: ${invalid.what}`)
    const protocols = [options.spec]
    const strangers = new Strangers({
      ...{ node: host, group, self: id, carrier, limits, protocols, observers: NOBODY }
    })
    const listener = await Effect.runPromise(
      carrier.listen(group.addresses.get(id)!, {
        accept: (connection) => process.accept(connection),
        services: [options.descriptor],
        unary: (call, done) => strangers.call(call, done),
        greet: (theirs) => strangers.greet(theirs),
        fetch: host.fetches.serve,
        peer: (ends) => {
          const peer = host.ways.peer(ends)
          return "address" in peer ? { ...peer, address: this.route(id, peer.address) } : peer
        },
        garbage: (remote, what) => process.garbage(remote, what)
      })
    )
    host.start()
    this.lives.set(id, { host, listener, log, strangers })
  }

  /** As a process ends that is killed: what it had written stays, nobody is told. */
  async kill(id: NodeId): Promise<void> {
    const life = this.lives.get(id)
    if (life === undefined) return
    this.lives.delete(id)
    for (const proxy of this.around(id, true)) proxy.cut()
    life.strangers.close()
    life.host.stop()
    life.host.host.close(STOPPING)
    await Effect.runPromise(life.listener.close)
    // Writes that the disk has begun it ends, before another process reads them.
    while (life.log.durable < life.log.appended) await new Promise(setImmediate)
  }

  /** @param change of the carrier it dials with, or of the group as it sees it */
  client(change: { carrier?: Partial<Carrier["Service"]>; group?: object } = {}): GroupClient {
    const { limits } = this
    const group = { ...this.group, ...change.group }
    const carrier = { ...this.carrier("client"), ...change.carrier }
    const client = new GroupClient({ group, carrier, limits })
    this.clients.push(client)
    return client
  }

  async close(): Promise<void> {
    for (const client of this.clients) client.close()
    await Promise.all([...this.lives.keys()].map((id) => this.kill(id)))
    await Promise.all([...this.proxies.values()].map((proxy) => proxy.close()))
  }

  /** By way of which proxy an address is reached. */
  private route(from: From, address: string): string {
    const to = this.ids.find((id) => this.group.addresses.get(id) === address)!
    return this.proxies.get(nameOf(from, to))?.address ?? address
  }

  /** Production's, but that it dials by way of the proxies. */
  private carrier(from: From): Carrier["Service"] {
    const real = makeConnectCarrier(this.limits)
    const route = (address: string): string => this.route(from, address)
    const dialling: Carrier["Service"] = {
      ...real,
      dial: (address, events) => real.dial(route(address), events),
      dialUnary: (peer, events) =>
        real.dialUnary!({ ...peer, address: route(peer.address) }, events),
      fetches: (address, limits) => real.fetches!(route(address), limits)
    }
    if (from !== "client" || this.options.transport === "link") return dialling
    return {
      ...dialling,
      unary: (options) => openUnaryChannel({ ...options, address: route(options.address) })
    }
  }
}
