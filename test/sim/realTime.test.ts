/** The judge of real time, on histories by hand and on a node that answers before its turn. */
import { describe, expect, it } from "vitest"
import type { Route } from "../../src/server/Input.ts"
import { laneOfBytes } from "../../src/server/laneKey.ts"
import type { Output } from "../../src/server/Output.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { callKey } from "../../src/testing/checkAnswers.ts"
import { outOfTime, type Place, type TimedCall } from "../../src/testing/checkRealTime.ts"
import { choicesOf, type SimulateOptions } from "../../src/testing/index.ts"
import { json, Sum } from "../../tools/sum.ts"
import { firstFailure, stepping } from "./support.ts"

describe("the judge of real time", () => {
  const call = (number: number, calledMs: number, answeredMs?: number): TimedCall => ({
    ...{ number, key: String(number), calledMs, answeredMs }
  })
  /** @param indexes of calls 1, 2, 3 …; 0: not decided */
  const judge = (calls: ReadonlyArray<TimedCall>, indexes: ReadonlyArray<number>, lanes = "sss") =>
    outOfTime(calls, (key): Place | undefined => {
      const index = Math.floor(indexes[Number(key) - 1]!)
      const at = (indexes[Number(key) - 1]! - index) * 10
      return index === 0 ? undefined : { lane: lanes[Number(key) - 1]!, index, at }
    })

  it("wants a call that begins after an answer behind what was answered", () => {
    const calls = [call(1, 10, 20), call(2, 30, 40), call(3, 50, 60)]
    expect(judge(calls, [1, 2, 3])).toBeUndefined()
    expect(judge(calls, [1, 3, 2])).toBe(
      "real time: call 3 began at 50 ms and is at index 2, place 0; " +
        "call 2 was answered at 40 ms and is at index 3, place 0"
    )
    // Not only the neighbour: the latest of all that was answered.
    expect(judge(calls, [5, 6, 3])).toContain("call 2 was answered")
    expect(judge(calls, [5, 3, 6])).toContain("call 2 began")
  })

  it("has nothing to say of calls that were open together, or of other lanes", () => {
    expect(judge([call(1, 10, 30), call(2, 20, 40)], [2, 1])).toBeUndefined()
    expect(judge([call(1, 10, 30), call(2, 30, 40)], [2, 1])).toBeUndefined()
    expect(judge([call(1, 10, 20), call(2, 30, 40)], [2, 1], "st")).toBeUndefined()
  })

  it("knows the places in a batch", () => {
    const calls = [call(1, 10, 20), call(2, 30, 40)]
    expect(judge(calls, [1, 1.1])).toBeUndefined()
    expect(judge(calls, [1.1, 1])).toContain("index 1, place 0")
  })

  it("holds calls without an answer to their beginning only", () => {
    expect(judge([call(1, 10), call(2, 30, 40)], [2, 1])).toBeUndefined()
    expect(judge([call(1, 10, 20), call(2, 30)], [2, 1])).toContain("call 2 began")
    expect(judge([call(1, 10, 20), call(2, 30)], [2, 0])).toBeUndefined()
  })
})

/** Slots by pairs, the second first: 2, 1, 4, 3, … */
const swapped = (n: number): number => (n % 2 === 0 ? n - 1 : n + 1)
const FILL_MS = 50

/**
 * A sum whose leader gives slots out of order, and closes a hole that nobody asks for. That is
 * allowed: answers come once all below has run. They tell nothing by which a run in order differs.
 */
const Scattered: ProtocolSpec = {
  ...Sum,
  methods: Sum.methods.map((method) => {
    if (method.name !== "add") return method
    const handler = (context: any): unknown => {
      const { forward, arm, lanes, refuse } = context
      const accept = (message: { readonly slot: number }): unknown => {
        const slot = swapped(message.slot)
        if (slot > lanes.slots.last) return refuse.overloaded()
        return [forward.accept({ ...message, slot }), arm("fill", FILL_MS)]
      }
      const changed = { forward: { value: { accept } } }
      return (method.handler as (context: object) => unknown)(Object.create(context, changed))
    }
    return { ...method, handler: handler as typeof method.handler }
  }),
  world: {
    ...Sum.world,
    evolve: (state, accept: { readonly slot: number }) =>
      Sum.world!.evolve!(state, { ...accept, slot: swapped(accept.slot) }),
    timers: {
      fill: ({ state, self, forward, wait }) => {
        const hole = swapped(state.next)
        if (self !== 1 || hole > state.next) return wait
        return forward.accept({ slot: hole, by: 0, session: "", index: 0 })
      }
    },
    booted: ({ arm }) => arm("fill", FILL_MS),
    application: {
      ...Sum.world!.application!,
      initial: () => ({ total: 0 }),
      apply: () => ({ done: true })
    }
  }
}
const options: Omit<SimulateOptions, "seed"> = {
  spec: Scattered,
  nodes: 3,
  byzantine: 0,
  model: "crash",
  leader: 1,
  choices: choicesOf(Scattered, { add: [{ by: 1 }] }),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
}

/** Answers a call once it is decided, durably, and not once all below it has run. */
const beforeItsTurn = stepping((step) => {
  const routes = new Map<string, Route>()
  return (input) => {
    if (input.kind === "request") {
      routes.set(callKey(input.request.session, input.request.index), input.route)
    }
    return step(input).flatMap((output): ReadonlyArray<Output> => {
      if (output.kind !== "store") return [output]
      const calls = output.record.entries.flatMap((entry) =>
        entry.kind === "decided" ? entry.items.flatMap(({ call }) => call ?? []) : []
      )
      const replies = calls.flatMap(({ session, index }): ReadonlyArray<Output> => {
        const name = { session: laneOfBytes(session), index }
        const route = routes.get(callKey(name.session, index))
        if (route === undefined) return []
        const body = json.encode({ done: true })
        return [{ kind: "reply", route, reply: { kind: "reply", ...name, body } }]
      })
      return [output, ...replies]
    })
  }
})

it("finds a node that answers before all below is decided, and only that one", () => {
  const planted = { ...options, decorate: { engine: beforeItsTurn } }
  const found = firstFailure(planted, 100)
  expect(found?.failure).toMatch(/real time: call \d+ began at/)
  // Slots out of order alone are none.
  expect(firstFailure(options, 50)?.failure).toBeUndefined()
  console.info(`answers before its turn: ${found!.seed} seeds: ${found!.failure}`)
})
