import { expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { Fifo } from "../src/link/fifo.ts"

it("is a queue: first in, first out, whatever its length", () => {
  const prng = new Prng(3)
  const fifo = new Fifo<number>()
  const twin: Array<number> = []
  let next = 0
  let wrong = 0
  for (let phase = 0; phase < 40; phase++) {
    const growing = prng.chance(500)
    for (let i = prng.below(2000); i > 0; i--) {
      if (prng.chance(growing ? 800 : 200)) {
        fifo.push(next)
        twin.push(next++)
      } else {
        if (fifo.peek() !== twin[0] || fifo.shift() !== twin.shift()) wrong++
      }
      if (fifo.length !== twin.length) wrong++
    }
  }
  expect(wrong).toBe(0)
  expect(next).toBeGreaterThan(5_000)
  fifo.clear()
  expect([fifo.length, fifo.peek(), fifo.shift()]).toEqual([0, undefined, undefined])
})
