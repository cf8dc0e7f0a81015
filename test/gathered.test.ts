import { expect, it } from "vitest"
import { Gathered } from "../src/base/gathered.ts"
import { Prng } from "../src/base/prng.ts"

it("gives back what came, whatever the parts, and takes little more memory", () => {
  const random = new Prng(5)
  const gathered = new Gathered()
  for (let i = 0; i < 200; i++) {
    const whole = Uint8Array.from({ length: random.below(400) }, () => random.below(256))
    const bytesMax = whole.length + random.pick([0, 0, 1000])
    for (let at = 0; at < whole.length; ) {
      const next = at + 1 + random.below(random.pick([1, 9, 300]))
      gathered.add(whole.subarray(at, next), bytesMax)
      at = Math.min(next, whole.length)
      expect(gathered.length).toBe(at)
      expect(gathered.size).toBeLessThanOrEqual(Math.min(2 * at, bytesMax))
    }
    expect(gathered.take()).toEqual(whole)
    expect([gathered.length, gathered.size]).toEqual([0, 0])
  }
})

it("keeps nothing of the parts, which may be written again", () => {
  const gathered = new Gathered()
  const part = Uint8Array.of(1, 2)
  gathered.add(part, 2)
  part.fill(9)
  expect(gathered.take()).toEqual(Uint8Array.of(1, 2))
})
