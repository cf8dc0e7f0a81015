import { NODE_ID_MAX, type NodeId } from "../base/NodeId.ts"
import { decodeMessage, encodeMessage } from "../link/envelope.ts"
import { HostCore, type HostEngine, type HostOptions, type HostPorts } from "../link/hostCore.ts"
import type { LogCore } from "../link/logCore.ts"
import type { Engine } from "../server/engine.ts"
import type { Route } from "../server/Input.ts"
import type { Message, PeerMessage, Reply } from "../server/Message.ts"
import { frozen } from "../runtime/internal/frozen.ts"
import { twice } from "../runtime/internal/twice.ts"
import { ProcessKilled, untilKilled } from "./killed.ts"
import type { Endpoint, NetworkPort, SimHello } from "./simNetwork.ts"
import { servedBy } from "./serveFetches.ts"
import { SimPenalties } from "./simPenalties.ts"
import type { SimHostOptions } from "./simHostOptions.ts"
import { SimStore } from "./simStore.ts"
import { tappedHost } from "./simTap.ts"
import { isClientMessage, isPeerMessage } from "./speakers.ts"
import { EPOCH_MS } from "./world.ts"

/** A process that was killed on purpose is started again after this time. */
const KILLED_DOWN_MS = 60
/** A member that shows another store than before is kept away this long, then refused again. */
const REFUSED_MS = 5_000

/** One node: the host core of production over a simulated disk, through all its lives. */
export class SimHost {
  readonly node: NodeId
  readonly #options: SimHostOptions
  /** Absent in a group without durability. */
  readonly #store: SimStore | undefined
  readonly penalties: SimPenalties
  /** The store each member showed first in this life. */
  readonly #shown = new Map<NodeId, string>()
  /** Members whose link now up shows another store. */
  readonly #refused = new Set<Endpoint>()
  #core: HostCore | undefined
  #alive = false
  #skewMs = 0
  #failedDownMs = 0
  /** Steps of the engine, over all lives. */
  steps = 0
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
    const { disk } = options
    this.penalties = new SimPenalties(options)
    this.#store = disk && new SimStore({ ...options, disk })
    if (disk !== undefined) disk.kills = (count) => this.#kills("disk", count)
  }

  get alive(): boolean {
    return this.#alive
  }
  get boots(): number {
    return this.#boots
  }
  get core(): HostCore | undefined {
    return this.#core
  }

  get diskOperations(): number {
    return this.#options.disk?.operations ?? 0
  }

  /** Starts the process, from what its disk holds. */
  boot(): void {
    if (!this.#alive) untilKilled(() => this.#boot())
  }

  #boot(): void {
    const { world, network, checkers, random, limits } = this.#options
    this.#alive = true
    const life = ++this.#life
    this.#boots++
    this.#skewMs = this.#options.skewMs()
    this.#routes = new Map()
    this.#clients = new Map()
    this.#refused.clear()
    this.#shown.clear()
    world.happened("boot", this.node, this.#boots)
    const log = this.#openLog()
    if (log === undefined && this.#store !== undefined) return this.crash()
    checkers.booted(this.node)
    const core = this.#makeCore(life, log)
    const invalid = core.boot()
    if (invalid !== undefined) {
      return checkers.fail(`node ${this.node} does not boot: ${invalid.where}: ${invalid.what}`)
    }
    this.#core = core
    if (log === undefined) checkers.keepsOut(this.node, core.horizonMs)
    network.attach(this.node, this.#port(core))
    world.fetches.attach(this.node, this, servedBy(core, this.#options))
    const tick = (): void => {
      if (life !== this.#life) return
      core.tick()
      world.time.after(limits.tickMs, tick)
    }
    world.time.after(random.below(limits.tickMs), tick)
  }

  /** The process is killed and the power goes: only what the disk keeps is left. */
  crash(): void {
    if (!this.#alive) return
    const { world, network, disk, checkers } = this.#options
    this.#life++
    this.#alive = false
    this.#core = undefined
    this.penalties.crashed()
    world.happened("crash", this.node, disk?.unsyncedBytes ?? 0)
    disk?.crash()
    if (disk === undefined) checkers.forgot(this.node)
    network.detach(this.node)
    world.fetches.detach(this.node, this)
  }

  /** The next write is refused; the node halts, and is started again `downMs` later. */
  failDisk(downMs: number): void {
    this.#failedDownMs = downMs
    this.#options.disk?.fail()
  }

  stallDisk(stallMs: number): void {
    this.#options.disk?.stall(stallMs)
  }

  healDisk(): void {
    this.#options.disk?.heal()
  }

  /**
   * The node goes down, and its disk is empty when it comes back: it must refuse to start. `anew`:
   * then an operator, wrongly, says that it never spoke.
   */
  loseDisk(downMs: number, anew: boolean): void {
    this.crash()
    this.#store?.lose()
    this.#options.world.time.after(downMs, () => {
      this.boot()
      if (!anew) return
      this.#store?.beginAnew()
      this.boot()
    })
  }

  jumpClock(byMs: number): void {
    this.#skewMs += byMs
  }

  #kills(what: "step" | "disk", count: number): boolean {
    if (this.#options.kills?.(this.node, what, count) !== true) return false
    this.crash()
    this.#options.world.time.after(KILLED_DOWN_MS, () => this.boot())
    return true
  }

  #openLog(): LogCore | undefined {
    const { decorate } = this.#options
    const log = this.#store?.open()
    return log && (decorate.log?.(log, this.node) ?? log)
  }

  #makeCore(life: number, log: LogCore | undefined): HostCore {
    const { system, limits, isEffect, decorate, checkers } = this.#options
    const { spec: plain } = this.#options
    const spec = decorate.spec?.(plain, this.node, checkers.isCorrect(this.node)) ?? plain
    const ports = this.#ports(life)
    const engine = this.#engineOver()
    const { signs, random } = this.#options
    const proofs = signs?.of(this.node, (then) => this.#later(life, random.below(3), then))
    const options: HostOptions = {
      self: this.node,
      system: decorate.system?.(system, this.node) ?? system,
      ...tappedHost(this.#options.world, this.node, checkers.over(twice(frozen(spec)), this.node)),
      limits,
      log,
      isEffect,
      announced: this.#options.announced === true,
      penalties: this.#options.policy,
      ...(proofs && { proofs }),
      ports: decorate.ports?.(ports, this.node) ?? ports,
      ...(engine && { makeEngine: (make: () => Engine) => engine(make()) })
    }
    return new HostCore(options)
  }

  /** What stands between host and engine: a planted bug, a count of steps that may kill. */
  #engineOver(): ((engine: Engine) => HostEngine) | undefined {
    const { decorate, kills } = this.#options
    const planted = (engine: Engine): HostEngine => decorate.engine?.(engine, this.node) ?? engine
    if (kills === undefined) return decorate.engine && planted
    return (engine) => {
      const inner = planted(engine)
      const step: HostEngine["step"] = (input) => {
        const outputs = inner.step(input)
        if (this.#kills("step", ++this.steps)) throw new ProcessKilled()
        return outputs
      }
      return Object.assign(Object.create(inner) as HostEngine, { step })
    }
  }

  /** In this life, if it lasts so long. */
  #later(life: number, delayMs: number, then: () => void): void {
    this.#options.world.time.after(delayMs, () => {
      if (life === this.#life) untilKilled(then)
    })
  }

  #ports(life: number): HostPorts {
    const { world, checkers, random, adversary, runEffect, mayPoison } = this.#options
    const correct = (): boolean => checkers.isCorrect(this.node)
    let lastMs = 0
    // Held where it would go back, as the clock of production is.
    const nowMs = (): number =>
      (lastMs = Math.max(lastMs, EPOCH_MS + this.#skewMs + world.time.nowMs))
    const later = (delayMs: number, then: () => void): void => this.#later(life, delayMs, then)
    return {
      clock: { nowMs },
      steady: { nowMs: () => world.time.nowMs },
      sendToPeer: (peer, message) => {
        const told = adversary === undefined ? [message] : adversary.toPeer(peer, message)
        for (const one of told) this.#sendToPeer(peer, this.#signedLie(one))
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
      ask: (ask) =>
        world.fetches.ask(this.node, ask, random, (result) =>
          later(0, () => this.#core?.fetches.answered(ask.id, result))
        ),
      report: (what, detail) => {
        world.happened(`${what} ${detail}`, this.node, 0)
        if (what === "poisoned" && !mayPoison && correct()) {
          checkers.fail(`node ${this.node} poisoned an instance: ${detail}`)
        }
      },
      penalise: (penalty) =>
        this.penalties.penalise(penalty, nowMs(), (route) => this.#clients.get(route)!),
      halt: (reason) => {
        world.happened("halted", this.node, 0)
        if (this.#options.disk?.refused === true) return later(0, () => this.#stopFailed())
        if (correct()) checkers.fail(`node ${this.node} halted: ${reason}`)
      },
      wake: () => later(random.below(2), () => this.#drain()),
      // A timer of a real machine fires late, never early by more than its clock's grain.
      wakeAt: (atMs) => {
        const delayMs = Math.max(0, Math.ceil(atMs) - nowMs())
        later(delayMs + random.below(5), () => this.#core?.timeUp())
      }
    }
  }

  /** As a host does: what was worked off may be followed by more. */
  #drain(): void {
    const core = this.#core
    core?.drain()
    if (core?.caughtUp !== true) return
    this.#options.network.release(this.node, (peer) => !this.penalties.holds(peer))
  }

  /** A halted process ends; it is started again from what its disk has. */
  #stopFailed(): void {
    this.crash()
    this.#options.world.time.after(this.#failedDownMs, () => this.boot())
  }

  #signedLie(message: PeerMessage): PeerMessage {
    const { adversary, signs, random } = this.#options
    if (adversary === undefined || signs === undefined || message.kind !== "word") return message
    return signs.told(this.node, message, random)
  }

  #sendToPeer(peer: NodeId, message: PeerMessage): void {
    const { network, checkers, adversary } = this.#options
    checkers.sent(this.node, message)
    const bytes = encodeMessage(message)
    network.send(this.node, peer, adversary?.bytes(bytes) ?? bytes, message.kind)
  }

  #sendToClient(route: Route, reply: Reply): void {
    const { network, checkers } = this.#options
    checkers.replied(this.node, reply)
    const client = this.#clients.get(route)
    if (client === undefined) return
    network.send(this.node, client, encodeMessage(reply), reply.kind)
  }

  #port(core: HostCore): NetworkPort {
    return {
      hello: () => this.#hello(core),
      opened: (peer, hello) => {
        this.#refused.delete(peer)
        if (peer <= NODE_ID_MAX) return this.#peerUp(core, peer, hello.storeId)
        const route = ++this.#lastRoute
        this.#routes.set(peer, route)
        this.#clients.set(route, peer)
      },
      closed: (peer) => {
        this.penalties.forget(peer)
        if (this.#refused.delete(peer)) return
        if (peer <= NODE_ID_MAX) return core.peerDown(peer)
        const route = this.#routes.get(peer) ?? 0
        this.#clients.delete(route)
        core.clientGone(route)
        this.#routes.delete(peer)
      },
      receive: (peer, bytes) => {
        const read = () => this.#refused.has(peer) || this.#receive(core, peer, bytes)
        this.penalties.receive(peer, read)
      },
      took: (peer, message) => {
        const read = () => this.#refused.has(peer) || this.#took(core, peer, message)
        this.penalties.receive(peer, read)
      }
    }
  }

  /** In a durable group a member is known by the store that it showed first. */
  #peerUp(core: HostCore, peer: NodeId, storeId: string): void {
    const { world, disk } = this.#options
    const first = this.#shown.get(peer) ?? core.engine.stores.get(peer) ?? storeId
    this.#shown.set(peer, first)
    if (core.refuses(peer) !== undefined) return this.#refuse(peer)
    if (disk === undefined || first === storeId) {
      this.#options.checkers.order.linkUp(this.node, peer)
      return core.peerUp(peer, storeId)
    }
    world.happened("refused the store of", this.node, peer)
    this.#refuse(peer)
  }

  #refuse(peer: NodeId): void {
    this.#refused.add(peer)
    this.#options.network.cut(this.node, peer, REFUSED_MS)
  }

  #hello(core: HostCore): SimHello {
    // Without durability a storeId is drawn at each boot.
    const storeId = this.#store?.id ?? `life ${this.node}.${this.#boots}`
    const { adversary } = this.#options
    return { storeId, horizonMs: adversary?.horizonMs(core.horizonMs) ?? core.horizonMs }
  }

  #receive(core: HostCore, peer: Endpoint, bytes: Uint8Array): void {
    this.#options.world.received(peer, this.node, bytes)
    this.#took(core, peer, decodeMessage(bytes, 0, bytes.length))
  }

  #took(core: HostCore, peer: Endpoint, message: Message | undefined): void {
    const { network, checkers, adversary } = this.#options
    if (peer <= NODE_ID_MAX) {
      if (message === undefined || !isPeerMessage(message)) {
        if (checkers.isCorrect(peer)) checkers.fail(`node ${peer} sent what no node sends`)
        // As a link does, and from then on nothing of it is taken.
        this.#refused.add(peer)
        core.peerDown(peer)
        return network.cut(this.node, peer, 0)
      }
      if (message.kind === "word" && adversary !== undefined) {
        adversary.saw(message)
        this.#options.signs?.saw(this.node, peer, message)
      }
      checkers.came(this.node, peer, message)
      return core.receive(peer, message)
    }
    if (message === undefined || !isClientMessage(message)) {
      return checkers.fail(`client ${peer} sent what no client sends`)
    }
    const route = this.#routes.get(peer)
    if (route !== undefined) core.fromClient(route, message, `client ${peer}`)
  }
}
