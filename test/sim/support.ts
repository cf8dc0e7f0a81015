/** Bugs wrapped onto a node from outside; the code under test has no switch for them. */
import type { NodeId } from "../../src/base/NodeId.ts"
import type { Quorum, System } from "../../src/quorum/QuorumSystem.ts"
import type { HostEngine } from "../../src/link/hostCore.ts"
import type { Engine } from "../../src/server/engine.ts"
import type { Input } from "../../src/server/Input.ts"
import type { Output } from "../../src/server/Output.ts"
import type { Decorate, SimulateOptions, SimulationRun } from "../../src/testing/index.ts"
import { simulate } from "../../src/testing/index.ts"

type Step = (input: Input) => ReadonlyArray<Output>

/** An engine some of which is another one's. */
export const overEngine = (engine: Engine, changed: Partial<HostEngine>): HostEngine =>
  Object.assign(Object.create(engine) as Engine, changed)

/** An engine whose `step` is another one over it. */
export const stepping = (change: (step: Step) => Step): NonNullable<Decorate["engine"]> => {
  return (engine: Engine) => {
    const step = change((input) => engine.step(input))
    return overEngine(engine, { step })
  }
}

const oneShort = (quorum: Quorum): Quorum => ({
  name: quorum.name,
  needed: quorum.needed - 1,
  has: (set) => set.count >= quorum.needed - 1
})

/** Every quorum of a node is one member short. */
export const quorumOneShort: Decorate = {
  system: (system: System, _node: NodeId) => ({ ...system, quorum: oneShort(system.quorum) })
}

/** What a step says and answers leaves before what it stores is durable. */
export const replyBeforeDurable: Decorate = {
  engine: stepping((step) => (input) => {
    const [first, ...rest] = step(input)
    if (first === undefined) return []
    return first.kind === "store" ? [...rest, first] : [first, ...rest]
  })
}

/** A restarted node reads its log without what this drops. */
export const forgetting = (
  kind: "word" | "final" | "decided" | "horizon" | "stored"
): Decorate => ({
  engine: stepping((step) => (input) => {
    if (input.kind !== "replay") return step(input)
    const entries = input.record.entries.filter((entry) => entry.kind !== kind)
    return step({ ...input, record: { entries } })
  })
})

/** A node that does not repeat its words after a break. */
export const deafToWants: Decorate = {
  engine: stepping((step) => (input) => {
    if (input.kind !== "message" || input.message.kind !== "want") return step(input)
    return step({ ...input, message: { kind: "want", position: Number.MAX_SAFE_INTEGER } })
  })
}

/** Runs seeds from `first` on until one fails; `undefined` when none of `seeds` does. */
export const firstFailure = (
  options: Omit<SimulateOptions, "seed">,
  seeds: number,
  first = 1
): SimulationRun | undefined => {
  for (let seed = first; seed < first + seeds; seed++) {
    const run = simulate({ ...options, seed })
    if (run.failure !== undefined) return run
  }
  return undefined
}
