import { NODE_ID_MAX, type NodeId } from "../base/NodeId.ts"
import type { Penalty } from "../link/penalties.ts"
import type { Route } from "../server/Input.ts"
import type { Checkers } from "./Checkers.ts"
import type { Endpoint, HostNetwork } from "./simNetwork.ts"
import type { World } from "./world.ts"

/** Longer than any run. */
const FOR_EVER_MS = 10 ** 9

export interface SimPenaltiesOptions {
  readonly world: World
  readonly network: Pick<HostNetwork, "cut">
  readonly node: NodeId
  readonly checkers: Pick<Checkers, "isCorrect" | "fail">
}

/** Does what the penalties of one node ask, through all its lives. */
export class SimPenalties {
  readonly #options: SimPenaltiesOptions
  /** What came from members that are slowed down, in order: here there is no credit to withhold. */
  readonly #held = new Map<Endpoint, Array<() => void>>()
  /** Members that were cut off, each time. */
  readonly cut: Array<NodeId> = []
  readonly clientsCut: Array<Endpoint> = []
  /** How long each member was slowed down, in all. */
  readonly slowedMs = new Map<NodeId, number>()

  constructor(options: SimPenaltiesOptions) {
    this.#options = options
  }

  /** @param nowMs by the clock of the node */
  penalise(penalty: Penalty, nowMs: number, endpointOf: (route: Route) => Endpoint): void {
    const { world, network, node } = this.#options
    switch (penalty.kind) {
      case "slow":
        return this.#slow(penalty.member, penalty.untilMs - nowMs)
      case "cutClient": {
        const client = endpointOf(penalty.route)
        this.clientsCut.push(client)
        world.happened("cut a client off", node, client)
        return network.cut(node, client, 0)
      }
      case "cut":
        this.cut.push(penalty.member)
        this.#neverOfTheCorrect(penalty.member, penalty.detail)
        this.forget(penalty.member)
        world.happened("cut off", node, penalty.member)
        return network.cut(node, penalty.member, Math.min(FOR_EVER_MS, penalty.untilMs - nowMs))
    }
  }

  /** Hands on what came, at once or once the link is read again. */
  receive(from: Endpoint, then: () => void): void {
    const held = from <= NODE_ID_MAX ? this.#held.get(from) : undefined
    if (held === undefined) then()
    else held.push(then)
  }

  /** Something of it waits to be read. */
  holds(from: Endpoint): boolean {
    return this.#held.has(from)
  }

  /** The link is gone, and what it brought that was not read. */
  forget(peer: Endpoint): void {
    this.#held.delete(peer)
  }

  /** The process is gone. */
  crashed(): void {
    this.#held.clear()
  }

  #slow(member: NodeId, forMs: number): void {
    const { world, node } = this.#options
    this.slowedMs.set(member, (this.slowedMs.get(member) ?? 0) + forMs)
    world.happened("slows down", node, member)
    if (this.#held.has(member)) return
    const held: Array<() => void> = []
    this.#held.set(member, held)
    world.time.after(Math.ceil(forMs), () => this.#readOn(member, held))
  }

  #readOn(member: NodeId, held: ReadonlyArray<() => void>): void {
    if (this.#held.get(member) !== held) return
    this.#held.delete(member)
    for (const [i, then] of held.entries()) {
      const again = this.#held.get(member)
      if (again !== undefined) return void again.push(...held.slice(i))
      then()
    }
  }

  #neverOfTheCorrect(member: NodeId, detail: string): void {
    const { checkers, node } = this.#options
    if (!checkers.isCorrect(node) || !checkers.isCorrect(member)) return
    checkers.fail(`node ${node} cut off node ${member}, which is correct: ${detail}`)
  }
}
