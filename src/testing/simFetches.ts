import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { FetchAsk, FetchResult } from "../link/fetchCore.ts"
import type { FetchAnswer, FetchRange } from "../link/fetchStore.ts"
import type { Network } from "./simNetwork.ts"
import type { VirtualTime } from "./virtualTime.ts"

/** What a node answers; `undefined`: it says nothing, ever. */
export type ServeFetch = (peer: NodeId, range: FetchRange) => FetchAnswer | undefined

/** An ask or an answer takes 1 … this long; some are slow, and some of these too slow. */
const DELAY_MS_MAX = 20
const SLOW_PER_MILLE = 50
const SLOW_MS_MAX = 3_000

/** Calls beside the links: they break with the connection of the two, and come in any order. */
export class SimFetches {
  readonly #time: VirtualTime
  readonly #network: Pick<Network, "isUp">
  /** By node. Two where one identity runs twice. */
  readonly #doors = new Map<NodeId, Map<object, ServeFetch>>()

  constructor(time: VirtualTime, network: Pick<Network, "isUp">) {
    this.#time = time
    this.#network = network
  }

  /** The node lives, and serves. */
  attach(node: NodeId, owner: object, serve: ServeFetch): void {
    const doors = this.#doors.get(node) ?? new Map<object, ServeFetch>()
    this.#doors.set(node, doors.set(owner, serve))
  }

  detach(node: NodeId, owner: object): void {
    this.#doors.get(node)?.delete(owner)
  }

  /** @param done at most once, and never within this call */
  ask(from: NodeId, ask: FetchAsk, random: Prng, done: (result: FetchResult) => void): void {
    const { peer } = ask
    const broken = (): boolean => {
      if (this.#network.isUp(from, peer)) return false
      // Half of the breaks are noticed.
      if (random.chance(500)) this.#time.after(random.below(100), () => done(UNREACHABLE))
      return true
    }
    this.#after(random, () => {
      const doors = [...(this.#doors.get(peer)?.values() ?? [])]
      if (broken() || doors.length === 0) return
      const answer = random.pick(doors)(from, ask)
      if (answer === undefined) return
      this.#after(random, () => {
        if (!broken()) done(answer)
      })
    })
  }

  #after(random: Prng, then: () => void): void {
    const slow = random.chance(SLOW_PER_MILLE)
    this.#time.after(1 + random.below(slow ? SLOW_MS_MAX : DELAY_MS_MAX), then)
  }
}

const UNREACHABLE: FetchResult = { kind: "unreachable" }
