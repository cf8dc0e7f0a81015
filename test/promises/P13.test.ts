/** P13: The same seed gives the same run, to the byte. */
import { describe, expect, it } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { choicesOf, type SimulateOptions, simulate } from "../../src/testing/index.ts"

const common = { faults: "all", crash: true, promises: { totality: true, quorums: true } } as const
const WORLDS: ReadonlyArray<readonly [string, Omit<SimulateOptions, "seed">]> = [
  [
    "reliable broadcast",
    {
      ...common,
      spec: Bracha.spec,
      nodes: 4,
      byzantine: 1,
      model: "byzantine",
      choices: choicesOf(Bracha.spec, { broadcast: [{ text: "a" }, { text: "b" }] })
    }
  ],
  [
    "paxos",
    {
      ...common,
      spec: Paxos.spec,
      nodes: 3,
      byzantine: 0,
      model: "crash",
      choices: choicesOf(Paxos.spec, {
        submit: [{ command: { case: "put", value: { key: "k", value: "v" } } }]
      })
    }
  ]
]

describe("P13", () => {
  it.each(WORLDS)("%s: two runs of a seed are one run, two seeds are two", (_, options) => {
    const hashes = new Set<string>()
    for (let seed = 1; seed <= 12; seed++) {
      const [first, second] = [simulate({ ...options, seed }), simulate({ ...options, seed })]
      expect(second.hash).toBe(first.hash)
      expect([second.steps, second.virtualMs]).toEqual([first.steps, first.virtualMs])
      hashes.add(first.hash)
    }
    expect(hashes.size).toBe(12)
  })

  it.each(WORLDS)("%s: what one run leaves behind changes no other", (_, options) => {
    const alone = simulate({ ...options, seed: 5 }).hash
    for (const seed of [7, 3, 11]) simulate({ ...options, seed })
    expect(simulate({ ...options, seed: 5 }).hash).toBe(alone)
  })
})
