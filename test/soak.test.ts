/** A slice of the soak, and the judge of its curves. */
import { describe, expect, it } from "vitest"
import { drawn, judged, rise } from "../tools/soak/curve.ts"
import { runSource } from "./support/processes.ts"

describe("a curve of memory", () => {
  const values = (count: number, at: (i: number) => number) =>
    Array.from({ length: count }, (_, i) => at(i))
  const bounds = { share: 0.1, floorMiB: 4 }
  const MIB = 2 ** 20
  const noise = (i: number): number => ((i * 7919) % 13) - 6

  it("is drawn from its lowest to its highest value", () => {
    expect(drawn([1, 2, 3, 8])).toBe("▁▂▃█")
    expect(drawn([5, 5])).toBe("▁▁")
  })

  it("rises by the median of all slopes, so that odd values move it little", () => {
    expect(rise(values(101, (i) => 3 * i + noise(i)))).toBeCloseTo(300, -1)
    expect(rise(values(101, (i) => (i === 50 ? 1e9 : 40)))).toBe(0)
    expect(rise([7])).toBe(0)
  })

  it("is flat where it only rises in its first tenth, or within the floor", () => {
    const begins = values(100, (i) => (Math.min(i, 9) * 10 + 100 + noise(i)) * MIB)
    expect(judged("a", begins, bounds).flat).toBe(true)
    const creeps = values(100, (i) => (20 + i / 40 + noise(i) / 100) * MIB)
    expect(judged("a", creeps, bounds).flat).toBe(true)
  })

  it("is not where it goes on to rise, and says by how much", () => {
    const leaks = values(100, (i) => (100 + i / 4 + noise(i)) * MIB)
    const verdict = judged("a", leaks, bounds)
    expect(verdict.flat).toBe(false)
    expect(verdict.riseMiB).toBeCloseTo(22, 0)
  })
})

describe.each(["link", "unary"])("a slice of the soak, clients on %s", (transport) => {
  it("answers and delivers each call once, though connections are cut", async () => {
    const calls = 3_000
    const args = ["--calls", String(calls), "--cut-every", "100", "--transport", transport]
    const { code, stdout, stderr } = await runSource("tools/soak.ts", [...args, "--json"]).ended
    expect(stderr).toBe("")
    const result = JSON.parse(stdout)
    expect(result.wrong).toEqual([])
    expect(code).toBe(0)
    for (const { once, again, lost } of result.delivered) {
      expect([once + lost, again]).toEqual([calls, 0])
    }
    expect(result.answered).toBe(calls)
    expect(result.cuts).toBeGreaterThan(5)
    for (const [most, limit] of Object.values<[number, number]>(result.tables)) {
      expect(most).toBeLessThanOrEqual(limit)
    }
  }, 180_000)
})

it("says what is wrong with its options", async () => {
  const { code, stderr } = await runSource("tools/soak.ts", ["--links", "none"]).ended
  expect([code, stderr]).toEqual([
    2,
    "soak: --links none is none of plaintext, authenticated, encrypted; --help lists the options\n"
  ])
})
