/** Tails of a few dozen words, and members away for longer than these last. */
import { describe, expect, it } from "vitest"
import { apart, BRACHA, type Group, PAXOS, TINY, watched } from "./watched.ts"

const WILD = { faults: "all", crash: true, callsPerClient: 80, limits: TINY } as const

/** @param away a member that is kept from all others for most of the run */
const sum = (group: Group, seeds: number, away: (seed: number) => number) => {
  const total = { cut: 0, installed: 0, lost: 0 }
  for (let seed = 1; seed <= seeds; seed++) {
    const { habits: _, ...drawn } = group
    const { run, saw } = watched({ ...drawn, ...WILD, seed }, (parts) => {
      parts.world.time.after(500, () => apart(parts, away(seed), 2_500))
    })
    expect(run.failure, `seed ${seed}`).toBeUndefined()
    for (const { cut, installed, lost } of saw.values()) {
      total.cut += cut
      total.installed += installed
      total.lost += lost
    }
  }
  return total
}

const SEEDS = 50

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
})
