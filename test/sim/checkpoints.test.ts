/** Nodes that cut their logs, crash and boot from what is left; and the bugs that must show. */
import { describe, expect, it } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { recordMarks } from "../../src/base/mark.ts"
import type { Engine } from "../../src/server/engine.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import {
  choicesOf,
  type Decorate,
  type SimulateOptions,
  simulate
} from "../../src/testing/index.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { firstFailure, overEngine } from "./support.ts"

const promises = { totality: true, quorums: true }
const text = "a".repeat(300)
const BRACHA: Omit<SimulateOptions, "seed"> = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 1,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast: [{ text }] }),
  faults: "all",
  crash: true,
  callsPerClient: 16,
  promises
}
const PAXOS: Omit<SimulateOptions, "seed"> = {
  spec: Paxos.spec,
  nodes: 3,
  byzantine: 0,
  model: "crash",
  leader: 1,
  choices: choicesOf(Paxos.spec, {
    submit: [
      { command: { case: "put", value: { key: "k", value: text } } },
      { command: { case: "compareAndSet", value: { key: "k", expected: text, value: "w" } } }
    ]
  }),
  faults: "all",
  crash: true,
  callsPerClient: 16,
  promises
}

/** Checkpoints without entries of this kind. */
const forgetful = (kind: LogEntry["kind"]): Decorate => ({
  engine: (engine: Engine) =>
    overEngine(engine, {
      checkpoint: () => ({
        entries: engine.checkpoint().entries.filter((entry) => entry.kind !== kind)
      })
    })
})

describe("checkpoints", SLOW, () => {
  it.each([
    ["reliable broadcast", BRACHA],
    ["paxos", PAXOS]
  ])("of %s keep every promise, made and read back in many runs", (_, options) => {
    let [made, read] = [0, 0]
    for (let seed = 1; seed <= seedsOf(40); seed++) {
      const marks = recordMarks(() => {
        const run = simulate({ ...options, seed })
        expect(run.failure, `seed ${seed}`).toBeUndefined()
      })
      made += marks.get("host: checkpoint") ?? 0
      read += marks.get("engine: began with a checkpoint") ?? 0
    }
    expect(made).toBeGreaterThan(seedsOf(80))
    expect(read).toBeGreaterThan(seedsOf(10))
  })

  it.each<[string, Omit<SimulateOptions, "seed">, Decorate]>([
    ["answers", BRACHA, forgetful("final")],
    ["sessions", BRACHA, forgetful("session")],
    ["words", BRACHA, forgetful("word")],
    ["worlds' state", PAXOS, forgetful("state")],
    ["applications' state", PAXOS, forgetful("installed")]
  ])("that forget %s are found", (_, options, decorate) => {
    expect(firstFailure({ ...options, decorate }, 200)?.failure).toBeDefined()
  })
})
