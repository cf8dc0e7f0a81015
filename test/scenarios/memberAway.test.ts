/** A member that is away for long: the others do not wait for it, and keep little for it. */
import { describe, expect, it } from "vitest"
import type { Engine } from "../../src/server/engine.ts"
import type { SimulationParts } from "../../src/testing/index.ts"
import {
  apart,
  BRACHA,
  type Group,
  latencyMs,
  PAXOS,
  stateOf,
  TINY,
  type Watched,
  watched
} from "../sim/watched.ts"

const [LEFT_MS, BACK_MS, END_MS] = [4_000, 64_000, 80_000]
const LOAD = {
  clients: 4,
  callsPerClient: 1_000,
  habits: { ...BRACHA.habits, gapMsMax: 130, openMax: 4 },
  scriptMs: END_MS,
  limits: TINY
} as const
/** Of the words that one call makes a node say. */
const CALL_BYTES = 300

/** A member is away; once it is back another one is, so that nothing goes on without the first. */
const away = (group: Group, plant?: (engine: Engine) => void): Watched => {
  const script = (parts: SimulationParts): void => {
    const { time } = parts.world
    time.after(LEFT_MS, () => apart(parts, group.nodes, BACK_MS - LEFT_MS))
    time.after(BACK_MS + 5_000, () => apart(parts, group.nodes - 1, 5_000))
  }
  return watched({ ...group, ...LOAD, seed: 1 }, script, plant)
}

const judge = ({ run, saw, tailBytes }: Watched): void => {
  expect(run.failure).toBeUndefined()
  const { calls } = run.checkers
  expect(calls.every((call) => call.result?.ok)).toBe(true)
  // What it misses would fill a tail many times over.
  const missed = calls.filter((call) => call.calledMs > LEFT_MS && call.calledMs < BACK_MS)
  expect(missed.length * CALL_BYTES).toBeGreaterThan(10 * TINY.tailBytesMax)
  // Calls are refused above it; those that are open still speak.
  for (const bytes of tailBytes.values()) expect(bytes).toBeLessThan(1.25 * TINY.tailBytesMax)
  // As fast at the end as when it had just left.
  const first = latencyMs(run, LEFT_MS, LEFT_MS + 15_000)
  expect(latencyMs(run, BACK_MS - 15_000, BACK_MS)).toBeLessThan(1.2 * first)
  const away = run.hosts.at(-1)!.node
  expect(saw.get(away)!.cut).toBeGreaterThan(0)
  // Calls that only it and the rest could answer.
  const late = calls.filter((c) => c.calledMs > BACK_MS + 5_500 && c.endedMs < BACK_MS + 9_500)
  expect(late.length).toBeGreaterThan(10)
}

describe("one member away for a day", { timeout: 120_000 }, () => {
  it("the others go on at full speed in bounded memory; back again it takes part", () => {
    judge(away(BRACHA))
  })

  it("of paxos it is told that it is behind, and fetches the state", () => {
    const result = away(PAXOS)
    judge(result)
    const { installed, behind } = result.saw.get(3)!
    expect(installed).toBeGreaterThan(0)
    expect(behind).toBeGreaterThan(0)
    const [first, , away3] = result.run.hosts.map(stateOf)
    expect(away3).toEqual(first)
  })

  it.each<[string, Group, (parts: any) => void]>([
    ["a tail that is never cut", BRACHA, ({ core }) => (core.says.cut = () => {})],
    ["a cut that nobody is told of", PAXOS, ({ recovery }) => (recovery.tellCut = () => {})],
    ["a hook that never runs", PAXOS, ({ hooks }) => (hooks.ofLane = () => {})]
  ])("is held against %s", (_, group, plant) => {
    expect(() => judge(away(group, plant))).toThrow()
  })
})
