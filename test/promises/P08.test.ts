/** P8: Every queue and table of a node is bounded, whoever sends what; the bounds are told. */
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { worstCase, worstCaseTable } from "../../src/base/worstCase.ts"
import type { Engine } from "../../src/server/engine.ts"
import { choicesOf, type Decorate, simulate } from "../../src/testing/index.ts"
import { readSource } from "../support/repo.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { stepping } from "../sim/support.ts"

const GROUP = { members: 4, rows: 2, laneInstances: 0, applications: 0 }

describe("P8", () => {
  it("the guide's table of what a node keeps at worst is that of the limits in force", () => {
    const table = worstCaseTable(worstCase(LIMITS, GROUP))
    console.log(`what one node of four, with two phases, keeps at worst:\n${table}`)
    expect(readSource("docs/guide/running-groups.md").text).toContain(table)
  })

  it("every number of the engine's size has its row", () => {
    const rows = worstCase(LIMITS, GROUP).flatMap(({ table }) => table ?? [])
    const sizes: Array<string> = []
    const engine: Decorate["engine"] = (it) => {
      sizes.push(...Object.keys(it.size()))
      return it
    }
    simulate({ ...RUN, seed: 1, decorate: { engine } })
    // Of the tail `tailBytesMax` stops new calls; those under way still add their words.
    expect([...new Set(sizes)].filter((name) => !rows.includes(name))).toEqual([
      "tail",
      "tailBytes"
    ])
  })

  it.each([
    ["crowded", { sessionsMax: 3, sessionEvictAgeMs: 200 }],
    ["with small windows", { windowCalls: 4, earlyVotesMax: 4 }],
    ["with few calls", { windowCalls: 4, callsPerClientMax: 8, callsMax: 24 }],
    ["with room for few bytes", { bodyBytesMax: 64, clientBytesMax: 128, clientsBytesMax: 256 }]
  ])(
    "liars, bad clients, crashes and breaks fill no table beyond its row: %s",
    SLOW,
    (_, tight) => {
      const limits: Limits = { ...LIMITS, ...tight }
      const rows = worstCase(limits, GROUP)
      let looked = 0
      const most: Record<string, number> = {}
      const engine = (it: Engine) =>
        stepping((step) => (input) => {
          const outputs = step(input)
          const size = it.size()
          for (const { table, count } of rows) {
            if (table === undefined) continue
            most[table] = Math.max(most[table] ?? 0, size[table]!)
            if (size[table]! > count) throw new Error(`${size[table]} ${table}, at most ${count}`)
          }
          looked++
          return outputs
        })(it, 1)
      for (let seed = 1; seed <= seedsOf(15); seed++) {
        const run = simulate({ ...RUN, seed, limits: tight, decorate: { engine } })
        expect(run.failure, `seed ${seed}`).toBeUndefined()
      }
      expect(looked).toBeGreaterThan(10_000)
      expect(most["sessions"]).toBeGreaterThan(2)
    }
  )
})

const RUN = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 1,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast: [{ text: "a" }, { text: "b" }, { text: "c" }] }),
  faults: "all",
  crash: true,
  clients: 6,
  promises: { totality: false, quorums: true }
} as const
