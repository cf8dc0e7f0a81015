/**
 * Hosts by hand: the host core and log of production, one queue per pair, and disks that end their
 * writes when the hosts are let run. A node without a disk belongs to a group without durability.
 */
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import type { Hello } from "../../src/link/groupHello.ts"
import { hexOf } from "../../src/base/bytes.ts"
import { checkStore } from "../../src/link/hello.ts"
import { HostCore } from "../../src/link/hostCore.ts"
import { LogCore, type StoreInvalid } from "../../src/link/logCore.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { laneOfBytes } from "../../src/server/laneKey.ts"
import type { PeerMessage, Reply, Request } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { SteppedDisk } from "./logs.ts"

const NONE = new Uint8Array(0)
const HELLO: Hello = {
  version: 1,
  group: "demo",
  groupDigest: NONE,
  node: 0,
  clientKey: NONE,
  storeId: NONE,
  incarnation: NONE,
  horizonMs: 0,
  fetchToken: NONE
}

interface Life {
  readonly core: HostCore
  readonly storeId: Uint8Array
}

export class Hosts {
  readonly ids: ReadonlyArray<NodeId>
  readonly disks = new Map<NodeId, SteppedDisk>()
  readonly replies: Array<{ readonly from: NodeId; readonly reply: Reply }> = []
  /** Links that one side refused, and why. */
  readonly refused: Array<string> = []
  readonly halted: Array<string> = []
  atMs = 10_000
  readonly #lives = new Map<NodeId, Life>()
  readonly #queues = new Map<string, Array<PeerMessage>>()
  /** What hosts that boot from now on run. */
  protocol: ProtocolSpec
  readonly #options: { readonly durable: boolean; readonly limits: Limits }
  /** Who is Byzantine: no host, but what the test says. */
  readonly #liars: ReadonlyArray<NodeId>
  #boots = 0

  constructor(
    protocol: ProtocolSpec,
    n: number,
    more: { liars?: ReadonlyArray<NodeId>; durable?: boolean; limits?: Partial<Limits> } = {}
  ) {
    const { liars = [], durable = true, limits } = more
    this.protocol = protocol
    this.#options = { durable, limits: { ...LIMITS, ...limits } }
    this.#liars = liars
    this.ids = Array.from({ length: n }, (_, i) => i + 1)
    for (const id of this.ids) {
      if (liars.includes(id)) continue
      if (durable) this.disks.set(id, new SteppedDisk())
      this.boot(id, true)
    }
    for (const a of this.ids) for (const b of this.ids) if (a < b) this.link(a, b)
    this.settle()
  }

  alive(id: NodeId): boolean {
    return this.#lives.has(id)
  }

  core(id: NodeId): HostCore {
    return this.#lives.get(id)!.core
  }

  /** A new process over the node's disk. `init`: an operator vouches that it never spoke. */
  boot(id: NodeId, init = false): StoreInvalid | undefined {
    const { durable, limits } = this.#options
    // Drawn at each boot; kept where there is a folder.
    const drawn = new Uint8Array(16).fill(++this.#boots)
    const disk = this.disks.get(id)
    const log = disk && LogCore.open({ disk, limits, init, storeId: drawn, owner: `node ${id}` })
    if (durable && !(log instanceof LogCore)) return log
    const storeId = log instanceof LogCore ? log.storeId : drawn
    let live = true
    const core = new HostCore({
      self: id,
      system: makeSystem(this.ids, this.#liars.length > 0 ? "byzantine" : "crash"),
      protocols: [this.protocol],
      limits,
      log: log instanceof LogCore ? log : undefined,
      isEffect: () => false,
      ports: {
        clock: { nowMs: () => this.atMs },
        sendToPeer: (peer, message) => {
          if (live) this.#queues.get(`${id}>${peer}`)?.push(message)
        },
        sendToClient: (_, reply) => void this.replies.push({ from: id, reply }),
        run: () => {},
        interrupt: () => {},
        report: () => {},
        halt: (reason) => {
          live = false
          this.halted.push(`${id}: ${reason}`)
        },
        wake: () => {},
        wakeAt: () => {}
      }
    })
    this.#lives.set(id, { core, storeId })
    return core.boot()
  }

  /** The process ends and what is on its way is lost; writes that the disk has begun it ends. */
  crash(id: NodeId): void {
    for (const other of this.ids) if (other !== id) this.cut(id, other)
    this.disks.get(id)?.settle()
    this.#lives.delete(id)
  }

  /** As `Host` does: a member that shows another store than before is refused. */
  link(a: NodeId, b: NodeId): boolean {
    if (this.#refuses(a, b) || this.#refuses(b, a)) return false
    this.#queues.set(`${a}>${b}`, [])
    this.#queues.set(`${b}>${a}`, [])
    this.#lives.get(a)?.core.peerUp(b, hexOf(this.#storeId(b)))
    this.#lives.get(b)?.core.peerUp(a, hexOf(this.#storeId(a)))
    return true
  }

  #refuses(a: NodeId, b: NodeId): boolean {
    const first = this.#options.durable && this.#lives.get(a)?.core.engine.stores.get(b)
    if (typeof first !== "string") return false
    const goodbye = checkStore(first, { ...HELLO, node: b, storeId: this.#storeId(b) })
    if (goodbye !== undefined) this.refused.push(`${a} refuses ${b}: ${goodbye.code}`)
    return goodbye !== undefined
  }

  #storeId(id: NodeId): Uint8Array {
    return this.#lives.get(id)?.storeId ?? new Uint8Array(16).fill(200 + id)
  }

  cut(a: NodeId, b: NodeId): void {
    if (!this.#queues.delete(`${a}>${b}`)) return
    this.#queues.delete(`${b}>${a}`)
    this.#lives.get(a)?.core.peerDown(b)
    this.#lives.get(b)?.core.peerDown(a)
  }

  call(id: NodeId, request: Request): void {
    this.#lives.get(id)?.core.fromClient(1, request)
  }

  /** A Byzantine node says what it likes. */
  lie(from: NodeId, to: NodeId, message: PeerMessage): void {
    this.#lives.get(to)!.core.receive(from, message)
  }

  /** Until nothing moves; what `only` does not let through waits. */
  settle(only: (from: NodeId, to: NodeId, message: PeerMessage) => boolean = () => true): void {
    for (let moved = true; moved; ) {
      for (const [id, { core }] of this.#lives) {
        core.tick()
        while (core.drain());
        this.disks.get(id)?.settle()
        core.drain()
      }
      moved = false
      for (const [pair, queue] of this.#queues) {
        const [from, to] = pair.split(">").map(Number) as [NodeId, NodeId]
        while (queue[0] !== undefined && only(from, to, queue[0])) {
          this.#lives.get(to)?.core.receive(from, queue.shift()!)
          if (!this.#lives.has(to)) queue.length = 0
          moved = true
        }
      }
    }
  }

  answers(): ReadonlyArray<string> {
    return this.replies.map(
      ({ from, reply }) => `${from}: ${reply.code ?? laneOfBytes(reply.body)}`
    )
  }
}
