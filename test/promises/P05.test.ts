/**
 * P5: What a correct node says reaches every correct node as long as links come back, until a
 * bounded tail has been cut that enough members have taken; after that the node is told it is
 * behind.
 */
import { describe, expect, it } from "vitest"
import { counterOf } from "../support/counter.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "../support/engines.ts"
import { echo, finals, hear, rb } from "../support/tries.ts"

describe("P5: a word that a node dropped comes again", () => {
  /**
   * Node 4 was told of slots 1 to 4 by nodes 2 and 3 before it could decide any: of its window of
   * two it dropped half, and without that half it decides nothing more.
   */
  const behind = (limits = {}) => {
    const nodes = new Nodes(counterOf(2), 4, "byzantine", limits)
    for (let i = 1; i <= 4; i++) {
      nodes.call(1, request("ctr", "add", { by: i }, { index: i }))
      nodes.settle((_, to) => to !== 4)
    }
    nodes.settle((from, to) => to !== 4 || from !== 1)
    expect(nodes.engines.get(4)!.counters["above_window"]).toBeGreaterThan(0)
    return nodes
  }
  const decided = (nodes: Nodes): ReadonlyArray<number> =>
    nodes.logs
      .get(4)!
      .flatMap((r) => r.entries)
      .flatMap((e) => (e.kind === "decided" ? [e.index] : []))

  it("also where the link broke before its author heard that it is wanted", () => {
    const nodes = behind()
    nodes.settle((_, __, message) => message.kind !== "wantLane")
    for (const id of [2, 3]) nodes.cut(id, 4)
    for (const id of [2, 3]) nodes.link(id, 4)
    nodes.settle()
    expect(decided(nodes)).toEqual([1, 2, 3, 4])
  })

  it("also where what is wanted is more than may be on the way at once", () => {
    const nodes = behind({ cursorBytesMax: 20 })
    nodes.settle()
    nodes.settle()
    expect(decided(nodes)).toEqual([1, 2, 3, 4])
  })

  it("also where its author's share is full of votes that nobody needs any more", () => {
    const limits = { windowCalls: 4, earlyVotesMax: 4 }
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    // calls that reach node 1 alone are lost one by one, as their client goes on
    for (let index = 1; index <= 20; index++) {
      nodes.call(1, rb(index, { ackedBelow: index }))
      nodes.settle()
    }
    for (const id of nodes.ids) nodes.call(id, rb(40, { ackedBelow: 40 }))
    nodes.settle()
    for (const id of nodes.ids) nodes.call(id, rb(44, { ackedBelow: 44 }))
    nodes.settle()
    nodes.settle()
    for (const id of nodes.ids) {
      const size = nodes.engines.get(id)!.size()
      expect([finals(nodes, id).slice(-2), size["early"], size["tail"]]).toEqual([[40, 44], 0, 0])
    }
  })

  it("also once its client tells here, of all nodes last, how far it has come", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { windowCalls: 4, earlyVotesMax: 4 })
    nodes.call(4, rb(1))
    for (const from of [1, 2]) hear(nodes, 4, from, echo(1, { index: 9 }))
    nodes.outputs.length = 0
    nodes.call(4, rb(9, { ackedBelow: 9 }))
    const wanted = nodes.outputs.flatMap(({ output }) =>
      output.kind === "send" && output.message.kind === "wantLane" ? [output.to] : []
    )
    expect(wanted).toEqual([1, 2])
  })

  it("also where each share is full of votes for calls that reached their author alone", () => {
    const limits = { windowCalls: 4, earlyVotesMax: 4 }
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    for (const id of [1, 2, 3]) nodes.call(id, rb(1))
    nodes.settle()
    // clients that died early: nobody will ever finish these, and node 4 keeps the newest of them
    for (const id of [1, 2, 3]) {
      for (let i = 0; i < 8; i++) nodes.call(id, rb(1, { session: session(10 * id + i) }))
    }
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    expect(nodes.engines.get(4)!.counters["early_dropped"]).toBeGreaterThan(0)
    expect(finals(nodes, 4)).toEqual([1])
  })

  it("nothing is told as done that was dropped and only asked for", () => {
    const some = protocolOf("rb", {
      broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
      echo: ["phase", ({ message, reply }) => (message.text === "wait" ? [] : reply(message))]
    })
    const nodes = new Nodes(some, 3, "crash", { unfinishedMax: 3 })
    nodes.settle()
    for (let i = 1; i <= 4; i++) {
      const body = json.encode({ text: i === 4 ? "wait" : "a" })
      hear(nodes, 1, 2, echo(i, { index: i, body }))
    }
    nodes.outputs.length = 0
    nodes.input(1, { kind: "tick" })
    const told = nodes.outputs.flatMap(({ output }) =>
      output.kind === "send" && output.message.kind === "taken" ? [output.message.done] : []
    )
    expect(told).toEqual([3])
  })
})

describe("P5: links come back", () => {
  it("what a broken link lost is said again after link up", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb(1))
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    nodes.settle()
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    expect(finals(nodes, 4)).toEqual([1])
  })

  it("wherever the link breaks between two messages, nothing is missing in the end", () => {
    for (let at = 0; at < 40; at++) {
      const nodes = new Nodes(bracha, 4, "byzantine")
      for (const id of [1, 2, 3]) nodes.call(id, rb(1))
      let passed = 0
      nodes.settle((from, to) => (from !== 1 && to !== 1) || passed++ < at)
      for (const id of [2, 3, 4]) nodes.cut(1, id)
      nodes.settle()
      for (const id of [2, 3, 4]) nodes.link(1, id)
      nodes.settle()
      expect(nodes.ids.map((id) => finals(nodes, id))).toEqual([[1], [1], [1], [1]])
    }
  })

  it("a restarted node is told again what it had not finished, wherever it stopped", () => {
    for (let at = 0; at < 40; at++) {
      const nodes = new Nodes(bracha, 4, "byzantine")
      for (const id of nodes.ids) nodes.call(id, rb(1))
      let passed = 0
      nodes.settle((from, to) => (from !== 1 && to !== 1) || passed++ < at)
      for (const id of [2, 3, 4]) nodes.cut(1, id)
      nodes.boot(1)
      for (const id of [2, 3, 4]) nodes.link(1, id)
      nodes.settle()
      expect(nodes.ids.map((id) => finals(nodes, id))).toEqual([[1], [1], [1], [1]])
    }
  })
})
