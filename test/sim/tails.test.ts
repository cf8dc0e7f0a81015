/** Tails of a few dozen words, and members away for longer than these last. */
import { describe, expect, it } from "vitest"
import type { SimulationParts } from "../../src/testing/index.ts"
import { seedsOf } from "../support/seeds.ts"
import { apart, BRACHA, type Group, PAXOS, TINY, watched } from "./watched.ts"

const WILD = { faults: "all", crash: true, callsPerClient: 80, limits: TINY } as const

/** @param away a member that is kept from all others for most of the run */
const wild = (group: Group, seed: number, away: number, plant?: (engine: any) => void) => {
  const { habits: _, ...drawn } = group
  const script = (parts: SimulationParts): void => {
    parts.world.time.after(500, () => apart(parts, away, 2_500))
  }
  return watched({ ...drawn, ...WILD, seed }, script, plant)
}

const sum = (group: Group, seeds: number, away: (seed: number) => number) => {
  const total = { cut: 0, installed: 0, lost: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const { run, saw } = wild(group, seed, away(seed))
    expect(run.failure, `seed ${seed}`).toBeUndefined()
    for (const { cut, installed, lost } of saw.values()) {
      total.cut += cut
      total.installed += installed
      total.lost += lost
    }
  }
  return total
}

const SEEDS = seedsOf(16)

describe("tiny tails and long partitions, with all other faults", { timeout: 600_000 }, () => {
  it("reliable broadcast keeps its promises where no word was cut", () => {
    const { cut } = sum({ ...BRACHA, byzantine: 1 }, SEEDS, (seed) => 1 + (seed % 4))
    expect(cut).toBeGreaterThan(SEEDS)
  })

  it("paxos keeps them everywhere: who missed slots fetches the state", () => {
    const { cut, installed } = sum(PAXOS, SEEDS, (seed) => 2 + (seed % 2))
    expect(cut).toBeGreaterThan(0)
    expect(installed).toBeGreaterThan(0)
  })

  it.each<[string, (parts: any) => void]>([
    [
      "cuts what few have taken",
      ({ core: { says } }) => {
        const cut = says.cut.bind(says)
        says.cut = (_: number, bytesMax: number, keep: unknown) => cut(says.last, bytesMax, keep)
      }
    ],
    ["tells nobody of a cut", ({ recovery }) => (recovery.tellCut = () => {})],
    ["never runs the hook", ({ recovery }) => (recovery.gone.onBehind = () => {})]
  ])("finds a node that %s", (_, plant) => {
    const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
    const found = seeds.some((seed) => wild(PAXOS, seed, 2 + (seed % 2), plant).run.failure)
    expect(found).toBe(true)
  })
})
