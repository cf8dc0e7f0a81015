/** Many clients and room for few sessions: nodes forget, and nothing that was forgotten runs. */
import { expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { choicesOf, type SimulateOptions, simulate } from "../../src/testing/index.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { firstFailure, forgetting } from "./support.ts"

const CROWDED: Omit<SimulateOptions, "seed"> = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 1,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast: [{ text: "a" }, { text: "b" }, { text: "c" }] }),
  faults: "all",
  crash: true,
  // Totality is promised of sessions that are open everywhere.
  promises: { totality: false, quorums: true },
  clients: 6,
  limits: { sessionsMax: 3, sessionEvictAgeMs: 200 }
}

it("P7: what a node has forgotten it never works on again, in 50 seeds", SLOW, () => {
  const totals = { answered: 0, evictions: 0 }
  for (let seed = 1; seed <= seedsOf(50); seed++) {
    const run = simulate({ ...CROWDED, seed })
    expect(run.failure, `seed ${seed}`).toBeUndefined()
    totals.answered += run.checkers.answered
    totals.evictions += run.checkers.evictions
  }
  expect(totals.answered).toBeGreaterThan(seedsOf(250))
  expect(totals.evictions).toBeGreaterThan(seedsOf(125))
})

it("finds a planted bug: a horizon not durable", () => {
  const run = firstFailure({ ...CROWDED, decorate: forgetting("horizon") }, 500)
  expect(run?.failure).toMatch(/P7: .* which it evicted|P7: the horizon|P8: .* sessions/)
})
