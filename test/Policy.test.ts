import fc from "fast-check"
import { describe, expect, it } from "vitest"
import type { NodeId } from "../src/base/NodeId.ts"
import { NodeSet } from "../src/base/nodeSet.ts"
import type { FaultModel } from "../src/quorum/FaultModel.ts"
import * as Policy from "../src/quorum/Policy.ts"
import { makeSystem, type Quorum, type System } from "../src/quorum/QuorumSystem.ts"

/** What a node did, in the order in which it happened; `undefined`: it failed. */
interface Event {
  readonly rank: number
  readonly reply: string | undefined
}
type History = ReadonlyArray<Event>

const systemOf = (n: number, model: FaultModel): System =>
  makeSystem(
    Array.from({ length: n }, (_, rank) => 10 * (rank + 1)),
    model
  )
const everyone = (system: System): NodeSet => new NodeSet(system.size).complement()

/** A policy and its slow obvious twin: is the call answered by these replies, in this order? */
interface Case {
  readonly name: string
  readonly policy: Policy.Policy<string, unknown>
  readonly answered: (replies: History, system: System, targets: NodeSet) => boolean
}
const ranksOf = (replies: History): ReadonlyArray<number> => replies.map(({ rank }) => rank)
const atLeast =
  (needed: (system: System, targets: NodeSet) => number): Case["answered"] =>
  (replies, system, targets) =>
    replies.length >= needed(system, targets)
const agreed =
  (enough: (system: System) => Quorum): Case["answered"] =>
  (replies, system) =>
    replies.some(({ reply }) => {
      const same = replies.filter((other) => other.reply === reply)
      return enough(system).has(NodeSet.of(system.size, ranksOf(same)))
    })
/** No counting: rank 0 with another, or all but rank 0. */
const lopsided = (system: System): Quorum => ({
  name: "lopsided",
  needed: Math.min(2, system.size - 1),
  has: (set) => (set.has(0) ? set.count >= 2 : set.size > 1 && set.count === set.size - 1)
})

const cases: ReadonlyArray<Case> = [
  { name: "first", policy: Policy.first(), answered: atLeast(() => 1) },
  {
    name: "majority",
    policy: Policy.majority(),
    answered: atLeast((_, targets) => Math.floor(targets.count / 2) + 1)
  },
  { name: "quorum", policy: Policy.quorum(), answered: atLeast((system) => system.quorum.needed) },
  { name: "all", policy: Policy.all(), answered: atLeast((_, targets) => targets.count) },
  { name: "threshold(2)", policy: Policy.threshold(2), answered: atLeast(() => 2) },
  {
    name: "matching",
    policy: Policy.matching((reply: string) => reply),
    answered: agreed((system) => system.oneHonest)
  },
  {
    name: "matching a quorum",
    policy: Policy.matching((reply: string) => reply, { quorum: (system) => system.quorum }),
    answered: agreed((system) => system.quorum)
  },
  {
    name: "matching lopsided",
    policy: Policy.matching((reply: string) => reply, { quorum: lopsided }),
    answered: agreed(lopsided)
  }
]

const repliesOf = (history: History): History => history.filter(({ reply }) => reply !== undefined)

/** Whether some future of the pending nodes answers the call: all futures, one by one. */
const possibleByFutures = (
  answered: Case["answered"],
  history: History,
  pending: ReadonlyArray<number>,
  system: System,
  targets: NodeSet
): boolean => {
  const [rank, ...rest] = pending
  if (rank === undefined) return false
  return ["a", "b", "c", undefined].some((reply) => {
    const next = [...history, { rank, reply }]
    return (
      (reply !== undefined && answered(repliesOf(next), system, targets)) ||
      possibleByFutures(answered, next, rest, system, targets)
    )
  })
}

/** Walks every order in which the targets can reply "a", reply "b" or fail; checks every step. */
const walk = (one: Case, system: System, targets: NodeSet): number => {
  const futures = new Map<string, boolean>()
  let steps = 0
  const visit = (history: History, pending: ReadonlyArray<number>): void => {
    const count = one.policy.start(system, targets)
    let answers = 0
    history.forEach(({ rank, reply }, i) => {
      if (reply === undefined) return
      const answer = count.on(system.member(rank), reply)
      const due = answers === 0 && one.answered(repliesOf(history.slice(0, i + 1)), system, targets)
      if ((answer !== undefined) !== due) throw new Error(`${one.name}: ${JSON.stringify(history)}`)
      if (due) answers++
    })
    steps++
    if (answers > 0) return
    const state = history.toSorted((x, y) => x.rank - y.rank)
    const key = JSON.stringify([state, pending])
    const possible =
      futures.get(key) ?? possibleByFutures(one.answered, state, pending, system, targets)
    futures.set(key, possible)
    const seen = count.possible(NodeSet.of(system.size, pending))
    if (seen !== possible) throw new Error(`${one.name} says ${seen}: ${JSON.stringify(history)}`)
    if (count.got() > repliesOf(history).length) throw new Error("counts more than came")
    for (const rank of pending) {
      const rest = pending.filter((other) => other !== rank)
      for (const reply of ["a", "b", undefined]) visit([...history, { rank, reply }], rest)
    }
  }
  visit([], targets.ranks())
  return steps
}

describe("every policy", () => {
  for (const model of ["crash", "byzantine"] satisfies Array<FaultModel>) {
    for (const one of cases) {
      it(`${one.name} (${model}): as early as can be, in every order of n <= 4`, () => {
        for (let n = 1; n <= 4; n++) {
          const system = systemOf(n, model)
          for (let size = 1; size <= n; size++) {
            // The last members, so that ranks and places differ.
            const ranks = Array.from({ length: size }, (_, i) => n - size + i)
            expect(walk(one, system, NodeSet.of(n, ranks))).toBeGreaterThan(0)
          }
        }
      })
    }
  }

  it("agrees with its twin on random calls to up to 7 nodes", () => {
    const call = fc.integer({ min: 1, max: 7 }).chain((n) =>
      fc.record({
        n: fc.constant(n),
        one: fc.constantFrom(...cases),
        model: fc.constantFrom<FaultModel>("crash", "byzantine"),
        order: fc.shuffledSubarray(Array.from({ length: n }, (_, rank) => rank)),
        replies: fc.array(fc.constantFrom("a", "b", undefined), { minLength: n, maxLength: n })
      })
    )
    fc.assert(
      fc.property(call, ({ n, one, model, order, replies }) => {
        const system = systemOf(n, model)
        const targets = everyone(system)
        const count = one.policy.start(system, targets)
        const history = order.map((rank, i) => ({ rank, reply: replies[i] }))
        for (let i = 0; i < history.length; i++) {
          const { rank, reply } = history[i]!
          const soFar = history.slice(0, i + 1)
          const due = one.answered(repliesOf(soFar), system, targets)
          const answer = reply === undefined ? undefined : count.on(system.member(rank), reply)
          expect(answer !== undefined).toBe(due && reply !== undefined)
          if (due) return
          const pending = targets.minus(NodeSet.of(n, ranksOf(soFar)))
          expect(count.possible(pending)).toBe(
            possibleByFutures(one.answered, soFar, pending.ranks(), system, targets)
          )
        }
      }),
      { numRuns: 400 }
    )
  })

  it("counts no second reply, no stranger, no member the call did not go to", () => {
    const system = systemOf(4, "byzantine")
    const targets = NodeSet.of(4, [0, 1, 2])
    const never = Policy.fold<string, number>(
      0,
      (sum) => sum + 1,
      () => false
    )
    for (const policy of [...cases.map((one) => one.policy), never]) {
      const count = policy.start(system, targets)
      const strangers: ReadonlyArray<NodeId> = [40, 11, 0, -1, Number.NaN]
      for (const from of strangers) expect(count.on(from, "a")).toBeUndefined()
      expect(count.got()).toBe(0)
    }
    const count = Policy.all().start(system, targets)
    count.on(10, "a")
    for (const reply of ["a", "b", "a"]) expect(count.on(10, reply)).toBeUndefined()
    expect(count.got()).toBe(1)
  })

  it("answers once, and what it answered stays as it was", () => {
    for (const { name, policy } of cases) {
      const system = systemOf(4, "crash")
      const count = policy.start(system, everyone(system))
      const answers = [10, 20, 30, 40]
        .map((from) => count.on(from, "a"))
        .filter((a) => a !== undefined)
      expect(answers, name).toHaveLength(1)
    }
    const system = systemOf(3, "crash")
    const count = Policy.majority<string>().start(system, everyone(system))
    count.on(30, "c")
    const answer = count.on(10, "a")?.answer
    count.on(20, "b")
    expect(answer).toEqual([
      { from: 10, message: "a" },
      { from: 30, message: "c" }
    ])
  })

  it("starts each call anew, and does not mind what becomes of the targets it was given", () => {
    const system = systemOf(3, "crash")
    const policy = Policy.majority<string>()
    const targets = everyone(system)
    const [one, other] = [policy.start(system, targets), policy.start(system, targets)]
    one.on(10, "a")
    expect(other.got()).toBe(0)
    targets.remove(1)
    expect(one.on(20, "b")).toBeDefined()
  })

  it("is impossible at once when the call goes to nobody, or to too few", () => {
    const system = systemOf(4, "byzantine")
    for (const { policy } of cases) {
      expect(policy.start(system, new NodeSet(4)).possible(new NodeSet(4))).toBe(false)
    }
    const two = NodeSet.of(4, [0, 1])
    expect(Policy.quorum().start(system, two).possible(two)).toBe(false)
    expect(Policy.threshold(3).start(system, two).possible(two)).toBe(false)
    expect(Policy.majority().start(system, two).possible(two)).toBe(true)
  })

  it("knows what it needs", () => {
    const system = systemOf(7, "byzantine")
    const needed = cases.map(({ policy }) => policy.start(system, NodeSet.of(7, [0, 1, 2])).needed)
    expect(needed).toEqual([1, 2, 5, 3, 2, 3, 5, 2])
  })
})

describe("threshold", () => {
  it("refuses what is no number of nodes, and says what to write", () => {
    for (const k of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => Policy.threshold(k)).toThrow(`threshold(${k}): write a positive integer`)
    }
  })
})

describe("matching", () => {
  interface Reply {
    readonly key: Uint8Array
    readonly node: number
  }
  const reply = (node: number, ...key: Array<number>): Reply => ({
    key: Uint8Array.from(key),
    node
  })

  it("compares keys by value, and answers with a reply of the group", () => {
    const system = systemOf(4, "byzantine")
    const count = Policy.matching((r: Reply) => [r.key, "x"]).start(system, everyone(system))
    expect(count.on(10, reply(10, 1, 2))).toBeUndefined()
    expect(count.on(20, reply(20, 1, 3))).toBeUndefined()
    expect(count.got()).toBe(1)
    expect(count.on(30, reply(30, 1, 2))).toEqual({ answer: reply(30, 1, 2) })
    expect(count.got()).toBe(2)
  })

  it("takes no lie for an answer: f liars alone never match oneHonest", () => {
    for (const n of [4, 7, 10]) {
      const system = systemOf(n, "byzantine")
      const count = Policy.matching((r: string) => r).start(system, everyone(system))
      for (let i = 0; i < system.faults; i++)
        expect(count.on(system.member(i), "lie")).toBeUndefined()
      const honest = Array.from({ length: system.faults + 1 }, (_, i) =>
        count.on(system.member(system.faults + i), "truth")
      )
      expect(honest.filter((answer) => answer !== undefined)).toEqual([{ answer: "truth" }])
    }
  })

  it("fails early when the nodes are split beyond repair", () => {
    const system = systemOf(4, "byzantine")
    const quorum = (s: System): Quorum => s.quorum
    const count = Policy.matching((r: string) => r, { quorum }).start(system, everyone(system))
    count.on(10, "a")
    count.on(20, "b")
    expect(count.possible(NodeSet.of(4, [2, 3]))).toBe(true)
    expect(count.possible(NodeSet.of(4, [3]))).toBe(false)
    count.on(30, "a")
    expect(count.possible(NodeSet.of(4, [3]))).toBe(true)
    expect(count.possible(new NodeSet(4))).toBe(false)
    // A node that has replied is not pending, whatever the caller says: 20 said "b".
    expect(count.possible(NodeSet.of(4, [0, 1, 2]))).toBe(false)
  })

  it("does not break on a reply that breaks the key: it agrees with no other", () => {
    const system = systemOf(4, "byzantine")
    const key = (r: { text?: string }): string => r.text!.trim()
    const count = Policy.matching(key).start(system, everyone(system))
    expect(count.on(10, {})).toBeUndefined()
    expect(count.on(20, {})).toBeUndefined()
    expect(count.possible(NodeSet.of(4, [2, 3]))).toBe(true)
    expect(count.possible(NodeSet.of(4, [3]))).toBe(false)
    count.on(30, { text: "a" })
    expect(count.on(40, { text: " a" })).toEqual({ answer: { text: " a" } })
    const none = Policy.matching((r: { text?: string }) => r.text as string)
    const other = none.start(system, everyone(system))
    expect([other.on(10, {}), other.on(20, {}), other.got()]).toEqual([undefined, undefined, 0])
  })
})

describe("fold", () => {
  const sum = Policy.fold(
    0,
    (total: number, reply: number) => {
      if (!Number.isInteger(reply)) throw new Error("not a number")
      return total + reply
    },
    (total) => total >= 10
  )

  it("makes the answer reply by reply until it is done", () => {
    const system = systemOf(4, "crash")
    const count = sum.start(system, everyone(system))
    expect([count.on(10, 4), count.on(20, 5)]).toEqual([undefined, undefined])
    expect(count.got()).toBe(2)
    expect(count.possible(NodeSet.of(4, [2, 3]))).toBe(true)
    expect(count.on(30, 6)).toEqual({ answer: 15 })
    expect(count.on(40, 6)).toBeUndefined()
  })

  it("starts from the same initial answer in each call, and tells who replied and how many", () => {
    const seen: Array<unknown> = []
    const names = Policy.fold<string, ReadonlyArray<string>>(
      [],
      (list, reply, from) => [...list, `${from}: ${reply}`],
      (list, count) => seen.push([list.length, count]) === 0 || count === 2
    )
    const system = systemOf(3, "crash")
    for (let call = 0; call < 2; call++) {
      const count = names.start(system, everyone(system))
      count.on(30, "c")
      expect(count.on(10, "a")).toEqual({ answer: ["30: c", "10: a"] })
    }
    expect(seen).toEqual([
      [1, 1],
      [2, 2],
      [1, 1],
      [2, 2]
    ])
  })

  it("survives a reply that breaks the step, and gives up when all are in", () => {
    const system = systemOf(3, "crash")
    const count = sum.start(system, everyone(system))
    count.on(10, 4)
    expect(count.on(20, 0.5)).toBeUndefined()
    expect(count.got()).toBe(1)
    expect(count.possible(NodeSet.of(3, [2]))).toBe(true)
    expect(count.on(30, 5)).toBeUndefined()
    expect(count.possible(new NodeSet(3))).toBe(false)
  })
})
