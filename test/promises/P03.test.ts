/**
 * P3: Messages that arrive before the call or the phase they belong to are used later: kept within
 * the sender's share, else asked for again.
 */
import { describe, expect, it } from "vitest"
import { methodId } from "../../src/server/Message.ts"
import { bracha, json, Nodes, session } from "../support/engines.ts"
import { echo, finals, hear, logged, rb } from "../support/tries.ts"

const said = (nodes: Nodes, id: number): ReadonlyArray<number> =>
  logged(nodes, id, "word").map(({ method }) => method)

describe("P3", () => {
  it("votes that come before their call are its votes", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    hear(nodes, 1, 2, echo(1, { body: json.encode({ text: "m1" }) }))
    expect(nodes.engines.get(1)!.size()).toMatchObject({ early: 1, instances: 0 })
    nodes.call(1, rb(1))
    hear(nodes, 1, 3, echo(1, { body: json.encode({ text: "m1" }) }))
    // Its own echo, the early one and the one that came in time are three of four.
    expect(said(nodes, 1)).toEqual([methodId("rb/echo"), methodId("rb/ready")])
  })

  it("votes of a later phase that come before those of an earlier one are its votes", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    const ready = { method: methodId("rb/ready"), body: json.encode({ text: "m1" }) }
    for (const peer of [2, 3, 4]) hear(nodes, 1, peer, echo(1, ready))
    // No echo ever came: two readies make it say ready, three make it deliver.
    expect(said(nodes, 1)).toEqual([methodId("rb/ready")])
    expect(finals(nodes, 1)).toEqual([1])
  })

  it("votes in a session that the node does not know are kept, whatever their order", () => {
    for (const order of [
      [2, 3, 4],
      [4, 3, 2]
    ]) {
      const nodes = new Nodes(bracha, 4, "byzantine")
      for (const id of [2, 3, 4]) nodes.call(id, rb(1))
      nodes.settle((_, to) => to !== 1)
      for (const peer of order) nodes.settle((from, to) => to !== 1 || from === peer)
      nodes.settle()
      expect(finals(nodes, 1)).toEqual([1])
    }
  })

  it("what does not fit its sender's share is asked for again, and hurts no other sender", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { windowCalls: 8, earlyVotesMax: 8 })
    for (let index = 1; index <= 8; index++) {
      for (const id of [2, 3, 4]) nodes.call(id, rb(index))
    }
    // Node 2 alone fills its share twice over: two words in each of eight calls.
    nodes.settle((from, to) => to !== 1 || from === 2)
    const engine = nodes.engines.get(1)!
    expect(engine.counters["early_dropped"]).toBeGreaterThan(0)
    expect(engine.size()["early"]).toBeLessThanOrEqual(8)
    nodes.settle()
    nodes.settle()
    expect(finals(nodes, 1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })

  it("one member's votes for calls that never come stay its own share", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { windowCalls: 8, earlyVotesMax: 8 })
    for (let i = 1; i <= 1_000; i++) hear(nodes, 1, 2, echo(i, { lane: session(9), index: i }))
    for (const id of nodes.ids) nodes.call(id, rb(1))
    nodes.settle()
    expect(nodes.engines.get(1)!.size()["early"]).toBeLessThanOrEqual(8)
    expect(finals(nodes, 1)).toEqual([1])
  })
})
