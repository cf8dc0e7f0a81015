/** What hostile peers and clients, broken links and careless authors do to an engine. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import type { Input } from "../src/server/Input.ts"
import { methodId, type PeerMessage, type Request, type Word } from "../src/server/Message.ts"
import type { Output } from "../src/server/Output.ts"
import type { ProtocolSpec } from "../src/server/Protocol.ts"
import { counterOf } from "./support/counter.ts"
import { bracha, bytesOf, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

const rb = (index: number, more: Partial<Request> = {}) =>
  request("rb", "broadcast", { text: `m${index}` }, { index, ...more })
const echo = (position: number, more: Partial<Word> = {}): Word => ({
  kind: "word",
  position,
  lane: session(1),
  index: 1,
  method: methodId("rb/echo"),
  round: 0,
  ackedBelow: 1,
  body: json.encode({ text: "a" }),
  ...more
})
const hear = (nodes: Nodes, to: number, from: number, message: PeerMessage): void =>
  nodes.input(to, { kind: "message", from, message })
const finals = (nodes: Nodes, id: number): ReadonlyArray<number> =>
  nodes.logs
    .get(id)!
    .flatMap((r) => r.entries)
    .flatMap((e) => (e.kind === "final" ? [e.index] : []))
    .sort((a, b) => a - b)

/** One engine whose handlers may return Effects: `{ effect }`. */
const alone = (protocol: ProtocolSpec, limits: Partial<typeof LIMITS> = {}) => {
  const engine = new Engine({
    self: 1,
    system: makeSystem([1, 2, 3], "crash"),
    protocols: [protocol],
    limits: { ...LIMITS, ...limits },
    isEffect: (value: any) => value?.effect !== undefined
  })
  engine.step({ kind: "booted", atMs: 2_000, horizonMs: 0 })
  const step = (input: any): ReadonlyArray<Output> =>
    engine.step({ atMs: 2_000, ...input } as Input)
  const codes = (input: any) =>
    step(input).flatMap((o) => (o.kind === "reply" ? [o.reply.code ?? "answer"] : []))
  const call = (method: string, index: number, more: Partial<Request> = {}) => ({
    kind: "request",
    route: 1,
    request: request(protocol.name, method, {}, { index, ...more })
  })
  return { engine, step, codes, call }
}

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

describe("P12, P15: junk hurts nobody else", () => {
  it("an Effect that ends with no directive poisons its call", () => {
    const { codes, call, step } = alone(protocolOf("w", { ask: ["rpc", () => ({ effect: 1 })] }))
    for (const result of [undefined, null, 7, "x"]) {
      const index = 1 + [undefined, null, 7, "x"].indexOf(result as undefined)
      step(call("ask", index))
      expect(codes({ kind: "ran", token: index, result })).toEqual(["poisoned"])
    }
  })

  it("a one-way that nobody can read is counted and not reported", () => {
    const { engine, step } = alone(protocolOf("w", { tell: ["unicast", () => []] }))
    const message = { kind: "oneWay", method: methodId("w/tell"), body: bytesOf("{") }
    expect(step({ kind: "oneWay", route: 1, message })).toEqual([])
    expect(engine.counters).toEqual({ malformed: 1 })
  })

  it("a node that cannot read its own log says so and stops", () => {
    const world = {
      record: json,
      evolve: () => {
        throw new Error("no")
      }
    }
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb(1))
    const record = nodes.logs.get(1)![0]!
    const torn = {
      entries: record.entries.map((e) => (e.kind === "word" ? { ...e, body: bytesOf("{") } : e))
    }
    const boot = (protocol: ProtocolSpec, log: typeof record) =>
      new Engine({
        self: 1,
        system: makeSystem([1, 2, 3, 4], "byzantine"),
        protocols: [protocol],
        limits: LIMITS,
        isEffect: () => false
      }).step({ kind: "replay", record: log })
    expect(boot(bracha, torn)).toMatchObject([{ kind: "halt" }])
    const stored = { kind: "stored", protocol: methodId("rb"), body: bytesOf("{}") } as const
    expect(boot({ ...bracha, world }, { entries: [stored] })).toMatchObject([{ kind: "halt" }])
  })

  it("P1: a second value that comes before its instance is evidence too", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const [i, text] of ["a", "b", "c"].entries()) {
      hear(nodes, 1, 2, echo(i + 1, { body: json.encode({ text }) }))
    }
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    expect(nodes.engines.get(1)!.evidence).toMatchObject([{ author: 2, index: 1 }])
  })
})
