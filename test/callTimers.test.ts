import { expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { type Timed, Timers } from "../src/link/callTimers.ts"

it("the first is always the earliest, whatever is added, moved and removed", () => {
  for (let seed = 0; seed < 50; seed++) {
    const random = new Prng(seed)
    const timers = new Timers()
    const twin: Array<Timed> = []
    for (let i = 0; i < 400; i++) {
      const dice = random.below(twin.length < 40 ? 3 : 4)
      const timed = twin.length === 0 ? undefined : random.pick(twin)
      if (timed === undefined || dice < 2) {
        const added = { atMs: random.below(100), place: -1 }
        twin.push(added)
        timers.add(added)
      } else if (dice === 2) timers.move(timed, random.below(100))
      else {
        twin.splice(twin.indexOf(timed), 1)
        timers.remove(timed)
        timers.remove(timed)
        expect(timed.place).toBe(-1)
      }
      expect(timers.count).toBe(twin.length)
      expect(timers.first?.atMs).toBe(Math.min(...twin.map(({ atMs }) => atMs)))
    }
    while (timers.first !== undefined) {
      const { first } = timers
      expect(first.atMs).toBe(Math.min(...twin.map(({ atMs }) => atMs)))
      twin.splice(twin.indexOf(first), 1)
      timers.remove(first)
    }
    expect(twin).toEqual([])
  }
})
