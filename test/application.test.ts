import { Effect } from "effect"
import { describe, expect, it } from "vitest"
import { choicesOf, simulate } from "../src/testing/index.ts"
import { counterOf } from "./support/counter.ts"
import { Nodes, request } from "./support/engines.ts"
import { decidedOf, type Ledger, ledgerOf, type Put, put, write } from "./support/ledger.ts"

const add = (index: number, by = 1) => request("ctr", "add", { by }, { index })

/** Its application takes an Effect for each command. */
const slowOf = (window: number) => {
  const counter = counterOf(window)
  const { apply } = counter.world!.application!
  const slow: typeof apply = (_, command, context) => ({
    effect: () => (state: unknown) => apply(state, command, context)
  })
  const application = { ...counter.world!.application!, apply: slow }
  return { ...counter, world: { ...counter.world!, application } }
}

describe("a slow application", () => {
  it("P14: delays itself, not the vote, as far as it may fall behind", () => {
    const nodes = new Nodes(slowOf(4), 3, "crash", { applyAheadMax: 8 })
    for (let index = 1; index <= 40; index++) {
      nodes.call(1, add(index))
      nodes.settle()
      while (nodes.run(1)) nodes.settle()
    }
    // Node 1 needs the vote of another: they vote for what they may decide ahead, and a window.
    const last = 8 + 4
    expect(nodes.answers().filter((a) => a.includes("total"))).toHaveLength(last)
    for (const id of [2, 3]) expect(decidedOf(nodes, id)).toHaveLength(last)
    expect(nodes.answers()).toContain("1: overloaded")
  })

  it("that has caught up has run everything once, in order", () => {
    const nodes = new Nodes(slowOf(4), 3, "crash", { applyAheadMax: 8 })
    for (let index = 1; index <= 40; index++) {
      nodes.call(1, add(index))
      nodes.settle()
      for (const id of [1, 2]) while (nodes.run(id)) nodes.settle()
    }
    expect(decidedOf(nodes, 3)).toHaveLength(12)
    while (nodes.run(3)) nodes.settle()
    expect(decidedOf(nodes, 3)).toHaveLength(40)
    const totals = (id: number) =>
      nodes.replies.flatMap(({ from, reply }) =>
        from === id ? [String.fromCharCode(...reply.body)] : []
      )
    expect(totals(1)).toEqual(Array.from({ length: 40 }, (_, i) => `{"total":${i + 1}}`))
  })

  it("keeps every promise in 20 seeds with crashes, breaks and dying clients", () => {
    const counter = counterOf(4)
    const { apply } = counter.world!.application!
    const slow: typeof apply = (_, command, context) =>
      Effect.sync(() => (state: unknown) => apply(state, command, context))
    const application = { ...counter.world!.application!, apply: slow }
    const spec = { ...counter, world: { ...counter.world!, application } }
    const choices = choicesOf(spec, { add: [{ by: 1 }, { by: 2 }] })
    const promises = { totality: true, quorums: true }
    const group = {
      nodes: 3,
      byzantine: 0,
      model: "crash",
      faults: "all",
      crash: true,
      leader: 1
    } as const
    for (let seed = 1; seed <= 20; seed++) {
      const run = simulate({ spec, choices, promises, ...group, seed })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
    }
  })

  it("goes on after a restart, where its Effect had not ended", () => {
    const nodes = new Nodes(slowOf(4), 1, "crash")
    for (const index of [1, 2]) nodes.call(1, add(index))
    expect(nodes.run(1)).toBe(true)
    nodes.outputs.length = 0
    nodes.boot(1)
    nodes.call(1, add(2))
    while (nodes.run(1));
    expect(nodes.answers()).toEqual(['1: {"total":1}', '1: {"total":2}'])
  })

  it.each([
    ["that fails", () => ({ failure: "no" }), "Error: no"],
    ["without a function", () => ({ total: 1 }), "Error: its Effect ended with what is no function"]
  ])("%s halts its node", (_, effect, what) => {
    const nodes = new Nodes(ledgerOf(applyHere, { apply: () => ({ effect }) }), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a"] }))
    nodes.run(1)
    expect(halts(nodes)).toMatchObject([expect.stringContaining(`threw at slots/1: ${what}`)])
  })
})

/** Decides the batch that the message holds. */
const applyHere = ({ message, apply }: any) =>
  apply(
    message.values.map((value: string, at: number) => ({
      command: { value },
      call: { session: message.session, index: message.call + at, method: "put" }
    }))
  )
const halts = (nodes: Nodes) =>
  nodes.outputs.flatMap(({ output }) => (output.kind === "halt" ? [output.reason] : []))

describe("a batch", () => {
  it("is one decision, and each result answers its call", () => {
    const nodes = new Nodes(ledgerOf(applyHere), 1, "crash")
    nodes.call(1, put(3, { slot: 2, values: ["d"] }))
    nodes.call(1, put(1, { slot: 1, values: ["a", "b"] }))
    expect(nodes.answers()).toEqual(['1: {"before":""}', '1: {"before":"b"}'])
    expect(decidedOf(nodes, 1).map(({ index, items }) => [index, items.length])).toEqual([
      [2, 1],
      [1, 2]
    ])
    nodes.call(1, put(2, { slot: 3, values: [] }))
    expect(nodes.answers().at(1)).toBe('1: {"before":"a"}')
  })

  it("without commands closes a hole", () => {
    const nodes = new Nodes(ledgerOf(applyHere), 1, "crash")
    nodes.call(1, put(1, { slot: 2, values: ["a"] }))
    expect(nodes.answers()).toEqual([])
    nodes.call(1, put(2, { slot: 1, values: [] }))
    expect(nodes.answers()).toEqual(['1: {"before":""}'])
  })

  it("runs command by command where each takes an Effect", () => {
    const ran: Array<string> = []
    const apply = (_: Ledger, { value }: Put) => ({
      effect: () => {
        ran.push(value)
        return (state: Ledger) => write(state, value)
      }
    })
    const nodes = new Nodes(ledgerOf(applyHere, { apply }), 1, "crash")
    nodes.call(1, put(1, { slot: 1, values: ["a", "b"] }))
    while (nodes.run(1));
    expect(ran).toEqual(["a", "b"])
    nodes.call(1, put(2, { slot: 2, values: [] }))
    expect(nodes.answers()).toEqual(['1: {"before":""}', '1: {"before":"a"}'])
  })

  it("decided for an index that is decided to be another halts the node", () => {
    const twice = ({ apply }: any) => [apply([{ command: { value: "a" } }]), apply([])]
    const nodes = new Nodes(ledgerOf(twice), 1, "crash")
    nodes.call(1, put(1, { slot: 2 }))
    expect(halts(nodes)).toEqual(["two commands were decided at slots/2"])
  })

  it("too long is its author's mistake", () => {
    const nodes = new Nodes(ledgerOf(applyHere), 1, "crash", { applyItemsMax: 2 })
    nodes.call(1, put(1, { slot: 1, values: ["a", "b", "c"] }))
    const reports = nodes.outputs.flatMap(({ output }) =>
      output.kind === "report" ? [output.detail] : []
    )
    expect(reports).toEqual(["ledger/slot applies 3 commands at one index"])
  })
})
