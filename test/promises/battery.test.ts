/**
 * One list of promises over three transports: the simulator, links and unary calls on real sockets,
 * with a fault proxy on every way. P9 and P13 have tests of their own: they speak of no transport.
 */
import { describe, expect, it } from "vitest"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { realRun } from "../support/realRun.ts"
import { SLOW } from "../support/seeds.ts"
import { BATTERY, type Run, type ScenarioName, SCENARIOS, TRANSPORTS } from "./battery.ts"

/** Answers another text than it was asked for. */
const otherwise = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => ({
    ...method,
    output: {
      ...method.output,
      encode: (reply: object) => method.output.encode({ ...reply, text: "otherwise" })
    }
  }))
})

it("the judges see what happens on real sockets: a node that answers otherwise", async () => {
  const { throws } = SCENARIOS
  const planted = { throws: { node: 2, over: otherwise } }
  const few = throws.choices.slice(0, 8)
  const options = { ...throws, choices: few, faults: planted, transport: "link", seed: 1 } as const
  const { failure } = await realRun(options)
  expect(failure).toMatch(/agreement: node \d answered call \d of session .* unlike another/)
})

describe.each(TRANSPORTS)("over $name", { timeout: SLOW.timeout }, ({ name, run, seeds }) => {
  /** Made for the first row that asks for it. */
  const runs = new Map<ScenarioName, Promise<ReadonlyArray<Run>>>()
  const runsOf = (scenario: ScenarioName): Promise<ReadonlyArray<Run>> => {
    const known = runs.get(scenario)
    if (known !== undefined) return known
    const all = (async () => {
      const made: Array<Run> = []
      for (const seed of seeds) made.push(await run(SCENARIOS[scenario], seed))
      return made
    })()
    runs.set(scenario, all)
    return all
  }

  it.each(BATTERY)("$promise", async ({ scenario, tried }) => {
    const all = await runsOf(scenario)
    for (const [i, { failure }] of all.entries()) {
      expect(failure, `${scenario} over ${name}, seed ${seeds[i]}`).toBeUndefined()
    }
    const trials = all.map(({ seen }) => tried(seen))
    for (const [i] of trials[0]!.entries()) {
      const most = Math.max(...trials.map((numbers) => numbers[i]!))
      expect(most, JSON.stringify(all.map(({ seen }) => seen))).toBeGreaterThan(0)
    }
  })
})
