/**
 * One list of promises over three transports: the simulator, links and unary calls on real sockets,
 * with a fault proxy on every way. P9 and P13 have tests of their own: they speak of no transport.
 */
import { beforeAll, describe, expect, it } from "vitest"
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
  const runs = new Map<ScenarioName, ReadonlyArray<Run>>()
  beforeAll(async () => {
    for (const [scenario, it] of Object.entries(SCENARIOS)) {
      const all: Array<Run> = []
      for (const seed of seeds) all.push(await run(it, seed))
      runs.set(scenario as ScenarioName, all)
    }
  }, SLOW.timeout)

  it.each(BATTERY)("$promise", ({ scenario, tried }) => {
    const all = runs.get(scenario)!
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
