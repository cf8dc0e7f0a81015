import { expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { TokenBucket } from "../src/link/tokenBucket.ts"

it("a bucket gives a burst at once, and then no more than its rate", () => {
  const bucket = new TokenBucket(1000, 100, 5_000)
  expect(bucket.take(60, 5_000)).toBe(0)
  expect(bucket.take(60, 5_000)).toBe(20)
  expect(bucket.take(60, 5_019)).toBe(1)
  expect(bucket.take(60, 5_020)).toBe(0)
  expect(bucket.take(1_000_000, 5_050)).toBe(70)
  expect(bucket.take(1_000_000, 9_000)).toBe(0)
})

it("a bucket gives nothing for time that goes back", () => {
  const bucket = new TokenBucket(1000, 100, 5_000)
  expect(bucket.take(100, 5_000)).toBe(0)
  expect(bucket.take(1, 4_000)).toBe(1)
  expect(bucket.take(1, 5_001)).toBe(0)
})

it("in any order of takes, no more is given than a burst and the rate", () => {
  for (let seed = 1; seed <= 50; seed++) {
    const random = new Prng(seed)
    const bucket = new TokenBucket(7_000, 900, 0)
    let [nowMs, given] = [0, 0]
    for (let i = 0; i < 300; i++) {
      nowMs += random.below(20)
      const bytes = 1 + random.below(900)
      const waitMs = bucket.take(bytes, nowMs)
      if (waitMs === 0) given += bytes
      else if (random.chance(500)) {
        nowMs += waitMs
        expect(bucket.take(bytes, nowMs)).toBe(0)
        given += bytes
      }
    }
    expect(given).toBeLessThanOrEqual(900 + 7 * nowMs)
  }
})
