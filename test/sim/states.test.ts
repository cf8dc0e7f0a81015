/** The judge of states: what an application holds in the end is what a run in order makes. */
import { describe, expect, it } from "vitest"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { type CrashPoint, crashAt, crashPoints, type Decorate } from "../../src/testing/index.ts"
import { choicesOf, type SimulateOptions } from "../../src/testing/index.ts"
import { PROTOCOLS } from "../../tools/protocols.ts"
import { SCENARIOS } from "../../tools/scenarios.ts"
import { Sum } from "../../tools/sum.ts"
import { SLOW } from "../support/seeds.ts"
import { firstFailure, stepping } from "./support.ts"

const { application } = Sum.world!
/** Its answers tell nothing. */
const Mute: ProtocolSpec = {
  ...Sum,
  world: {
    ...Sum.world,
    application: {
      ...application!,
      apply: (state, command, context) => {
        application!.apply(state, command, context)
        return {}
      }
    }
  }
}
const options: Omit<SimulateOptions, "seed"> = {
  ...{ spec: Mute, nodes: 3, byzantine: 0, model: "crash", leader: 1, faults: "all", crash: true },
  choices: choicesOf(Mute, PROTOCOLS["sum"]!.calls),
  promises: { totality: true, quorums: true }
}

describe("finds", () => {
  it("a node that loses what a command does, where no answer shows it", SLOW, () => {
    const spec = (it: ProtocolSpec, node: number): ProtocolSpec => {
      const { apply } = it.world!.application!
      const lossy: typeof apply = (state, command, context) =>
        node === 2 && context.index === 3 ? {} : apply(state, command, context)
      return {
        ...it,
        world: { ...it.world, application: { ...it.world!.application!, apply: lossy } }
      }
    }
    const found = firstFailure({ ...options, decorate: { spec } }, 20)
    expect(found?.failure).toMatch(/state: node 2 holds one at slots\/\d+ unlike/)
    expect(firstFailure(options, 20)?.failure).toBeUndefined()
  })

  it("a node that forgets, once it restarts, how far the state it was handed goes", SLOW, () => {
    const stale: Decorate = {
      engine: stepping((step) => (input) => {
        if (input.kind !== "replay") return step(input)
        const entries = input.record.entries.map((entry) =>
          entry.kind === "installed" ? { ...entry, index: entry.index + 1 } : entry
        )
        return step({ ...input, record: { entries } })
      })
    }
    const scenario = { ...SCENARIOS["state transfer"]!(1), decorate: stale }
    const late = (point: CrashPoint, i: number) => point.node === 3 && i % 20 === 0
    const found = crashPoints(scenario)
      .filter(late)
      .filter((p) => crashAt(scenario, p).failure)
    expect(found.length).toBeGreaterThan(0)
  })
})
