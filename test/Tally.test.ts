import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { type Agreement, agreementEquals, Tally, type TallyGroup } from "../src/quorum/Tally.ts"

const bytes = (...values: Array<number>): Uint8Array => Uint8Array.from(values)
const group = <V>(result: TallyGroup<V> | string): TallyGroup<V> => {
  if (typeof result === "string") throw new Error(result)
  return result
}

/** Every kind of value, near misses next to each other; equal only where the kind is. */
const different: ReadonlyArray<Agreement> = [
  "",
  "a",
  "1",
  0,
  -0,
  1,
  1.5,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  0n,
  1n,
  true,
  false,
  bytes(),
  bytes(0),
  bytes(1),
  bytes(1, 0),
  [],
  [[]],
  [""],
  [1],
  [1n],
  [bytes(1)],
  [1, 2],
  [2, 1],
  [1, [2]],
  [[1], 2],
  [Number.NaN]
]
/** The same value in other objects. */
const copy = (value: Agreement): Agreement =>
  value instanceof Uint8Array ? value.slice() : Array.isArray(value) ? value.map(copy) : value

const agreement: fc.Arbitrary<Agreement> = fc.letrec<{ value: Agreement }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ maxLength: 1 }),
    fc.constantFrom<Agreement>(0, -0, 1, Number.NaN, 0n, 1n, true, false),
    fc.uint8Array({ max: 1, maxLength: 2 }),
    fc.array(tie("value"), { maxLength: 2 })
  )
})).value

/** The slow obvious twin: values written as text. */
const text = (value: Agreement): string =>
  value instanceof Uint8Array
    ? `bytes ${value.join(" ")}`
    : Array.isArray(value)
      ? `[${value.map(text).join(", ")}]`
      : typeof value === "string"
        ? JSON.stringify(value)
        : Object.is(value, -0)
          ? "number -0"
          : `${typeof value} ${value}`

describe("agreementEquals", () => {
  it("compares every kind by value, and no two kinds with each other", () => {
    different.forEach((a, i) => {
      different.forEach((b, j) => {
        expect(agreementEquals(a, copy(b)), `${text(a)} and ${text(b)}`).toBe(i === j)
      })
    })
  })

  it("agrees with comparing what is written down, on random values", () => {
    fc.assert(
      fc.property(agreement, agreement, (a, b) => {
        expect(agreementEquals(a, copy(a))).toBe(true)
        expect(agreementEquals(a, b)).toBe(text(a) === text(b))
        expect(agreementEquals(b, a)).toBe(agreementEquals(a, b))
      }),
      { numRuns: 3000 }
    )
  })

  it("takes a Buffer for the bytes it holds, and parts of a buffer for theirs", () => {
    const whole = bytes(1, 2, 3, 4)
    expect(agreementEquals(whole.subarray(1, 3), bytes(2, 3))).toBe(true)
    expect(agreementEquals(Buffer.from([2, 3]), bytes(2, 3))).toBe(true)
  })

  it("compares deep tuples to a bound, without a stack overflow", () => {
    const deep = (depth: number): Agreement => {
      let value: Agreement = "bottom"
      for (let i = 0; i < depth; i++) value = [value]
      return value
    }
    expect(agreementEquals(deep(64), deep(64))).toBe(true)
    expect(agreementEquals(deep(65), deep(65))).toBe(false)
    expect(agreementEquals(deep(1_000_000), deep(1_000_000))).toBe(false)
    const same = deep(1_000_000)
    expect(agreementEquals(same, same)).toBe(true)
  })

  it("compares wide and shared tuples to a bound, in bounded time", () => {
    /** A tree of 2^depth leaves in `depth` objects. */
    const shared = (depth: number): Agreement => {
      let value: Agreement = ["leaf"]
      for (let i = 0; i < depth; i++) value = [value, value]
      return value
    }
    expect(agreementEquals(shared(16), shared(16))).toBe(true)
    expect(agreementEquals(shared(60), shared(60))).toBe(false)
    const wide = (length: number): Agreement => new Array<Agreement>(length).fill(1)
    expect(agreementEquals(wide(1_000_000), wide(1_000_000))).toBe(true)
    expect(agreementEquals(wide(1_100_000), wide(1_100_000))).toBe(false)
  })

  it("never throws on what is no agreement: it equals only itself", () => {
    const circle: Array<unknown> = []
    circle.push(circle)
    const other: Array<unknown> = []
    other.push(other)
    const revoked = Proxy.revocable([], {})
    revoked.revoke()
    const trap = new Proxy([1], {
      get: () => {
        throw new Error("trap")
      }
    })
    const values: Array<unknown> = [
      undefined,
      null,
      {},
      { length: 0 },
      () => 1,
      Symbol("a"),
      new Map(),
      new Date(0),
      new Uint16Array(1),
      new DataView(new ArrayBuffer(1)),
      Object.create(null),
      circle,
      other,
      revoked.proxy,
      trap,
      [undefined],
      [null]
    ]
    values.forEach((a, i) => {
      values.forEach((b, j) => {
        expect(agreementEquals(a as Agreement, b as Agreement), `${i} and ${j}`).toBe(i === j)
      })
      for (const b of different) expect(agreementEquals(a as Agreement, b)).toBe(false)
    })
    fc.assert(
      fc.property(fc.anything(), fc.anything(), (a, b) => {
        expect(agreementEquals(a as Agreement, a as Agreement)).toBe(true)
        agreementEquals(a as Agreement, b as Agreement)
      }),
      { numRuns: 1000 }
    )
  })
})

describe("Tally", () => {
  it("groups votes by value and returns the group of the vote", () => {
    const tally = new Tally<string>(4)
    const a = group(tally.add(2, "a", "2 says a"))
    const b = group(tally.add(3, "b", "3 says b"))
    expect(group(tally.add(0, "a", "0 says a"))).toBe(a)
    expect(a.value).toBe("a")
    expect(a.count).toBe(2)
    expect(a.voters.ranks()).toEqual([0, 2])
    expect(a.votes()).toEqual([
      { rank: 0, vote: "0 says a" },
      { rank: 2, vote: "2 says a" }
    ])
    expect(b.votes()).toEqual([{ rank: 3, vote: "3 says b" }])
    expect(tally.all().map((one) => one.rank)).toEqual([0, 2, 3])
    expect([tally.of(3), tally.of(1), tally.of(-1)]).toEqual(["3 says b", undefined, undefined])
    expect(tally.count).toBe(3)
    expect(tally.groups.map((one) => one.value)).toEqual(["a", "b"])
  })

  it("keeps an author's first vote: the same again is a duplicate, another an equivocation", () => {
    const tally = new Tally<string>(4)
    tally.add(1, bytes(1, 2), "first")
    expect(tally.add(1, bytes(1, 2), "again")).toBe("duplicate")
    expect(tally.add(1, bytes(1, 3), "other")).toBe("equivocation")
    group(tally.add(2, bytes(1, 3), "2"))
    // The group of another author does not make the lie true.
    expect(tally.add(1, bytes(1, 3), "other")).toBe("equivocation")
    expect(tally.of(1)).toBe("first")
    expect(tally.count).toBe(2)
    expect(tally.groups.map((one) => one.voters.ranks())).toEqual([[1], [2]])
  })

  it("keeps a vote whose value is undefined-like apart from no vote", () => {
    const tally = new Tally<undefined>(2)
    group(tally.add(0, false, undefined))
    expect(tally.add(0, false, undefined)).toBe("duplicate")
    expect(tally.count).toBe(1)
  })

  it("agrees with Maps over random runs with removals, at sizes of one word and of many", () => {
    const run = fc.constantFrom(1, 3, 4, 32, 33, 100, 1024).chain((size) =>
      fc.tuple(
        fc.constant(size),
        fc.array(fc.tuple(fc.nat(size - 1), fc.option(fc.constantFrom(...different))), {
          maxLength: 60
        })
      )
    )
    fc.assert(
      fc.property(run, ([size, votes]) => {
        const tally = new Tally<number>(size)
        const first = new Map<number, { key: string; vote: number }>()
        votes.forEach(([rank, value], vote) => {
          if (value === null) {
            tally.remove(rank)
            first.delete(rank)
            return
          }
          const key = text(value)
          const before = first.get(rank)
          const result = tally.add(rank, copy(value), vote)
          if (before !== undefined) {
            expect(result).toBe(before.key === key ? "duplicate" : "equivocation")
            return
          }
          first.set(rank, { key, vote })
          const voters = [...first].filter(([, one]) => one.key === key)
          voters.sort(([a], [b]) => a - b)
          expect(text(group(result).value)).toBe(key)
          expect(group(result).votes()).toEqual(
            voters.map(([author, one]) => ({ rank: author, vote: one.vote }))
          )
        })
        const inOrder = [...first].sort(([a], [b]) => a - b)
        expect(tally.all()).toEqual(inOrder.map(([rank, { vote }]) => ({ rank, vote })))
        expect(tally.count).toBe(first.size)
        expect(tally.voters.ranks()).toEqual(inOrder.map(([rank]) => rank))
        for (const [rank, { vote }] of first) expect(tally.of(rank)).toBe(vote)
        expect(tally.groups.reduce((sum, { count }) => sum + count, 0)).toBe(first.size)
        expect(tally.groups.every(({ count }) => count > 0)).toBe(true)
      }),
      { numRuns: 300 }
    )
  })

  it("comes to the same groups in every order of arrival (n <= 4)", () => {
    const values = ["a", "b", "a", "b"]
    const orders = (rest: Array<number>): Array<Array<number>> =>
      rest.length === 0
        ? [[]]
        : rest.flatMap((x) => orders(rest.filter((y) => y !== x)).map((o) => [x, ...o]))
    for (const order of orders([0, 1, 2, 3])) {
      const tally = new Tally<string>(4)
      for (const rank of order) tally.add(rank, values[rank]!, `vote of ${rank}`)
      const seen = tally.groups.toSorted((x, y) => (String(x.value) < String(y.value) ? -1 : 1))
      expect(seen.map((one) => one.voters.ranks())).toEqual([
        [0, 2],
        [1, 3]
      ])
      expect(tally.all().map((one) => one.vote)).toEqual([0, 1, 2, 3].map((r) => `vote of ${r}`))
    }
  })
})
