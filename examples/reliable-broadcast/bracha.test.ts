import { it } from "@effect/vitest"
import { Simulation } from "quorate/testing"
import { Bracha } from "./bracha.ts"

it.effect("correct nodes deliver the same text", () =>
  Simulation.check(
    Bracha,
    { nodes: 4, byzantine: 1, runs: 100, calls: { broadcast: [{ text: "a" }, { text: "b" }] } },
    (run) => [run.agreement("broadcast", (d) => d.text), run.answered("broadcast", 3)]
  )
)
