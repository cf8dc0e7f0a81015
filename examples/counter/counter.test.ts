import { it } from "@effect/vitest"
import { Simulation } from "quorate/testing"
import { CounterNode } from "./counter.ts"

it.effect("every call is counted once, whoever leads", () =>
  Simulation.check(
    CounterNode,
    { nodes: 3, runs: 100, calls: { add: [{ amount: 1 }, { amount: 10 }, { amount: -3 }] } },
    (run) => [run.agreement("add", ({ total }) => total), run.answered("add", 1)]
  )
)
