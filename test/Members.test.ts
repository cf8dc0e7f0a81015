import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { isMembersInvalid, parseMembers } from "../src/quorum/Members.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"

const upTo = (n: number): Array<number> => Array.from({ length: n }, (_, i) => i + 1)
/** "what; remedy", or what was parsed. */
const line = (ids: unknown, model: unknown = "byzantine", f?: unknown): unknown => {
  const result = parseMembers(ids, model, f)
  return isMembersInvalid(result) ? `${result.what}; ${result.remedy}` : result
}

describe("parseMembers", () => {
  it("sorts the members and withstands as many faults as they allow", () => {
    expect(parseMembers([7, 3, 5, 1], "byzantine")).toEqual({
      members: [1, 3, 5, 7],
      model: "byzantine",
      faults: 1
    })
    expect(parseMembers([2, 1, 3], "crash")).toMatchObject({ members: [1, 2, 3], faults: 1 })
    expect(parseMembers([9], "byzantine")).toMatchObject({ members: [9], faults: 0 })
  })

  it("takes fewer faults than the members allow", () => {
    expect(parseMembers(upTo(10), "byzantine", 1)).toMatchObject({ faults: 1 })
    expect(parseMembers(upTo(10), "byzantine", 0)).toMatchObject({ faults: 0 })
    expect(parseMembers(upTo(4), "byzantine", 1)).toMatchObject({ faults: 1 })
  })

  it("says what is wrong with a list of members, and what to do", () => {
    expect(line([])).toBe('"nodes" lists no member; list at least one')
    expect(line("1,2,3")).toBe('"1,2,3" is no list of members; list the ids of the members')
    expect(line(undefined)).toBe("undefined is no list of members; list the ids of the members")
    expect(line([1, 2, 1])).toBe("node 1 is listed twice; give each member an id of its own")
    expect(line(upTo(1025))).toBe("1025 members are too many; list at most 1024 members")
    for (const [id, shown] of [
      [0, "0"],
      [-1, "-1"],
      [1.5, "1.5"],
      [65_536, "65536"],
      ["2", '"2"'],
      [null, "null"],
      [Number.NaN, "NaN"],
      [{}, "an object"],
      [[1], "a list"]
    ] as const) {
      expect(line([1, id])).toBe(
        `${shown} is no node id; number the members with integers from 1 to 65535`
      )
    }
  })

  it("says which fault models there are", () => {
    expect(line([1], "Crash")).toBe(
      '"Crash" is no fault model; write "crash" (members may stop) or "byzantine" (members may lie)'
    )
    expect(line([1], null)).toMatch(/^null is no fault model; /)
    expect(line([1], "x".repeat(1000))).toMatch(/^"x{40}…" is no fault model; /)
  })

  it("says how many faults the members withstand", () => {
    expect(line(upTo(4), "byzantine", -1)).toBe(
      '"f": -1 is no number of faulty members; ' +
        "write a whole number from 0 to 1, or leave it out for 1"
    )
    expect(line(upTo(5), "crash", 0.5)).toBe(
      '"f": 0.5 is no number of faulty members; ' +
        "write a whole number from 0 to 2, or leave it out for 2"
    )
    expect(line(upTo(4), "byzantine", "1")).toMatch(/^"f": "1" is no number of faulty members; /)
    expect(line(upTo(4), "byzantine", null)).toMatch(/^"f": null is no number of faulty members; /)
    expect(line(upTo(6), "byzantine", 2)).toBe(
      '6 members are too few for "f": 2 in a byzantine group; list at least 7, or write "f": 1'
    )
    expect(line(upTo(4), "crash", 2)).toBe(
      '4 members are too few for "f": 2 in a crash group; list at least 5, or write "f": 1'
    )
    expect(line([1], "crash", 1)).toBe(
      '1 member is too few for "f": 1 in a crash group; list at least 3, or write "f": 0'
    )
  })

  it("takes the largest group, and ids up to the largest", () => {
    expect(parseMembers(upTo(LIMITS.membersMax), "byzantine")).toMatchObject({ faults: 341 })
    expect(parseMembers([65_535], "crash")).toMatchObject({ members: [65_535] })
  })

  it("never throws, and whatever it lets through makes a system", () => {
    const id = fc.oneof(fc.integer({ min: -1, max: 12 }), fc.anything())
    const ids = fc.oneof(fc.array(fc.integer({ min: 1, max: 30 })), fc.array(id), fc.anything())
    const model = fc.oneof(fc.constantFrom("crash", "byzantine"), fc.anything())
    const f = fc.oneof(fc.constant(undefined), fc.integer({ min: -1, max: 5 }), fc.anything())
    fc.assert(
      fc.property(ids, model, f, (someIds, someModel, someF) => {
        const result = parseMembers(someIds, someModel, someF)
        if (isMembersInvalid(result)) {
          for (const text of [result.what, result.remedy]) expect(text).toMatch(/^[^\n]{3,200}$/)
          return
        }
        const system = makeSystem(result.members, result.model, result.faults)
        expect(new Set(system.members)).toEqual(new Set(someIds as Array<number>))
        expect(system.faults).toBe(someF ?? result.faults)
      }),
      { numRuns: 2000 }
    )
  })

  it("survives a list whose elements throw when shown", () => {
    const bad = {
      toString: () => {
        throw new Error("no")
      },
      toJSON: () => {
        throw new Error("no")
      }
    }
    expect(line([bad])).toMatch(/^an object is no node id; /)
    expect(line([1], Symbol("crash"))).toMatch(/^Symbol\(crash\) is no fault model; /)
  })
})
