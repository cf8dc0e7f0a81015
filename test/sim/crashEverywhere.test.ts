/** A node dies at every step there is: here a seventh of them, all with `npm run sim:crashes`. */
import { describe, expect, it } from "vitest"
import { crashAt, crashPoints } from "../../src/testing/index.ts"
import { calmOf, PROTOCOLS } from "../../tools/protocols.ts"
import { forgetting } from "./support.ts"

const EVERY = 7
/** For machines that others share. */
const SLOW = { timeout: 120_000 }

describe.each(Object.keys(PROTOCOLS))("in %s", (name) => {
  // Another seventh with each seed, and a second death soon after the first.
  it.each([1, 2, 3])("a death at any point hurts nobody: seed %i", SLOW, (seed) => {
    const options = calmOf(name, seed)
    const points = crashPoints(options)
    for (const what of ["step", "disk"] as const) {
      const nodes = new Set(points.filter((p) => p.what === what).map(({ node }) => node))
      expect(nodes.size).toBe(options.nodes)
    }
    const tried = points.filter((_, i) => i % EVERY === seed)
    expect(tried.length).toBeGreaterThan(10)
    for (const point of tried) {
      const run = crashAt(options, point, seed - 1)
      expect(run.failure, JSON.stringify(point)).toBeUndefined()
      expect(run.checkers.answered).toBe(3)
      // It may have died at the very end: then the run was over before it was started again.
      const died = run.hosts.filter((host) => host.boots > 1 || !host.alive)
      expect(
        died.map(({ node }) => node),
        JSON.stringify(point)
      ).toContain(point.node)
    }
  })
})

it("finds a node that forgets its words, where a random schedule needs luck", SLOW, () => {
  const options = { ...calmOf("reliable-broadcast", 1), decorate: forgetting("word") }
  const found = crashPoints(options).filter((point) => crashAt(options, point).failure)
  expect(found.length).toBeGreaterThan(10)
})

it("a crash point is the same in each run", () => {
  const options = calmOf("counter", 1)
  const points = crashPoints(options)
  expect(crashPoints(options)).toEqual(points)
  const point = points.at(-1)!
  expect(crashAt(options, point).hash).toBe(crashAt(options, point).hash)
})
