/** A scenario of the battery in the simulator: all of its faults, and what the scenario adds. */
import type { Engine } from "../../src/server/engine.ts"
import { isSession } from "../../src/server/laneKey.ts"
import { type Decorate, type SimulationParts, simulate } from "../../src/testing/index.ts"
import { callKey } from "../../src/testing/checkAnswers.ts"
import { stepping } from "../sim/support.ts"
import type { RealRun, Seen } from "../support/realRun.ts"
import type { Scenario } from "./battery.ts"

/** Longer than all other faults. */
const STUCK_MS = 4_000

export const simulatedRun = (scenario: Scenario, seed: number): RealRun => {
  const { spec, nodes, model, promises, choices, garbled = [], faults } = scenario
  const { stuck, cancels, throws } = faults
  const tally = { resumes: 0, early: 0, looks: 0 }
  const dropped: { [reason: string]: number } = {}
  const engines: Array<Engine> = []
  const engine: Decorate["engine"] = (it, node) => {
    engines.push(it)
    return counting(tally)(it, node)
  }
  const over: Decorate["spec"] = (spec, node) => (node === throws?.node ? throws.over(spec) : spec)
  const script = ({ world, hosts }: SimulationParts): void => {
    for (const { node } of hosts) {
      if (stuck === undefined || node === stuck) continue
      world.network.cut(stuck, node, STUCK_MS)
    }
  }
  const run = simulate({
    ...{ spec, nodes, model, promises, choices, seed, script, scriptMs: STUCK_MS },
    ...{ byzantine: garbled.length, faults: "all", decorate: { engine, spec: over } },
    ...(cancels !== undefined && { habits: { cancels } }),
    // A node whose handlers throw is one that fails: another may not lose its disk beside it.
    crash: throws === undefined,
    mayPoison: throws !== undefined
  })
  for (const { counters } of engines) {
    for (const [reason, count] of Object.entries(counters)) {
      dropped[reason] = (dropped[reason] ?? 0) + count
    }
  }
  const { checkers, hosts, breaks } = run
  const seen: Seen = {
    ...{ ...tally, dropped, answered: checkers.answered, records: checkers.records },
    ...{ reconnects: breaks, boots: hosts.reduce((sum, { boots }) => sum + boots, 0) },
    refused: breaks,
    cancelled: checkers.calls.filter(({ result }) => result === undefined).length
  }
  return { failure: run.failure, seen }
}

const counting = (tally: { resumes: number; early: number; looks: number }) => {
  const known = new Set<string>()
  return stepping((step) => (input) => {
    tally.looks++
    if (input.kind === "request") known.add(callKey(input.request.session, input.request.index))
    if (input.kind === "message") {
      const { message } = input
      if (message.kind === "resume") tally.resumes++
      const session = message.kind === "word" && isSession(message.lane)
      if (session && !known.has(callKey(message.lane, message.index))) tally.early++
    }
    return step(input)
  })
}
