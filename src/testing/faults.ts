import type { Prng } from "../base/prng.ts"
import type { SimClient } from "./simClient.ts"
import type { SimHost } from "./simHost.ts"
import type { World } from "./world.ts"

/** What goes wrong, and for how long, in virtual milliseconds. */
export interface FaultOptions {
  /** Faults begin at `fromMs` and stop at `untilMs`. */
  readonly fromMs: number
  readonly untilMs: number
  /** Nodes crash and restart. */
  readonly crashes: boolean
  /** Between two faults, at most. */
  readonly gapMsMax: number
  /** A crashed node stays down, at most. */
  readonly downMsMax: number
}

/** Plans faults from the seed until they stop; then everything comes back, for good. */
export class FaultSchedule {
  readonly #world: World
  readonly #random: Prng
  readonly #hosts: ReadonlyArray<SimHost>
  readonly #clients: ReadonlyArray<SimClient>
  readonly #options: FaultOptions
  crashes = 0

  constructor(parts: {
    readonly world: World
    readonly random: Prng
    readonly hosts: ReadonlyArray<SimHost>
    readonly clients: ReadonlyArray<SimClient>
    readonly options: FaultOptions
  }) {
    this.#world = parts.world
    this.#random = parts.random
    this.#hosts = parts.hosts
    this.#clients = parts.clients
    this.#options = parts.options
  }

  start(): void {
    const { fromMs, untilMs, gapMsMax } = this.#options
    const { time } = this.#world
    const next = (): void => {
      if (time.nowMs >= untilMs) return
      this.#one()
      time.after(1 + this.#random.below(gapMsMax), next)
    }
    time.after(fromMs, next)
    time.after(untilMs, () => this.#end())
  }

  #one(): void {
    const random = this.#random
    const dice = random.below(100)
    if (dice < 45) this.#cut(random.pick(this.#hosts), random.pick(this.#hosts))
    else if (dice < 62) this.#cut(random.pick(this.#hosts), random.pick(this.#clients))
    else if (dice < 70) this.#isolate(random.pick(this.#hosts))
    else if (dice < 73) random.pick(this.#clients).die()
    else if (!this.#options.crashes) this.#cut(random.pick(this.#hosts), random.pick(this.#hosts))
    else if (dice < 97) this.#crash(random.pick(this.#hosts))
    else for (const host of this.#hosts) this.#crash(host)
  }

  /** Most breaks heal at once, some take seconds. */
  #apartMs(): number {
    return this.#random.below(this.#random.chance(250) ? 3000 : 300)
  }

  #cut(a: SimHost | SimClient, b: SimHost | SimClient): void {
    const [from, to] = [idOf(a), idOf(b)]
    if (from === to) return
    this.#world.happened("cut", from, to)
    this.#world.network.cut(from, to, this.#apartMs())
  }

  #isolate(host: SimHost): void {
    const apartMs = this.#apartMs()
    this.#world.happened("isolated", host.node, apartMs)
    for (const other of [...this.#hosts, ...this.#clients]) {
      if (other !== host) this.#world.network.cut(host.node, idOf(other), apartMs)
    }
  }

  #crash(host: SimHost): void {
    if (!host.alive) return
    host.crash()
    this.crashes++
    this.#world.time.after(20 + this.#random.below(this.#options.downMsMax), () => host.boot())
  }

  #end(): void {
    this.#world.happened("faults end", 0, 0)
    this.#world.network.heal()
    for (const host of this.#hosts) {
      this.#world.time.after(this.#random.below(200), () => host.boot())
    }
  }
}

const idOf = (end: SimHost | SimClient): number => ("node" in end ? end.node : end.endpoint)
