import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Defect } from "../src/base/assert.ts"
import { LIMITS } from "../src/base/limits.ts"
import { NodeSet } from "../src/base/nodeSet.ts"
import type { FaultModel } from "../src/quorum/FaultModel.ts"
import { atLeast, makeSystem, type Quorum } from "../src/quorum/QuorumSystem.ts"

const upTo = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i + 1)
const subsets = (n: number): Array<NodeSet> =>
  Array.from({ length: 1 << n }, (_, bits) =>
    NodeSet.of(
      n,
      upTo(n)
        .map((i) => i - 1)
        .filter((rank) => bits & (1 << rank))
    )
  )

describe("System", () => {
  it("sorts its members and translates between members and ranks", () => {
    const system = makeSystem([30, 4, 65_535, 10], "byzantine")
    expect(system.members).toEqual([4, 10, 30, 65_535])
    expect(system.members.map(system.rank)).toEqual([0, 1, 2, 3])
    expect([0, 1, 2, 3].map(system.member)).toEqual([4, 10, 30, 65_535])
    expect([system.size, system.faults, system.model]).toEqual([4, 1, "byzantine"])
  })

  it("has rank -1 for whoever is no member, and no member outside its ranks", () => {
    const system = makeSystem([1, 2, 4], "crash")
    for (const none of [0, 3, 5, -1, 1.5, Number.NaN]) expect(system.rank(none)).toBe(-1)
    for (const none of [-1, 3, 0.5]) expect(() => system.member(none)).toThrow(Defect)
  })

  it("names its quorums and knows how many members each needs", () => {
    const system = makeSystem(upTo(7), "byzantine")
    const row = (q: Quorum) => [q.name, q.needed]
    expect(row(system.quorum)).toEqual(["quorum", 5])
    expect(row(system.oneHonest)).toEqual(["oneHonest", 3])
    expect(row(system.blocking)).toEqual(["blocking", 3])
    expect(row(system.all)).toEqual(["all", 7])
    expect(makeSystem(upTo(7), "byzantine", 1).quorum.needed).toBe(5)
    expect(makeSystem(upTo(7), "byzantine", 0).quorum.needed).toBe(4)
    expect(makeSystem(upTo(7), "crash", 1).faults).toBe(1)
  })

  it("for n <= 7 its quorums are monotone, `needed` is the smallest, blocking meets all", () => {
    for (const model of ["crash", "byzantine"] satisfies Array<FaultModel>) {
      for (let n = 1; n <= 7; n++) {
        const system = makeSystem(upTo(n), model)
        const sets = subsets(n)
        for (const q of [system.quorum, system.oneHonest, system.blocking, system.all]) {
          const having = sets.filter((set) => q.has(set))
          expect(Math.min(...having.map((set) => set.count))).toBe(q.needed)
          for (const set of having) {
            for (let rank = 0; rank < n; rank++) {
              expect(q.has(set.clone().unionWith(NodeSet.of(n, [rank])))).toBe(true)
            }
          }
        }
        for (const set of sets) {
          expect(system.blocking.has(set)).toBe(!system.quorum.has(set.complement()))
        }
      }
    }
  })

  it("agrees with counting on random groups and sets of every size", () => {
    const cases = fc.integer({ min: 1, max: LIMITS.membersMax }).chain((n) =>
      fc.record({
        n: fc.constant(n),
        ranks: fc.uniqueArray(fc.nat(n - 1), { maxLength: n, size: "max" }),
        model: fc.constantFrom<FaultModel>("crash", "byzantine")
      })
    )
    fc.assert(
      fc.property(cases, ({ n, ranks, model }) => {
        const system = makeSystem(upTo(n), model)
        const set = NodeSet.of(n, ranks)
        expect(system.quorum.has(set)).toBe(ranks.length >= system.quorum.needed)
        expect(system.oneHonest.has(set)).toBe(
          ranks.length > (model === "crash" ? 0 : system.faults)
        )
      }),
      { numRuns: 50 }
    )
  })

  it("refuses what parseMembers would not let through", () => {
    const tooMany = upTo(LIMITS.membersMax + 1)
    for (const members of [[], [1, 1], [0], [1.5], [65_536], tooMany]) {
      expect(() => makeSystem(members, "crash")).toThrow(Defect)
    }
    expect(() => makeSystem([1, 2], "crash", 1)).toThrow(Defect)
  })

  it("stays as it was made", () => {
    const members = [2, 1]
    const system = makeSystem(members, "crash")
    members.push(3)
    expect(system.members).toEqual([1, 2])
    expect(() => (system.members as Array<number>).push(3)).toThrow(TypeError)
  })
})

describe("atLeast", () => {
  it("is had by no set of the group when it needs more members than there are", () => {
    expect(atLeast("five", 4, 5).has(new NodeSet(4).complement())).toBe(false)
    expect(atLeast("none", 4, 0).has(new NodeSet(4))).toBe(true)
  })

  it("never judges a set of another group", () => {
    expect(() => atLeast("two", 4, 2).has(new NodeSet(5))).toThrow(Defect)
    expect(() => atLeast("half", 4, 0.5)).toThrow(Defect)
  })
})
