import { describe, expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { Meter } from "../src/link/meter.ts"

const rate = { messagesPerSecond: 100, bytesPerSecond: 1_000, burstMs: 500 }

describe("a rate", () => {
  it("lets a burst pass, then so many a second", () => {
    const meter = new Meter(rate)
    const passed = (atMs: number): number => {
      let count = 0
      while (meter.allows(0, atMs)) count++
      return count
    }
    // One more than the burst: what is under way is paid for afterwards.
    expect(passed(1_000)).toBe(51)
    expect(passed(1_000)).toBe(0)
    expect(passed(1_100)).toBe(10)
    expect(passed(1_400)).toBe(30)
    expect(passed(9_000)).toBe(51)
  })

  it("counts bytes as well: whichever takes longer", () => {
    const meter = new Meter(rate)
    expect(meter.take(500, 0)).toBe(0)
    expect(meter.take(100, 0)).toBe(100)
    expect(meter.take(0, 100)).toBe(0)
  })

  it("tells how long until another one is within it", () => {
    const meter = new Meter(rate)
    for (let i = 0; i < 50; i++) expect(meter.take(0, 0)).toBeCloseTo(0)
    expect(meter.take(0, 0)).toBeCloseTo(10)
    expect(meter.take(0, 0)).toBeCloseTo(20)
    expect(meter.take(0, 30)).toBeCloseTo(0)
  })

  it("saves nothing up beyond the burst", () => {
    const meter = new Meter(rate)
    let count = 0
    while (meter.allows(0, 1_000_000)) count++
    expect(count).toBe(51)
  })

  it("of what is refused nothing is owed", () => {
    const meter = new Meter(rate)
    expect(meter.allows(2_000, 0)).toBe(true)
    for (let i = 0; i < 1_000; i++) expect(meter.allows(2_000, 100)).toBe(false)
    expect(meter.allows(1, 1_500)).toBe(true)
    expect(meter.idle(1_500)).toBe(false)
    expect(meter.idle(3_000)).toBe(true)
  })

  it("never lets more pass in any time than the burst and the rate, whatever comes", () => {
    const random = new Prng(7)
    let worst = 0
    for (let round = 0; round < 50; round++) {
      const meter = new Meter(rate)
      const passed: Array<readonly [number, number]> = []
      let atMs = 0
      for (let i = 0; i < 400; i++) {
        atMs += random.below(20)
        const bytes = random.below(40)
        if (meter.allows(bytes, atMs)) passed.push([atMs, bytes])
      }
      for (const [i, [fromMs]] of passed.entries()) {
        let [count, bytes] = [0, 0]
        for (const [untilMs, of] of passed.slice(i)) {
          count++
          bytes += of
          const ms = untilMs - fromMs + rate.burstMs
          worst = Math.max(worst, count - ms / 10, (bytes - ms) / 40)
        }
      }
    }
    // One that began within it.
    expect(worst).toBeLessThan(1.001)
  })
})
