import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { type EpochPlan, Epochs } from "../link/epochs.ts"
import type { EpochStanding, EpochState } from "../server/epoch.ts"
import type { SimHost } from "./simHost.ts"
import type { SimNetwork } from "./simNetwork.ts"
import { EPOCH_MS, type World } from "./world.ts"

/** One epoch of a simulated group, with a network of its own: one link per pair and epoch. */
export interface SimEpoch {
  readonly plan: EpochPlan
  readonly network: SimNetwork
}

export interface EpochNodeOptions {
  /** Without a network: there is one per epoch. */
  readonly world: Pick<World, "time" | "happened">
  readonly node: NodeId
  readonly limits: Limits
  readonly random: Prng
  readonly epochs: ReadonlyMap<number, SimEpoch>
  readonly read: (description: Uint8Array) => EpochPlan | undefined
  /** The node's host in an epoch, through all its lives. */
  readonly makeHost: (
    epoch: SimEpoch,
    heard: (of: NodeId, standing: EpochStanding) => void
  ) => SimHost
  readonly reported: (what: string) => void
}

/** One process with a host for each epoch it is in, and production's coordinator over them. */
export class EpochNode {
  readonly node: NodeId
  readonly #options: EpochNodeOptions
  /** What it has disks for. */
  readonly #hosts = new Map<number, SimHost>()
  readonly #ended = new Set<number>()
  #epochs: Epochs | undefined
  #life = 0

  constructor(options: EpochNodeOptions) {
    this.#options = options
    this.node = options.node
  }

  get alive(): boolean {
    return this.#epochs !== undefined
  }
  /** Numbers of the epochs that live here. */
  get numbers(): ReadonlyArray<number> {
    return [...this.#hosts.keys()]
  }
  /** A link of this epoch would be refused. */
  hasEnded(number: number): boolean {
    return this.alive && this.#ended.has(number)
  }
  stateOf(number: number): EpochState | undefined {
    return this.#epochs?.stateOf(number)
  }

  /** Before the first boot: what its data folder is made for. */
  install(plan: EpochPlan): void {
    this.#host(plan)
  }

  boot(): void {
    if (this.alive) return
    const { world, random, limits } = this.#options
    const life = ++this.#life
    this.#epochs = this.#coordinator()
    for (const number of this.numbers) this.#epochs.announce(this.#options.epochs.get(number)!.plan)
    const tick = (): void => {
      if (life !== this.#life) return
      this.#epochs!.tick()
      world.time.after(limits.tickMs, tick)
    }
    world.time.after(random.below(limits.tickMs), tick)
  }

  crash(): void {
    this.#life++
    this.#epochs = undefined
    for (const host of this.#hosts.values()) host.crash()
  }

  failDisk(downMs: number): void {
    for (const host of this.#hosts.values()) host.failDisk(downMs)
  }
  stallDisk(stallMs: number): void {
    for (const host of this.#hosts.values()) host.stallDisk(stallMs)
  }
  healDisk(): void {
    for (const host of this.#hosts.values()) host.healDisk()
  }
  loseDisk(): void {
    throw new Error("nodes of several epochs keep their disks")
  }
  jumpClock(byMs: number): void {
    for (const host of this.#hosts.values()) host.jumpClock(byMs)
  }

  /** The operator announces the epoch here, and where told to, activates it. */
  operate(plan: EpochPlan, activate: boolean): void {
    if (this.#epochs === undefined || this.#ended.has(plan.number)) return
    this.#epochs.announce(plan)
    if (activate) this.#epochs.activate(plan.number)
  }

  /** A member refused this epoch's link. */
  gone(number: number, member: NodeId): void {
    this.#epochs?.gone(number, member)
  }

  #host(plan: EpochPlan): SimHost {
    const { number } = plan
    let host = this.#hosts.get(number)
    if (host === undefined) {
      const epoch = this.#options.epochs.get(number)!
      host = this.#options.makeHost(epoch, (of, standing) => {
        if (of === this.node) this.#options.world.happened(`epoch ${standing.state}`, of, number)
        this.#epochs?.heard(number, of, standing)
      })
      this.#hosts.set(number, host)
    }
    return host
  }

  #coordinator(): Epochs {
    const { world, limits, read, epochs, reported } = this.#options
    const ports = {
      clock: { nowMs: () => EPOCH_MS + world.time.nowMs },
      read,
      open: (plan: EpochPlan) => this.#host(plan).boot(),
      advance: (number: number, to: EpochStanding) => this.#hosts.get(number)!.core?.epoch(to),
      isUp: (number: number, member: NodeId) => epochs.get(number)!.network.isUp(this.node, member),
      isIdle: (number: number) => this.#hosts.get(number)!.core?.idle ?? false,
      drop: (number: number) => {
        world.happened("epoch dropped", this.node, number)
        this.#hosts.get(number)!.crash()
        this.#hosts.delete(number)
        this.#ended.add(number)
      },
      report: reported
    }
    return new Epochs(this.node, limits, ports, Math.max(0, ...this.#ended))
  }
}
