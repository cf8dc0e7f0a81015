/** A million inputs for the decoders; findings of before; and whether a bug would be found. */
import { fileURLToPath } from "node:url"
import { describe, expect, it } from "vitest"
import { execute, temporaryFolder } from "../support/processes.ts"
import { findings, fuzz, type Outcome, type Target } from "./fuzz.ts"
import { TARGETS } from "./targets.ts"

const MAIN = fileURLToPath(new URL("./main.ts", import.meta.url))
const INPUTS = 1_000_000
const PROCESSES = 2

describe("decoders of what others send", () => {
  it.each(findings())("stand what once broke them: $file", ({ target, bytes }) => {
    TARGETS.find(({ name }) => name === target)!.run(bytes)
  })

  it("stand a million inputs, in bounded time each and in memory that does not grow", async () => {
    // Every other one here, so that the dear ones are shared.
    const names = Array.from({ length: PROCESSES }, (_, at) =>
      TARGETS.filter((_, i) => i % PROCESSES === at).map(({ name }) => name)
    )
    const run = async (chosen: ReadonlyArray<string>): Promise<ReadonlyArray<Outcome>> => {
      const flags = ["--expose-gc", "--conditions=quorate-source"]
      const share = ["--target", chosen.join(), "--inputs", String(INPUTS / PROCESSES), "--json"]
      return JSON.parse(await execute(process.execPath, [...flags, MAIN, ...share]))
    }
    const outcomes = (await Promise.all(names.map(run))).flat()
    expect(outcomes.map(({ target }) => target).sort()).toEqual(
      TARGETS.map(({ name }) => name).sort()
    )
    expect(outcomes.reduce((sum, { inputs }) => sum + inputs, 0)).toBeGreaterThanOrEqual(INPUTS)
    for (const { target, taken, inputs } of outcomes) {
      expect(taken, target).toBeGreaterThan(inputs / 100)
      expect(taken, target).toBeLessThan(inputs)
    }
  }, 240_000)
})

describe("the fuzzer", () => {
  const corpus = () => [Uint8Array.of(1, 2, 3), Uint8Array.of(4, 5, 6, 7)]
  const target = (run: Target["run"]): Target => ({ name: "planted", cost: 1, corpus, run })

  it("finds a bug, keeps the least bytes that show it, and reads them back", () => {
    const folder = temporaryFolder()
    const planted = target((bytes) => {
      if (bytes.includes(0xff) && bytes.includes(3)) throw new Error(`planted\nat some place`)
      return true
    })
    const { finding } = fuzz(planted, { inputs: 10_000, seed: 1, folder })
    expect(finding?.what).toBe("planted")
    const [found] = findings(folder)
    expect([found!.target, [...found!.bytes].sort()]).toEqual(["planted", [255, 3]])
  })

  it("finds an input that takes too long, and a valid one that is refused", () => {
    const folder = temporaryFolder()
    const slow = target((bytes) => {
      const before = process.threadCpuUsage()
      while (bytes.length > 20 && process.threadCpuUsage(before).user < 30_000);
      return true
    })
    const options = { inputs: 10_000, seed: 1, folder }
    expect(fuzz(slow, options).finding?.what).toMatch(/^an input of \d+ bytes took \d\d/)
    const choosy = target((bytes) => bytes[0] !== 4)
    expect(fuzz(choosy, options).finding?.what).toBe("valid bytes were refused")
  })

  it("does the same again with the same seed", () => {
    const seen = (seed: number): string => {
      const all: Array<string> = []
      const noting = target((bytes) => all.push(Buffer.from(bytes).toString("hex")) > 0)
      fuzz(noting, { inputs: 500, seed, folder: temporaryFolder() })
      return all.join()
    }
    expect(seen(7)).toBe(seen(7))
    expect(seen(8)).not.toBe(seen(7))
  })
})
