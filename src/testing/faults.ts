import type { Prng } from "../base/prng.ts"
import type { Fault, PlannedFault } from "./faultPlan.ts"
import type { SimClient } from "./simClient.ts"
import type { SimHost } from "./simHost.ts"
import type { LinkFault } from "./linkPlan.ts"
import type { Network } from "./simNetwork.ts"
import type { World } from "./world.ts"

/** What faults happen to: one host, or one process with several. */
type FaultyHost = Pick<
  SimHost,
  | "node"
  | "alive"
  | "boot"
  | "crash"
  | "failDisk"
  | "stallDisk"
  | "healDisk"
  | "loseDisk"
  | "jumpClock"
>
type FaultyClient = Pick<SimClient, "endpoint" | "die">
interface FaultyWorld extends Pick<World, "time" | "happened"> {
  readonly network: Pick<Network, "cut" | "mute" | "heal"> & {
    readonly upset?: (fault: LinkFault) => void
  }
}

/** Lets planned faults happen; at the end everything comes back, for good. */
export class FaultSchedule {
  readonly #world: FaultyWorld
  readonly #random: Prng
  readonly #hosts: ReadonlyArray<FaultyHost>
  readonly #clients: ReadonlyArray<FaultyClient>
  crashes = 0

  constructor(parts: {
    readonly world: FaultyWorld
    readonly random: Prng
    readonly hosts: ReadonlyArray<FaultyHost>
    readonly clients: ReadonlyArray<FaultyClient>
  }) {
    this.#world = parts.world
    this.#random = parts.random
    this.#hosts = parts.hosts
    this.#clients = parts.clients
  }

  /** @param drop numbers, from 1, of faults that do not happen */
  start(planned: ReadonlyArray<PlannedFault>, untilMs: number, drop: ReadonlySet<number>): void {
    const { time } = this.#world
    for (const [i, { atMs, fault }] of planned.entries()) {
      if (!drop.has(i + 1)) time.after(atMs, () => this.#happen(i + 1, fault))
    }
    time.after(untilMs, () => this.#end())
  }

  #happen(number: number, fault: Fault): void {
    const { network, happened } = this.#world
    happened(`fault ${fault.kind}`, 0, number)
    switch (fault.kind) {
      case "cut":
        for (const [a, b] of fault.pairs) network.cut(a, b, fault.apartMs)
        return
      case "mute":
        return fault.from === fault.to
          ? undefined
          : network.mute(fault.from, fault.to, fault.muteMs)
      case "link":
        return network.upset?.(fault.what)
      case "crash":
        for (const { node, downMs } of fault.nodes) {
          for (const host of this.#of(node)) this.#crash(host, downMs)
        }
        return
      case "diskFails":
        for (const host of this.#of(fault.node)) host.failDisk(fault.downMs)
        return
      case "diskStalls":
        for (const host of this.#of(fault.node)) host.stallDisk(fault.stallMs)
        return
      case "diskLost":
        for (const host of this.#of(fault.node)) host.loseDisk(fault.downMs, fault.anew)
        return
      case "clockJumps":
        for (const host of this.#of(fault.node)) host.jumpClock(fault.byMs)
        return
      case "clientDies":
        for (const client of this.#clients) if (client.endpoint === fault.client) client.die()
    }
  }

  /** Of a node that runs twice, one or both. */
  #of(node: number): ReadonlyArray<FaultyHost> {
    const hosts = this.#hosts.filter((host) => host.node === node)
    return hosts.length > 1 && this.#random.chance(700) ? [this.#random.pick(hosts)] : hosts
  }

  #crash(host: FaultyHost, downMs: number): void {
    if (!host.alive) return
    host.crash()
    this.crashes++
    this.#world.time.after(downMs, () => host.boot())
  }

  #end(): void {
    this.#world.happened("faults end", 0, 0)
    this.#world.network.heal()
    for (const host of this.#hosts) {
      host.healDisk()
      this.#world.time.after(this.#random.below(200), () => host.boot())
    }
  }
}
