/**
 * One identity that runs twice: two honest copies of a node, with a disk each, of which every peer
 * and client sees one at a time.
 * @source Bano, Sonnino, Chursin, Perelman, Li, Ching, Malkhi: Twins: BFT Systems Made Robust,
 * OPODIS 2021
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { Endpoint, HostNetwork, NetworkPort } from "./simNetwork.ts"

/** Of 1,000 new connections, so many come to the copy that the peer saw before. */
const FAITHFUL = 900

export class Twins {
  readonly #network: HostNetwork
  readonly #node: NodeId
  readonly #random: Prng
  readonly #ports: [NetworkPort | undefined, NetworkPort | undefined] = [undefined, undefined]
  /** The copy that an endpoint is connected to now, and the one it saw last. */
  readonly #now = new Map<Endpoint, 0 | 1>()
  readonly #last = new Map<Endpoint, 0 | 1>()

  constructor(network: HostNetwork, node: NodeId, random: Prng) {
    this.#network = network
    this.#node = node
    this.#random = random
  }

  /** The network as one copy sees it. */
  copy(copy: 0 | 1): HostNetwork {
    return {
      attach: (_, port) => {
        const alone = this.#ports[1 - copy] === undefined
        this.#ports[copy] = port
        if (alone) this.#network.attach(this.#node, this.#port())
      },
      detach: () => this.#detach(copy),
      send: (from, to, bytes, kind) =>
        this.#now.get(to) === copy && this.#network.send(from, to, bytes, kind),
      cut: (a, b, apartMs) => this.#network.cut(a, b, apartMs),
      release: (endpoint, of) =>
        this.#network.release(endpoint, (peer) => this.#now.get(peer) === copy && of(peer))
    }
  }

  #detach(copy: 0 | 1): void {
    this.#ports[copy] = undefined
    const mine = [...this.#now].filter(([, seen]) => seen === copy)
    for (const [peer] of mine) this.#now.delete(peer)
    if (this.#ports[1 - copy] === undefined) return this.#network.detach(this.#node)
    for (const [peer] of mine) this.#network.cut(this.#node, peer, 0)
  }

  #port(): NetworkPort {
    const portOf = (peer: Endpoint): NetworkPort | undefined => {
      const copy = this.#now.get(peer)
      return copy === undefined ? undefined : this.#ports[copy]
    }
    return {
      // Both show the same store: one disk was copied.
      hello: () => (this.#ports[0] ?? this.#ports[1])!.hello(),
      opened: (peer, hello) => {
        // A newer link may displace one that nobody has closed.
        portOf(peer)?.closed(peer)
        this.#now.set(peer, this.#choose(peer))
        portOf(peer)?.opened(peer, hello)
      },
      closed: (peer) => {
        portOf(peer)?.closed(peer)
        this.#now.delete(peer)
      },
      receive: (peer, bytes) => portOf(peer)?.receive(peer, bytes),
      took: (peer, message) => portOf(peer)?.took?.(peer, message)
    }
  }

  #choose(peer: Endpoint): 0 | 1 {
    const last = this.#last.get(peer)
    const drawn = this.#random.chance(500) ? 0 : 1
    const wanted = last !== undefined && this.#random.chance(FAITHFUL) ? last : drawn
    const copy = this.#ports[wanted] === undefined ? ((1 - wanted) as 0 | 1) : wanted
    this.#last.set(peer, copy)
    return copy
  }
}
