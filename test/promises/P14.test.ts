/** P14: A slow or stuck peer, group or disk delays nobody but itself. */
import { describe, expect, it } from "vitest"
import { counterOf } from "../support/counter.ts"
import { bracha, Nodes, protocolOf, request } from "../support/engines.ts"
import { alone, finals, rb } from "../support/tries.ts"

/** Rounds of messages until `calls` calls are answered by nodes 1 to 3. */
const rounds = (nodes: Nodes, calls: number, stuck: number | undefined): number => {
  let steps = 0
  for (let index = 1; index <= calls; index++) {
    for (const id of [1, 2, 3]) nodes.call(id, rb(index, { ackedBelow: index }))
    nodes.settle((_, to) => {
      steps++
      return to !== stuck
    })
  }
  for (const id of [1, 2, 3]) expect(finals(nodes, id)).toHaveLength(calls)
  return steps
}

describe("P14", () => {
  it("a peer that takes nothing: the others need no message more, nor more memory", () => {
    const limits = { cursorBytesMax: 4_096, windowCalls: 64, earlyVotesMax: 64 }
    const free = rounds(new Nodes(bracha, 4, "byzantine", limits), 300, undefined)
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    expect(rounds(nodes, 300, 4)).toBeLessThanOrEqual(2 * free)
    // What waits for the stuck peer on its way is bounded; the rest is one tail, not a queue.
    for (const id of [1, 2, 3]) {
      const queued = nodes.queues.get(`${id}>4`)!
      const bytes = queued.reduce((sum, m) => sum + (m.kind === "word" ? m.body.length : 0), 0)
      expect(bytes).toBeLessThanOrEqual(4_096)
    }
  })

  it("back again, it takes everything, a bounded piece at a time", () => {
    const limits = { cursorBytesMax: 4_096, windowCalls: 64, earlyVotesMax: 64 }
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    rounds(nodes, 60, 4)
    for (let i = 0; i < 20; i++) nodes.settle()
    expect(nodes.engines.get(1)!.size()["tail"]).toBe(0)
    for (const id of [1, 2, 3]) nodes.call(id, rb(61, { ackedBelow: 61 }))
    nodes.settle()
    expect(finals(nodes, 4)).toContain(61)
  })

  it("a member that lags in a lane of the protocol's own stops nobody's lane", () => {
    const nodes = new Nodes(counterOf(2), 3, "crash")
    for (let i = 1; i <= 50; i++) {
      nodes.call(1, request("ctr", "add", { by: 1 }, { index: i, ackedBelow: i }))
      nodes.settle((_, to) => to !== 3)
    }
    expect(nodes.replies.filter(({ from }) => from === 1)).toHaveLength(50)
    for (let i = 0; i < 60; i++) nodes.settle()
    expect(nodes.engines.get(3)!.size()["tail"]).toBe(0)
  })

  it("a handler's Effect that never ends holds up no other call", () => {
    const { codes, call, step } = alone(
      protocolOf("w", {
        slow: ["rpc", () => ({ effect: 1 })],
        fast: ["rpc", ({ reply }) => reply({})]
      })
    )
    expect(step(call("slow", 1)).map(({ kind }) => kind)).toEqual(["run"])
    for (let index = 2; index <= 50; index++) expect(codes(call("fast", index))).toEqual(["answer"])
  })
})
