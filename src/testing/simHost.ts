import type { Limits } from "../base/limits.ts"
import { NODE_ID_MAX, type NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { decodeMessage, encodeMessage } from "../link/envelope.ts"
import { HostCore, type HostEngine, type HostOptions, type HostPorts } from "../link/hostCore.ts"
import { LogCore } from "../link/logCore.ts"
import { decodeRecord } from "../link/recordCodec.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Engine } from "../server/engine.ts"
import type { Route } from "../server/Input.ts"
import type { ClientMessage, Message, PeerMessage, Reply } from "../server/Message.ts"
import type { HandlerResult, IsEffect, ProtocolSpec } from "../server/Protocol.ts"
import type { Adversary } from "./byzantine.ts"
import type { Checkers } from "./Checkers.ts"
import { frozen } from "./frozen.ts"
import type { SimDisk } from "./simDisk.ts"
import type { Endpoint, NetworkPort, SimHello } from "./simNetwork.ts"
import { LogMemory } from "./watchLog.ts"
import { EPOCH_MS, type World } from "./world.ts"

/** Puts something between the parts of a node: how a test plants a bug. */
export interface Decorate {
  readonly spec?: (spec: ProtocolSpec, node: NodeId) => ProtocolSpec
  readonly system?: (system: System, node: NodeId) => System
  readonly log?: (log: LogCore, node: NodeId) => LogCore
  readonly ports?: (ports: HostPorts, node: NodeId) => HostPorts
  readonly engine?: (engine: Engine, node: NodeId) => HostEngine
}

/** Runs an entry handler's Effect to its end, at once. */
export type RunEffect = (effect: unknown) => HandlerResult | { readonly failure: string } | "async"

export interface SimHostOptions {
  readonly world: World
  readonly node: NodeId
  readonly system: System
  readonly spec: ProtocolSpec
  readonly limits: Limits
  readonly random: Prng
  /** Absent in a group without durability. */
  readonly disk: SimDisk | undefined
  readonly checkers: Checkers
  /** Present: the node is Byzantine. */
  readonly adversary: Adversary | undefined
  readonly isEffect: IsEffect
  readonly runEffect: RunEffect
  readonly decorate: Decorate
  /** What the node's clock is ahead of virtual time, in each of its lives. */
  readonly skewMs: () => number
}

/** One node: the host core of production over a simulated disk, through all its lives. */
export class SimHost {
  readonly node: NodeId
  readonly #options: SimHostOptions
  readonly #memory: LogMemory
  readonly #storeId: Uint8Array
  #core: HostCore | undefined
  /** Counts boots and crashes: what one life planned happens in no other. */
  #life = 0
  #boots = 0
  /** Clients' links of this life. Routes are never used again. */
  #routes = new Map<Endpoint, Route>()
  #clients = new Map<Route, Endpoint>()
  #lastRoute = 0

  constructor(options: SimHostOptions) {
    this.#options = options
    this.node = options.node
    this.#storeId = options.random.bytes(16)
    this.#memory = new LogMemory({
      durable: (record) => options.checkers.durable(this.node, decodeRecord(record)),
      broken: (what) => options.checkers.fail(`the log of node ${this.node}: ${what}`)
    })
  }

  get alive(): boolean {
    return this.#core !== undefined
  }
  get boots(): number {
    return this.#boots
  }
  get core(): HostCore | undefined {
    return this.#core
  }

  /** Starts the process, from what its disk holds. */
  boot(): void {
    if (this.alive) return
    const { world, checkers, random } = this.#options
    const life = ++this.#life
    this.#boots++
    this.#routes = new Map()
    this.#clients = new Map()
    world.happened("boot", this.node, this.#boots)
    checkers.words.booted(this.node)
    const core = this.#makeCore(life, this.#openLog())
    const invalid = core.boot()
    if (invalid !== undefined) {
      return checkers.fail(`node ${this.node} does not boot: ${invalid.where}: ${invalid.what}`)
    }
    this.#core = core
    world.network.attach(this.node, this.#port(core))
    const tick = (): void => {
      if (life !== this.#life) return
      core.tick()
      world.time.after(this.#options.limits.tickMs, tick)
    }
    world.time.after(random.below(this.#options.limits.tickMs), tick)
  }

  /** The process is killed and the power goes: only what the disk keeps is left. */
  crash(): void {
    if (!this.alive) return
    this.#life++
    this.#core = undefined
    this.#options.world.happened("crash", this.node, this.#options.disk?.unsyncedBytes ?? 0)
    this.#options.disk?.crash()
    this.#options.world.network.detach(this.node)
  }

  #openLog(): LogCore | undefined {
    const { disk, checkers, limits, decorate } = this.#options
    if (disk === undefined) return undefined
    const init = this.#boots === 1
    const log = LogCore.open({
      disk: disk.mount(),
      limits,
      init,
      storeId: this.#storeId,
      owner: `node ${this.node}`
    })
    if (!(log instanceof LogCore)) {
      checkers.fail(`the store of node ${this.node} is refused: ${log.where}: ${log.what}`)
      return undefined
    }
    const watched = this.#memory.over(log)
    return decorate.log?.(watched, this.node) ?? watched
  }

  #makeCore(life: number, log: LogCore | undefined): HostCore {
    const { system, limits, isEffect, decorate, adversary, checkers } = this.#options
    const spec = decorate.spec?.(this.#options.spec, this.node) ?? this.#options.spec
    const ports = this.#ports(life)
    const { engine } = decorate
    const options: HostOptions = {
      self: this.node,
      system: decorate.system?.(system, this.node) ?? system,
      protocols: [frozen(adversary === undefined ? checkers.deliveries.over(spec) : spec)],
      limits,
      log,
      isEffect,
      ports: decorate.ports?.(ports, this.node) ?? ports,
      ...(engine && { makeEngine: (make: () => Engine) => engine(make(), this.node) })
    }
    return new HostCore(options)
  }

  #ports(life: number): HostPorts {
    const { world, checkers, random, adversary, runEffect } = this.#options
    const skewMs = this.#options.skewMs()
    const later = (delayMs: number, then: () => void): void =>
      world.time.after(delayMs, () => {
        if (life === this.#life) then()
      })
    return {
      clock: { nowMs: () => EPOCH_MS + skewMs + world.time.nowMs },
      sendToPeer: (peer, message) => {
        const told = adversary === undefined ? [message] : adversary.toPeer(peer, message)
        for (const one of told) this.#sendToPeer(peer, one)
      },
      sendToClient: (route, reply) => {
        const told = adversary === undefined ? reply : adversary.toClient(reply)
        if (told !== undefined) this.#sendToClient(route, told)
      },
      run: (token, effect) => {
        const result = runEffect(effect)
        if (result === "async") {
          checkers.fail("an entry handler's Effect is asynchronous: the simulator runs none")
        } else later(random.below(5), () => this.#core?.ran(token, result))
      },
      interrupt: () => {},
      report: (what, detail) => {
        world.happened(`${what} ${detail}`, this.node, 0)
        if (what === "poisoned" && adversary === undefined) {
          checkers.fail(`node ${this.node} poisoned an instance: ${detail}`)
        }
      },
      halt: (reason) => {
        if (adversary === undefined) checkers.fail(`node ${this.node} halted: ${reason}`)
      },
      wake: () => later(random.below(2), () => this.#core?.drain()),
      // A timer of a real machine fires late, never early by more than its clock's grain.
      wakeAt: (atMs) => {
        const delayMs = Math.max(0, Math.ceil(atMs) - (EPOCH_MS + skewMs + world.time.nowMs))
        later(delayMs + random.below(5), () => this.#core?.timeUp())
      }
    }
  }

  #sendToPeer(peer: NodeId, message: PeerMessage): void {
    const { world, checkers } = this.#options
    checkers.sent(this.node, message)
    world.network.send(this.node, peer, encodeMessage(message))
  }

  #sendToClient(route: Route, reply: Reply): void {
    const { world, checkers } = this.#options
    checkers.replied(this.node, reply)
    const client = this.#clients.get(route)
    if (client !== undefined) world.network.send(this.node, client, encodeMessage(reply))
  }

  #port(core: HostCore): NetworkPort {
    return {
      hello: () => this.#hello(core),
      opened: (peer, hello) => {
        if (peer <= NODE_ID_MAX) return core.peerUp(peer, hello.storeId)
        const route = ++this.#lastRoute
        this.#routes.set(peer, route)
        this.#clients.set(route, peer)
      },
      closed: (peer) => {
        if (peer <= NODE_ID_MAX) return core.peerDown(peer)
        this.#clients.delete(this.#routes.get(peer) ?? 0)
        this.#routes.delete(peer)
      },
      receive: (peer, bytes) => this.#receive(core, peer, bytes)
    }
  }

  #hello(core: HostCore): SimHello {
    // Without durability a storeId is drawn at each boot.
    const life = this.#options.disk === undefined ? `.${this.#boots}` : ""
    return { storeId: `store ${this.node}${life}`, horizonMs: core.horizonMs }
  }

  #receive(core: HostCore, peer: Endpoint, bytes: Uint8Array): void {
    const { world, checkers, adversary } = this.#options
    world.received(peer, this.node, bytes)
    const message = decodeMessage(bytes, 0, bytes.length)
    if (message === undefined) return checkers.fail(`${peer} sent what nobody can read`)
    if (peer <= NODE_ID_MAX) {
      if (!isPeerMessage(message)) return checkers.fail(`node ${peer} sent a ${message.kind}`)
      if (message.kind === "word") {
        adversary?.saw(message)
        checkers.words.given(this.node, peer, message)
      }
      return core.receive(peer, message)
    }
    if (!isClientMessage(message)) return checkers.fail(`a client sent a ${message.kind}`)
    const route = this.#routes.get(peer)
    if (route !== undefined) core.fromClient(route, message)
  }
}

const isPeerMessage = (message: Message): message is PeerMessage =>
  message.kind === "word" ||
  message.kind === "want" ||
  message.kind === "resume" ||
  message.kind === "wantLane" ||
  message.kind === "taken"

const isClientMessage = (message: Message): message is ClientMessage =>
  message.kind === "request" || message.kind === "oneWay" || message.kind === "cancel"
