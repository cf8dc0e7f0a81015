import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Defect } from "../src/base/assert.ts"
import { LIMITS } from "../src/base/limits.ts"
import { NodeSet } from "../src/base/nodeSet.ts"

/** The slow obvious twin: a sorted array of what a Set holds. */
const sorted = (set: ReadonlySet<number>): Array<number> => [...set].sort((a, b) => a - b)
const expectSame = (set: NodeSet, twin: ReadonlySet<number>): void => {
  expect(set.ranks()).toEqual(sorted(twin))
  expect(set.count).toBe(twin.size)
}

/** The ranks of a small subset, given as bits. */
const ranksOf = (size: number, subset: number): Array<number> =>
  Array.from({ length: size }, (_, rank) => rank).filter((rank) => subset & (1 << rank))

/** Sizes around the word boundaries, where the representation changes. */
const sizes = [1, 2, 31, 32, 33, 63, 64, 65, 96, 100, 1023, 1024]
const sizeOf = fc.constantFrom(...sizes)
const ranksBelow = (size: number) => fc.uniqueArray(fc.nat(size - 1), { maxLength: size })

describe("NodeSet", () => {
  it("does what a set of numbers does, for every subset of up to 5 ranks", () => {
    for (let size = 0; size <= 5; size++) {
      for (let subset = 0; subset < 1 << size; subset++) {
        const ranks = ranksOf(size, subset)
        const set = NodeSet.of(size, ranks)
        expect(set.ranks()).toEqual(ranks)
        expect(set.count).toBe(ranks.length)
        expect(set.complement().ranks()).toEqual(ranksOf(size, ~subset))
        for (let rank = 0; rank < size; rank++) {
          expect(set.has(rank)).toBe(ranks.includes(rank))
          expect(set.before(rank)).toBe(ranks.filter((r) => r < rank).length)
        }
        for (let other = 0; other < 1 << size; other++) {
          const right = NodeSet.of(size, ranksOf(size, other))
          expect(set.minus(right).ranks()).toEqual(ranksOf(size, subset & ~other))
          expect(set.clone().unionWith(right).ranks()).toEqual(ranksOf(size, subset | other))
        }
      }
    }
  })

  it("agrees with a Set over random runs of add and remove, at every word boundary", () => {
    const steps = sizeOf.chain((size) =>
      fc.tuple(fc.constant(size), fc.array(fc.tuple(fc.boolean(), fc.nat(size - 1))))
    )
    fc.assert(
      fc.property(steps, ([size, run]) => {
        const set = new NodeSet(size)
        const twin = new Set<number>()
        for (const [add, rank] of run) {
          if (add) expect(set.add(rank)).toBe(!twin.has(rank) && twin.add(rank) === twin)
          else expect(set.remove(rank)).toBe(twin.delete(rank))
          expect(set.has(rank)).toBe(twin.has(rank))
        }
        expectSame(set, twin)
      })
    )
  })

  it("agrees with a Set on union, difference, complement, clone and place", () => {
    const pairs = sizeOf.chain((size) =>
      fc.tuple(fc.constant(size), ranksBelow(size), ranksBelow(size))
    )
    fc.assert(
      fc.property(pairs, ([size, left, right]) => {
        const a = NodeSet.of(size, left)
        const b = NodeSet.of(size, right)
        const [x, y] = [new Set(left), new Set(right)]
        const every = Array.from({ length: size }, (_, rank) => rank)
        expectSame(a.minus(b), new Set(left.filter((rank) => !y.has(rank))))
        expectSame(a.complement(), new Set(every.filter((rank) => !x.has(rank))))
        expectSame(a.complement().complement(), x)
        const copy = a.clone()
        expect(copy.unionWith(b)).toBe(copy)
        expectSame(copy, new Set([...left, ...right]))
        expectSame(a, x)
        for (const rank of right) {
          expect(a.before(rank)).toBe(left.filter((other) => other < rank).length)
        }
      })
    )
  })

  it("holds every rank of every boundary size", () => {
    for (const size of sizes) {
      const set = new NodeSet(size)
      for (let rank = size - 1; rank >= 0; rank--) expect(set.add(rank)).toBe(true)
      for (let rank = 0; rank < size; rank++) expect(set.add(rank)).toBe(false)
      expect(set.count).toBe(size)
      expect(set.complement().count).toBe(0)
      expect(set.ranks()).toEqual(Array.from({ length: size }, (_, i) => i))
    }
  })

  it("answers false for what is no rank, and takes none in", () => {
    for (const size of [4, 32, 100]) {
      const set = new NodeSet(size).complement()
      for (const none of [-1, size, size + 32, 0.5, Number.NaN, 2 ** 32, -(2 ** 32)]) {
        expect(set.has(none)).toBe(false)
        expect(set.remove(none)).toBe(false)
        expect(() => set.add(none)).toThrow(Defect)
      }
      expect(set.count).toBe(size)
    }
  })

  it("refuses a size that no group has, and sets of another group", () => {
    for (const size of [-1, 0.5, Number.NaN, LIMITS.membersMax + 1]) {
      expect(() => new NodeSet(size)).toThrow(Defect)
    }
    expect(() => new NodeSet(3).unionWith(new NodeSet(4))).toThrow(Defect)
    expect(() => new NodeSet(3).minus(new NodeSet(4))).toThrow(Defect)
  })
})
