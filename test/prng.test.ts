import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Defect } from "../src/base/assert.ts"
import { Prng } from "../src/base/prng.ts"

const WORD = 2n ** 32n
const mod = (x: bigint): bigint => ((x % WORD) + WORD) % WORD

/** The slow obvious twin: sfc32 and splitmix32 as written down, over BigInt. */
const twin = (seed: number): (() => number) => {
  let state = 0n
  const spread = (word: bigint): bigint => {
    state = mod(state + 0x9e3779b9n + word)
    let z = state
    z = mod((z ^ (z >> 16n)) * 0x85ebca6bn)
    z = mod((z ^ (z >> 13n)) * 0xc2b2ae35n)
    return z ^ (z >> 16n)
  }
  const low = mod(BigInt(seed))
  let a = spread(low)
  let b = spread(mod((BigInt(seed) - low) / WORD))
  let c = spread(0n)
  let counter = 1n
  const next = (): number => {
    const sum = mod(a + b + counter)
    counter = mod(counter + 1n)
    a = b ^ (b >> 9n)
    b = mod(c + (c << 3n))
    c = mod(mod((c << 21n) | (c >> 11n)) + sum)
    return Number(sum)
  }
  for (let i = 0; i < 15; i++) next()
  return next
}
const words = (prng: Prng, count: number): Array<number> =>
  Array.from({ length: count }, () => prng.below(2 ** 32))

describe("Prng", () => {
  it("gives the numbers it gave when seeds were first written down", () => {
    expect(words(new Prng(0), 4)).toEqual([
      1_338_548_054, 2_499_804_003, 2_743_868_851, 1_211_391_675
    ])
    expect([...new Prng(0).bytes(4)]).toEqual([79, 148, 163, 72])
    expect(words(new Prng(0x5eed), 4)).toEqual([
      1_656_533_662, 730_451_094, 856_583_573, 3_955_278_265
    ])
  })

  it("is sfc32 seeded by splitmix32, for every safe integer", () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (seed) => {
        const next = twin(seed)
        expect(words(new Prng(seed), 20)).toEqual(Array.from({ length: 20 }, next))
      })
    )
  })

  it("gives other numbers for other seeds, near and negative ones too", () => {
    const seeds = [0, 1, 2, -1, -2, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, Number.MAX_SAFE_INTEGER]
    const starts = seeds.map((seed) => words(new Prng(seed), 2).join())
    expect(new Set(starts).size).toBe(seeds.length)
  })

  it("stays below the bound and reaches every number below it", () => {
    for (const n of [1, 2, 3, 7, 10, 64]) {
      const prng = new Prng(n)
      const seen = new Set(Array.from({ length: n * 40 }, () => prng.below(n)))
      expect([...seen].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i))
    }
  })

  it("draws again above the largest multiple of the bound, so low numbers are no likelier", () => {
    // Of 3 · 2^30 numbers a third lies in each part; without the second draw the first has half.
    const prng = new Prng(1)
    const parts = [0, 0, 0]
    for (let i = 0; i < 30_000; i++) parts[Math.floor(prng.below(3 * 2 ** 30) / 2 ** 30)]!++
    for (const part of parts) expect(Math.abs(part - 10_000)).toBeLessThan(500)
  })

  it("takes chances per mille: never at 0, always at 1,000, about as often as told between", () => {
    const prng = new Prng(2)
    const hits = (perMille: number): number =>
      Array.from({ length: 10_000 }, () => prng.chance(perMille)).filter(Boolean).length
    expect(hits(0)).toBe(0)
    expect(hits(1000)).toBe(10_000)
    expect(Math.abs(hits(30) - 300)).toBeLessThan(80)
  })

  it("draws one number for a chance, whatever the chance is", () => {
    const [a, b] = [new Prng(3), new Prng(3)]
    a.chance(0)
    b.chance(1000)
    expect(a.below(1000)).toBe(b.below(1000))
  })

  it("forks a generator of its own", () => {
    const [a, b] = [new Prng(4), new Prng(4)]
    const [forkA, forkB] = [a.fork(), b.fork()]
    words(forkA, 100)
    expect(words(a, 5)).toEqual(words(b, 5))
    expect(words(forkB, 5)).not.toEqual(words(b, 5))
    expect(words(new Prng(4).fork(), 5)).toEqual(words(new Prng(4).fork(), 5))
    expect(words(a.fork(), 5)).not.toEqual(words(a.fork(), 5))
  })

  it("picks among all and makes bytes of the length asked for", () => {
    const prng = new Prng(5)
    const xs = ["a", "b", "c"]
    expect(new Set(Array.from({ length: 60 }, () => prng.pick(xs)))).toEqual(new Set(xs))
    expect(prng.bytes(0)).toEqual(new Uint8Array())
    expect(new Set(prng.bytes(4096)).size).toBe(256)
  })

  it("refuses what no caller of ours should ask", () => {
    const prng = new Prng(6)
    for (const n of [0, -1, 1.5, 2 ** 32 + 1, Number.NaN])
      expect(() => prng.below(n)).toThrow(Defect)
    for (const seed of [0.5, Number.NaN, 2 ** 53]) expect(() => new Prng(seed)).toThrow(Defect)
    expect(() => prng.chance(1001)).toThrow(Defect)
    expect(() => prng.pick([])).toThrow(Defect)
  })
})
