/**
 * A state has two fields that belong together. Whatever throws between the writing of one and of
 * the other leaves no state behind that is half one and half the other: handlers say what is to be
 * written once they return, and where `evolve` itself throws the node stops.
 */
import { describe, expect, it } from "vitest"
import { decodePlain } from "../../src/base/plainData.ts"
import type { LogRecord } from "../../src/server/LogRecord.ts"
import type { ProtocolSpec, WorldSpec } from "../../src/server/Protocol.ts"
import { frozen } from "../../src/runtime/internal/frozen.ts"
import { json, Nodes, protocolOf, request, session } from "../support/engines.ts"
import { Hosts } from "../support/hosts.ts"

interface Pair {
  left: number
  right: number
}
/** Ways to say both, of which only the first ends well. */
const both = (context: any, { to, how }: { to: number; how?: string }): unknown => {
  if (how === "write") context.state.left = to
  const left = context[how === "note" ? "note" : "store"]({ left: to })
  if (how === "throw" || how === "note") throw new Error("between the two")
  if (how === "mistake") return [left, { kind: "store" }, context.forward.nobody?.() ?? null]
  if (how === "effect") return { effect: () => ({ failure: "between the two" }) }
  return [left, context.store({ right: to })]
}

const world: WorldSpec = {
  state: (): Pair => ({ left: 0, right: 0 }),
  record: json,
  evolve: (state: Pair, { left, right, bad }) => {
    if (left !== undefined) state.left = left
    if (bad === true) throw new Error("between the two")
    if (right !== undefined) state.right = right
  },
  lanes: { slots: { window: 64 } },
  timers: { late: (it: any) => both(it, { to: 7, how: "throw" }) as never }
}

const application = (throws: boolean) => ({
  lane: "slots",
  command: json,
  initial: (): Pair => ({ left: 0, right: 0 }),
  apply: (state: Pair, { to }: { to: number }) => {
    state.left += to
    if (throws) throw new Error("between the two")
    state.right += to
  }
})

/** Calls, and what handles each kind of message, write both fields as they are told. */
const pairs = (more: WorldSpec = {}): ProtocolSpec =>
  protocolOf(
    "p",
    {
      entry: ["multiparty", (it) => both(it, it.message) as never],
      say: ["multiparty", ({ message, forward }) => forward[message.phase](message)],
      arm: ["multiparty", ({ arm }) => arm("late", 5)],
      each: [
        "phase",
        { lane: "slots", index: (m) => m.slot, each: (it) => both(it, it.message) as never }
      ],
      quorum: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot,
          quorum: (it) => both(it, it.votes.value) as never
        }
      ],
      decide: [
        "phase",
        { lane: "slots", index: (m) => m.slot, each: ({ message, apply }) => apply(message) }
      ],
      raw: ["rpc", ({ message, store }) => store(message.record)],
      read: ["rpc", ({ state, reply }) => reply({ left: state.left, right: state.right })]
    },
    { ...world, ...more }
  )

class One extends Nodes {
  #calls = 0

  constructor(spec = pairs()) {
    super(spec, 1, "crash")
  }
  ask(method: string, message: object): void {
    this.call(1, request("p", method, message, { index: ++this.#calls }))
  }
  /** As a handler sees it, and as a checkpoint would keep it. */
  state(): ReadonlyArray<unknown> {
    this.ask("read", {})
    const kept = keptIn(this.engines.get(1)!.checkpoint(), "state")
    return [json.decode(this.replies.at(-1)!.reply.body), kept]
  }
}
const keptIn = ({ entries }: LogRecord, kind: "state" | "installed"): any =>
  entries.flatMap((e) => (e.kind === kind ? [decodePlain(e.body)] : []))[0]

const AS_IT_WAS = [
  { left: 1, right: 1 },
  { left: 1, right: 1 }
]

describe("throw between two assignments: a handler leaves the state as it was", () => {
  const HOW = ["throw", "note", "mistake"]
  it.each([
    ...HOW.map((how) => ["entry", { to: 2, how }] as const),
    ["entry", { to: 2, how: "effect" }] as const,
    ...HOW.map((how) => ["say", { phase: "each", slot: 1, to: 2, how }] as const),
    ...HOW.map((how) => ["say", { phase: "quorum", slot: 1, to: 2, how }] as const)
  ])("%s %j", (method, message) => {
    const nodes = new One()
    nodes.ask("entry", { to: 1 })
    const records = nodes.logged(1).filter((kind) => kind === "stored").length
    nodes.ask(method, message)
    if (message.how === "effect") expect(nodes.run(1)).toBe(true)
    expect(nodes.engines.get(1)!.counters["poisoned"]).toBe(1)
    expect(nodes.state()).toEqual(AS_IT_WAS)
    expect(nodes.logged(1).filter((kind) => kind === "stored")).toHaveLength(records)
    nodes.boot(1)
    expect(nodes.state()).toEqual(AS_IT_WAS)
    // And goes on from there.
    nodes.ask("say", { phase: "each", slot: 2, to: 3 })
    expect(nodes.state()[0]).toEqual({ left: 3, right: 3 })
  })

  it.each(["entry", "each"])("one that writes by itself, where it is watched: %s", (phase) => {
    const nodes = new One(frozen(pairs()))
    nodes.ask("entry", { to: 1 })
    const message = { phase, slot: 1, to: 2, how: "write" }
    nodes.ask(phase === "entry" ? "entry" : "say", message)
    expect(nodes.engines.get(1)!.counters["poisoned"]).toBe(1)
    expect(nodes.state()).toEqual(AS_IT_WAS)
  })

  it("a timer's, and a hook's", () => {
    const booted = (it: any) => both(it, { to: 9, how: "throw" }) as never
    const nodes = new One(pairs({ booted, turnEnd: booted }))
    nodes.ask("entry", { to: 1 })
    nodes.ask("arm", {})
    nodes.atMs += 10
    nodes.input(1, { kind: "tick" })
    expect(nodes.engines.get(1)!.counters["poisoned"]).toBe(3)
    expect(nodes.state()).toEqual(AS_IT_WAS)
  })
})

describe("throw between two assignments: an evolve stops its node", () => {
  const SMALL = {
    bodyBytesMax: 1024,
    batchBytesMax: 4096,
    batchBytesTarget: 1024,
    fragmentBytes: 1024,
    cursorBytesMax: 2048,
    logSegmentBytes: 8192
  }
  const pad = "x".repeat(900)
  const mended = pairs({
    evolve: (state: Pair, record) => void Object.assign(state, record),
    application: application(false)
  })
  const ask = (nodes: Hosts, index: number, method: string, message: object): void => {
    nodes.call(1, request("p", method, message, { index, session: session(1, 99_000) }))
    nodes.settle()
  }
  /** A host whose log has some records, and little room before it is cut. */
  const filled = (spec: ProtocolSpec, before: number): Hosts => {
    const nodes = new Hosts(spec, 1, { limits: SMALL })
    nodes.atMs = 100_000
    ask(nodes, 1, "entry", { to: 1 })
    for (let n = 0; n < before; n++) ask(nodes, 2 + n, "raw", { record: { pad } })
    return nodes
  }
  /** Its next life runs what does not throw. */
  const mend = (nodes: Hosts): Hosts => {
    expect(nodes.halted).toHaveLength(1)
    nodes.crash(1)
    nodes.protocol = mended
    expect(nodes.boot(1)).toBeUndefined()
    expect(nodes.halted).toHaveLength(1)
    return nodes
  }
  const stateOf = (nodes: Hosts, kind: "state" | "installed"): any =>
    keptIn(nodes.core(1).engine.checkpoint(), kind)

  it("which says why, and answers nobody any more", () => {
    const nodes = new Hosts(pairs(), 1)
    nodes.atMs = 100_000
    ask(nodes, 1, "entry", { to: 1 })
    ask(nodes, 2, "raw", { record: { left: 2, right: 2, bad: true } })
    expect(nodes.halted).toEqual(["1: evolve of p threw: Error: between the two"])
    ask(nodes, 3, "read", {})
    expect(nodes.answers()).toEqual([])
    // Its record is durable, and the same throw meets it again.
    nodes.crash(1)
    nodes.boot(1)
    expect(nodes.halted).toHaveLength(2)
  })

  it.each(Array.from({ length: 12 }, (_, i) => i))(
    "and keeps no half of it, also where its log is due to be cut, after %d records",
    (before) => {
      const nodes = filled(pairs(), before)
      ask(nodes, 50, "raw", { record: { left: 2, right: 2, bad: true, pad } })
      expect(stateOf(mend(nodes), "state")).toMatchObject({ left: 2, right: 2 })
    }
  )

  it.each(Array.from({ length: 12 }, (_, i) => i))(
    "and so does an application, after %d records",
    (before) => {
      const nodes = filled(pairs({ application: application(true) }), before)
      ask(nodes, 50, "say", { phase: "decide", slot: 1, to: 2, pad })
      expect(stateOf(mend(nodes), "installed")[1]).toEqual({ left: 2, right: 2 })
    }
  )
})
