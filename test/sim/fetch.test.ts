/** States larger than a message, fetched while everything else goes wrong. */
import { afterEach, describe, expect, it, vi } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { FetchCore } from "../../src/link/fetchCore.ts"
import type { FetchAnswer } from "../../src/link/fetchStore.ts"
import { Prng } from "../../src/base/prng.ts"
import { IncomingBlob } from "../../src/link/incomingBlob.ts"
import type { Decorate, SimulationParts, SimulationRun } from "../../src/testing/index.ts"
import { choicesOf, simulate } from "../../src/testing/index.ts"
import { lyingAnswer } from "../../src/testing/serveFetches.ts"
import { seedsOf } from "../support/seeds.ts"
import { apart, type Group, PAXOS, TINY } from "./watched.ts"

const value = "a".repeat(300)
const puts = Array.from({ length: 40 }, (_, i) => ({
  command: { case: "put", value: { key: `k${i}`, value } }
}))
const LARGE: Group = {
  ...PAXOS,
  choices: choicesOf(Paxos.spec, { submit: puts }),
  faults: "all",
  crash: true,
  callsPerClient: 80,
  limits: {
    ...TINY,
    bodyBytesMax: 4096,
    fetchBytesMax: 262_144,
    fetchChunkBytes: 512,
    fetchBytesPerSecond: 50_000,
    fetchTimeoutMs: 500,
    fetchStallMs: 2_000,
    fetchIdleMs: 5_000
  }
}

/** What came to nodes in the run. */
const counts = { fetched: 0, chunks: 0, reused: 0, lied: 0, slow: 0 }
const count = (run: SimulationRun): void => {
  for (const { core } of run.hosts) {
    if (core === undefined) continue
    const { chunks, reused, lied, slow } = core.fetches.counters
    counts.chunks += chunks
    counts.reused += reused
    counts.lied += lied
    counts.slow += slow
    expect(core.fetches.size.offers).toBeLessThanOrEqual(2)
  }
}

/** One member, by turns, is kept from all others for most of the run. */
const wild = (seed: number, decorate: Decorate = {}): SimulationRun => {
  const { habits: _, ...group } = LARGE
  const away = 2 + (seed % 2)
  const script = (parts: SimulationParts): void => {
    parts.world.time.after(500, () => apart(parts, away, 2_500))
  }
  const start = FetchCore.prototype.start
  const starts = vi.spyOn(FetchCore.prototype, "start").mockImplementation(function (
    this: FetchCore,
    ...args
  ) {
    counts.fetched++
    return start.apply(this, args)
  })
  const run = simulate({ ...group, seed, script, decorate })
  starts.mockRestore()
  count(run)
  return run
}

/** Node 1 leads: with it nothing else comes to nothing. */
const lies = (answer: FetchAnswer, node: number): FetchAnswer =>
  node === 1 || answer.kind !== "given" || answer.bytes.length === 0
    ? answer
    : { kind: "given", bytes: answer.bytes.with(0, answer.bytes[0]! ^ 1) }

afterEach(() => {
  vi.restoreAllMocks()
  Object.assign(counts, { fetched: 0, chunks: 0, reused: 0, lied: 0, slow: 0 })
})

const SEEDS = seedsOf(8)
const each = (decorate?: Decorate): void => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    expect(wild(seed, decorate).failure, `seed ${seed}`).toBeUndefined()
  }
}

describe("a state of several messages", { timeout: 600_000 }, () => {
  it("is fetched while links break, nodes crash and asks are lost", () => {
    each()
    expect(counts.fetched).toBeGreaterThan(SEEDS / 4)
    expect(counts.chunks).toBeGreaterThan(20)
  })

  it("is fetched from who does not lie", () => {
    each({ fetch: lies })
    expect(counts.lied).toBeGreaterThan(0)
  })

  it("is fetched from who does not lie in any way", () => {
    const random = new Prng(7)
    each({
      fetch: (answer, node) =>
        node === 1 || random.chance(500) ? answer : lyingAnswer(random, answer)
    })
    expect(counts.lied).toBeGreaterThan(0)
  })

  it("is fetched from who is not silent", () => {
    each({ fetch: (answer, node) => (node === 1 ? answer : undefined) })
    expect(counts.slow).toBeGreaterThan(0)
  })

  it("whose chunks nobody checks is found to be another", () => {
    vi.spyOn(IncomingBlob.prototype, "took").mockImplementation(function (this: any, ...chunk) {
      this.put(...chunk)
      return true
    })
    let found: string | undefined
    for (let seed = 1; found === undefined && seed <= 100; seed++) {
      found = wild(seed, { fetch: lies }).failure
    }
    expect(found).toMatch(/state: node \d took one/)
  })
})
