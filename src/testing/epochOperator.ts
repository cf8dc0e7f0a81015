import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { EpochNode, SimEpoch } from "./epochNode.ts"
import { shuffled } from "./faultPlan.ts"
import type { VirtualTime } from "./virtualTime.ts"

const OPERATE_MS = 250
/** An epoch is put into force this long after the one before, plus up to as much again. */
const STAGE_MS = 1300

export interface EpochOperatorParts {
  readonly time: VirtualTime
  readonly random: Prng
  readonly nodes: ReadonlyArray<EpochNode>
  readonly correct: ReadonlySet<NodeId>
  readonly epochs: ReadonlyMap<number, SimEpoch>
  /** Faults are over. */
  readonly calmMs: number
}

/** Who puts one epoch after the other into force. */
export class EpochOperator {
  readonly #parts: EpochOperatorParts

  constructor(parts: EpochOperatorParts) {
    this.#parts = parts
  }

  start(): void {
    for (const number of this.#parts.epochs.keys()) if (number > 1) this.#operate(number)
  }

  /**
   * The operator announces the epoch to all members of it and of the one before, again and again,
   * and tells so many of the latter to go on to it that one of them is correct. Once all is calm
   * it tells those too who were away for longer than the epoch before lasted.
   */
  #operate(number: number): void {
    const { plan } = this.#parts.epochs.get(number)!
    const before = this.#parts.epochs.get(number - 1)!.plan.system
    const some = shuffled(
      this.#parts.random,
      before.members.filter((node) => this.#parts.correct.has(node))
    )
    const told = new Set(some.slice(0, before.oneHonest.needed + this.#parts.random.below(2)))
    const operate = (): void => {
      const calm = this.#parts.time.nowMs > this.#parts.calmMs
      for (const node of this.#parts.nodes) {
        const isMember = [before, plan.system].some((system) => system.rank(node.node) >= 0)
        if (isMember) node.operate(plan, calm || told.has(node.node))
      }
      if (!calm || this.old(number) !== undefined) this.#parts.time.after(OPERATE_MS, operate)
    }
    const startMs = (number - 1) * STAGE_MS + this.#parts.random.below(STAGE_MS)
    // An epoch is put into force when the one before is.
    const begin = (): void => {
      if (this.inForce(number - 1)) operate()
      else this.#parts.time.after(OPERATE_MS, begin)
    }
    this.#parts.time.after(startMs, begin)
  }

  /** Its correct members have activated it. */
  inForce(number: number): boolean {
    const { members } = this.#parts.epochs.get(number)!.plan.system
    return this.#parts.nodes.every(
      (node) =>
        !members.includes(node.node) ||
        !this.#parts.correct.has(node.node) ||
        node.hasEnded(number) ||
        (node.stateOf(number) ?? "announced") !== "announced"
    )
  }

  /** An epoch before this one, that lives at a correct node. */
  old(number: number): string | undefined {
    for (const node of this.#parts.nodes) {
      const old = this.#parts.correct.has(node.node) && node.numbers.find((it) => it < number)
      if (old) return `epoch ${old} is ${node.stateOf(old)}, and still lives at node ${node.node}`
    }
    return undefined
  }
}
