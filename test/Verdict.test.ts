import { describe, expect, it } from "vitest"
import { NodeSet } from "../src/base/nodeSet.ts"
import type { FaultModel } from "../src/quorum/FaultModel.ts"
import { atLeast, makeSystem, type Quorum } from "../src/quorum/QuorumSystem.ts"
import { type Verdict, verdict } from "../src/quorum/Verdict.ts"

type Choice = "open" | "yes" | "no"

/** Every way in which n members can have voted so far. */
const states = (n: number): Array<ReadonlyArray<Choice>> =>
  n === 0
    ? [[]]
    : states(n - 1).flatMap((rest) =>
        (["open", "yes", "no"] satisfies Array<Choice>).map((choice) => [...rest, choice])
      )
const setOf = (state: ReadonlyArray<Choice>, choice: Choice): NodeSet =>
  NodeSet.of(
    state.length,
    state.flatMap((one, rank) => (one === choice ? [rank] : []))
  )

/** The slow obvious twin: looks at every future. */
const verdictByFutures = (quorum: Quorum, state: ReadonlyArray<Choice>): Verdict => {
  const open = state.indexOf("open")
  if (open < 0) return quorum.has(setOf(state, "yes")) ? "won" : "lost"
  const futures = (["yes", "no"] satisfies Array<Choice>).map((choice) =>
    verdictByFutures(quorum, state.with(open, choice))
  )
  return futures[0] === futures[1] ? futures[0]! : "pending"
}

/** No counting: the first member, or all the others. */
const firstOrOthers: Quorum = {
  name: "first or others",
  needed: 1,
  has: (set) => set.has(0) || (set.size > 1 && set.count === set.size - 1)
}

describe("verdict", () => {
  it("says what every future says, in every state of up to 6 members, for every quorum", () => {
    for (let n = 1; n <= 6; n++) {
      for (const model of ["crash", "byzantine"] satisfies Array<FaultModel>) {
        const members = Array.from({ length: n }, (_, i) => i + 1)
        const { quorum, oneHonest, blocking, all } = makeSystem(members, model)
        for (const q of [quorum, oneHonest, blocking, all, firstOrOthers]) {
          for (const state of states(n)) {
            const seen = verdict(q, setOf(state, "yes"), setOf(state, "no"))
            expect(seen, `${q.name} ${state}`).toBe(verdictByFutures(q, state))
          }
        }
      }
    }
  })

  it("is lost from the start where no set has the quorum, won where the empty one has it", () => {
    const none = new NodeSet(4)
    expect(verdict(atLeast("five", 4, 5), none, none)).toBe("lost")
    expect(verdict(atLeast("none", 4, 0), none, none)).toBe("won")
  })
})
