/** What hostile peers and clients, broken links and careless authors do to an engine. */
import { describe, expect, it } from "vitest"
import { counterOf } from "./support/counter.ts"
import { bracha, bytesOf, json, Nodes, protocolOf, request, session } from "./support/engines.ts"
import { alone, echo, hear, rb } from "./support/tries.ts"

describe("P8: what a peer can fill is its own share", () => {
  it("early votes are bounded in bytes too", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { cursorBytesMax: 10_000 })
    const body = json.encode({ text: "x".repeat(1_000) })
    for (let i = 1; i <= 100; i++) hear(nodes, 1, 2, echo(i, { index: i, body }))
    expect(nodes.engines.get(1)!.size()["early"]).toBeLessThan(11)
  })

  it("a resume that nobody asked for changes nothing", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.settle()
    hear(nodes, 1, 2, { kind: "resume", position: 2 ** 40 })
    expect(nodes.engines.get(1)!.counters["resume_unasked"]).toBe(1)
  })

  it("one want of a lane, however wide, costs one walk of the tail", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.settle()
    for (let i = 1; i <= 50; i++) nodes.call(1, rb(i))
    nodes.input(1, { kind: "turnEnd" })
    nodes.outputs.length = 0
    const want = { kind: "wantLane", lane: session(1), from: 1, to: 2 ** 40 } as const
    for (let i = 0; i < 100; i++) hear(nodes, 1, 2, want)
    expect(nodes.outputs).toEqual([])
    nodes.input(1, { kind: "turnEnd" })
    expect(nodes.engines.get(1)!.counters["resent"]).toBe(50)
  })

  it("one who says again and again that its words are gone is looked into once a tick", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.settle()
    for (let i = 0; i < 100; i++) hear(nodes, 1, 2, { kind: "cut", position: 1 + i })
    expect(nodes.engines.get(1)!.counters).toMatchObject({ cut: 1, cut_again: 99 })
    nodes.input(1, { kind: "tick" })
    hear(nodes, 1, 2, { kind: "cut", position: 200 })
    expect(nodes.engines.get(1)!.counters["cut"]).toBe(2)
  })
})

describe("P8: what a client can fill is bounded", () => {
  it("a client that jumps ahead leaves no running call behind, and one line in the report", () => {
    const waits = protocolOf("w", { ask: ["quorum", () => []] })
    const { engine, step, call } = alone(waits, { windowCalls: 4 })
    for (let i = 1; i <= 1_000; i += 20) {
      const outputs = step(call("ask", i, { ackedBelow: i }))
      expect(outputs.filter((o) => o.kind === "report").length).toBeLessThanOrEqual(1)
    }
    expect(engine.size()["running"]).toBeLessThanOrEqual(8)
  })

  it("Effects of multiparty calls are bounded like all others", () => {
    const slow = protocolOf("w", { ask: ["multiparty", () => ({ effect: 1 })] })
    const { engine, codes, call, step } = alone(slow, { runsMax: 2 })
    expect([1, 2, 3].flatMap((i) => codes(call("ask", i)))).toEqual(["overloaded"])
    expect(engine.size()["runs"]).toBe(2)
    step({ kind: "ran", token: 1, result: [] })
    const again = step(call("ask", 3)).map(({ kind }) => kind)
    expect(again).toEqual(["run"])
  })

  it("a node that the client does not call keeps one window of answers, after a boot too", () => {
    const nodes = new Nodes(counterOf(4), 3, "crash", { windowCalls: 4 })
    for (let i = 1; i <= 40; i++) {
      nodes.call(1, request("ctr", "add", { by: 1 }, { index: i, ackedBelow: i }))
      nodes.settle()
    }
    expect(nodes.engines.get(2)!.size()["answers"]).toBeLessThanOrEqual(4)
    nodes.boot(2)
    expect(nodes.engines.get(2)!.size()["answers"]).toBeLessThanOrEqual(4)
  })
})

describe("P7: a call takes effect once and keeps its answer", () => {
  it("an interrupted call never runs again", () => {
    let runs = 0
    const slow = protocolOf("w", { ask: ["rpc", () => ({ effect: ++runs })] })
    const { step, codes, call } = alone(slow)
    step(call("ask", 1))
    expect(step({ kind: "cancel", route: 1, session: session(1), index: 1 })).toMatchObject([
      { kind: "interrupt", token: 1 }
    ])
    expect(codes(call("ask", 1))).toEqual(["cancelled"])
    step(call("ask", 2, { deadlineMs: 5 }))
    step({ kind: "tick", atMs: 2_005 })
    expect(codes(call("ask", 2))).toEqual(["deadline_exceeded"])
    expect(runs).toBe(2)
  })

  it("a refused copy is no answer: the next one runs", () => {
    let full = true
    const busy = protocolOf("w", {
      ask: ["quorum", ({ refuse, reply }) => (full ? refuse.overloaded() : reply({}))]
    })
    const { codes, call } = alone(busy)
    expect(codes(call("ask", 1))).toEqual(["overloaded"])
    full = false
    expect(codes(call("ask", 1))).toEqual(["answer"])
  })

  it("an answer above a hole is there after a restart", () => {
    const nodes = new Nodes(counterOf(4), 3, "crash", { windowCalls: 4 })
    for (const i of [1, 3, 4, 5, 6, 7, 8]) {
      nodes.call(1, request("ctr", "add", { by: i }, { index: i, ackedBelow: Math.max(1, i - 2) }))
      nodes.settle()
    }
    nodes.boot(1)
    nodes.replies.length = 0
    const slots = nodes.logs.get(1)!.length
    nodes.call(1, request("ctr", "add", { by: 8 }, { index: 8, ackedBelow: 6 }))
    expect(nodes.answers()).toEqual(['1: {"total":34}'])
    expect(nodes.logs.get(1)).toHaveLength(slots)
  })

  it("a reply to another instance's call is for all lives, whoever gives it", () => {
    const call = { session: bytesOf(session(1)), index: 1, method: "ask" }
    const tells = protocolOf("w", {
      ask: ["multiparty", () => []],
      tell: ["rpc", ({ reply }) => reply({ text: "late" }, { call })]
    })
    const nodes = new Nodes(tells, 3, "crash")
    nodes.call(1, request("w", "ask", {}))
    nodes.call(1, request("w", "tell", {}, { index: 2 }))
    nodes.boot(1)
    nodes.call(1, request("w", "ask", {}))
    expect(nodes.answers()).toEqual(['1: {"text":"late"}', '1: {"text":"late"}'])
  })
})
