import { describe, expect, it } from "vitest"
import { Defect } from "../src/base/assert.ts"
import {
  blockingSize,
  type FaultModel,
  faultsMax,
  isFaultModel,
  membersMin,
  oneHonestSize,
  quorumSize
} from "../src/quorum/FaultModel.ts"

const models: ReadonlyArray<FaultModel> = ["crash", "byzantine"]

/** Every group of up to 100 members with every number of faults it withstands. */
const groups = (model: FaultModel): Array<{ n: number; f: number; q: number }> => {
  const all: Array<{ n: number; f: number; q: number }> = []
  for (let n = 1; n <= 100; n++) {
    for (let f = 0; membersMin(model, f) <= n; f++) all.push({ n, f, q: quorumSize(model, n, f) })
  }
  return all
}

describe("FaultModel", () => {
  it("has the sizes everybody knows", () => {
    const row = (model: FaultModel, n: number) => {
      const f = faultsMax(model, n)
      return [n, f, quorumSize(model, n), oneHonestSize(model, n), blockingSize(model, n)]
    }
    //                      n f quorum oneHonest blocking
    expect(row("crash", 1)).toEqual([1, 0, 1, 1, 1])
    expect(row("crash", 2)).toEqual([2, 0, 2, 1, 1])
    expect(row("crash", 3)).toEqual([3, 1, 2, 1, 2])
    expect(row("crash", 4)).toEqual([4, 1, 3, 1, 2])
    expect(row("crash", 5)).toEqual([5, 2, 3, 1, 3])
    expect(row("byzantine", 1)).toEqual([1, 0, 1, 1, 1])
    expect(row("byzantine", 3)).toEqual([3, 0, 2, 1, 2])
    expect(row("byzantine", 4)).toEqual([4, 1, 3, 2, 2])
    expect(row("byzantine", 5)).toEqual([5, 1, 4, 2, 2])
    expect(row("byzantine", 6)).toEqual([6, 1, 4, 2, 3])
    expect(row("byzantine", 7)).toEqual([7, 2, 5, 3, 3])
    expect(row("byzantine", 10)).toEqual([10, 3, 7, 4, 4])
    expect(quorumSize("byzantine", 10, 1)).toBe(6)
    expect(quorumSize("crash", 5, 1)).toBe(3)
  })

  it("withstands the most faults that the members allow, and no more", () => {
    for (const model of models) {
      for (let n = 1; n <= 100; n++) {
        const f = faultsMax(model, n)
        expect(membersMin(model, f)).toBeLessThanOrEqual(n)
        expect(membersMin(model, f + 1)).toBeGreaterThan(n)
      }
    }
  })

  it("any two quorums share a member (crash) or a correct member (Byzantine)", () => {
    for (const { n, q } of groups("crash")) expect(2 * q - n).toBeGreaterThanOrEqual(1)
    for (const { n, f, q } of groups("byzantine")) expect(2 * q - n).toBeGreaterThanOrEqual(f + 1)
  })

  it("no smaller quorum would do", () => {
    for (const { n, q } of groups("crash")) expect(2 * (q - 1) - n).toBeLessThan(1)
    for (const { n, f, q } of groups("byzantine")) expect(2 * (q - 1) - n).toBeLessThan(f + 1)
  })

  it("the members that are surely up make a quorum", () => {
    for (const model of models) {
      for (const { n, f, q } of groups(model)) expect(q).toBeLessThanOrEqual(n - f)
    }
  })

  it("oneHonest outnumbers the liars, and so do the correct members of a quorum", () => {
    for (const { n, f, q } of groups("byzantine")) {
      expect(oneHonestSize("byzantine", n, f)).toBe(f + 1)
      expect(q - f).toBeGreaterThan(f)
    }
    for (const { n, f } of groups("crash")) expect(oneHonestSize("crash", n, f)).toBe(1)
  })

  it("blocking is the smallest set that every quorum meets; the faulty alone never block", () => {
    for (const model of models) {
      for (const { n, f, q } of groups(model)) {
        const blocking = blockingSize(model, n, f)
        expect(n - blocking).toBeLessThan(q)
        expect(n - (blocking - 1)).toBeGreaterThanOrEqual(q)
        expect(blocking).toBeGreaterThan(f)
      }
    }
  })

  it("by enumeration for n <= 7: whatever f members lie, any two quorums share another one", () => {
    const size = (set: number): number => set.toString(2).replaceAll("0", "").length
    for (let n = 1; n <= 7; n++) {
      const subsets = Array.from({ length: 1 << n }, (_, set) => set)
      for (let f = 0; membersMin("byzantine", f) <= n; f++) {
        const quorums = subsets.filter((set) => size(set) === quorumSize("byzantine", n, f))
        const liars = subsets.filter((set) => size(set) === f)
        const safe = quorums.every((a) =>
          quorums.every((b) => liars.every((faulty) => (a & b & ~faulty) !== 0))
        )
        expect(safe).toBe(true)
      }
    }
  })

  it("refuses groups that cannot be", () => {
    for (const n of [0, -1, 1.5, Number.NaN]) expect(() => faultsMax("crash", n)).toThrow(Defect)
    expect(() => quorumSize("crash", 2, 1)).toThrow(Defect)
    expect(() => quorumSize("byzantine", 3, 1)).toThrow(Defect)
    expect(() => oneHonestSize("byzantine", 4, -1)).toThrow(Defect)
    expect(() => blockingSize("byzantine", 4, 0.5)).toThrow(Defect)
    expect(["crash", "byzantine", "Crash", "", undefined, 1].map(isFaultModel)).toEqual([
      true,
      true,
      false,
      false,
      false,
      false
    ])
  })
})
