import { describe, expect, it } from "vitest"
import { twice } from "../../src/runtime/internal/twice.ts"
import { simulate } from "../../src/testing/index.ts"
import { bracha, json, Nodes, protocolOf, request } from "../support/engines.ts"

let drawn = 0
const draw = () => ++drawn
const spec = (handler: (context: any) => unknown, world = {}) =>
  protocolOf(
    "odd",
    {
      ask: ["multiparty", ({ message, forward }) => forward.say(message)],
      say: ["phase", handler]
    },
    world
  )
const poisoned = (handler: (context: any) => unknown, world = {}) => {
  const nodes = new Nodes(twice(spec(handler, world)), 1, "crash")
  nodes.call(1, request("odd", "ask", { text: "a" }))
  return nodes.outputs.flatMap(({ output }) => (output.kind === "report" ? [output.detail] : []))
}
const TOLD = ["odd/say returned two different directives"]

describe("a handler that returns two different directives", () => {
  it.each<[string, (context: any) => unknown]>([
    ["a number drawn outside", ({ reply }) => reply({ n: draw() })],
    ["bytes", ({ reply }) => reply({ b: Uint8Array.of(draw()) })],
    ["a list", ({ wait }) => (draw() % 2 === 0 ? [] : [wait])],
    ["a map", ({ reply }) => reply({ m: new Map([["a", draw()]]) })],
    ["fields", ({ reply }) => reply(draw() % 2 === 0 ? { a: undefined } : { b: undefined })],
    ["nothing, then something", ({ wait }) => (draw() % 2 === 0 ? undefined : wait)],
    ["another class", ({ reply }) => reply(draw() % 2 === 0 ? {} : new (class {})())]
  ])("is told of: %s", (_, handler) => {
    expect(poisoned(handler)).toEqual(TOLD)
  })

  it("is told of in quorum functions, hooks and timers", () => {
    const quorum = protocolOf("odd", {
      ask: ["multiparty", ({ message, forward }) => forward.say(message)],
      say: ["phase", { quorum: ({ reply }) => reply({ n: draw() }) }]
    })
    const nodes = new Nodes(twice(quorum), 1, "crash")
    nodes.call(1, request("odd", "ask", {}))
    expect(nodes.replies[0]!.reply.detail).toBe(TOLD[0])
    const impure = ({ store }: any) => store({ n: draw() })
    const world = { record: json, evolve: () => {}, booted: impure, timers: { t: impure } }
    expect(poisoned(({ arm }) => arm("t", 1), world)).toHaveLength(1)
  })
})

describe("a handler that is a function of what it is given", () => {
  it.each<[string, (context: any) => unknown]>([
    ["NaN and bytes", ({ reply }) => reply({ n: Number.NaN, b: Uint8Array.of(1) })],
    ["maps and sets", ({ reply }) => reply({ m: new Map([["a", new Set([1])]]) })],
    ["its call", ({ reply, call }) => reply({ text: "" }, { call })],
    ["order of fields", ({ reply }) => reply(draw() % 2 ? { a: 1, b: 2 } : { b: 2, a: 1 })]
  ])("is left alone: %s", (_, handler) => {
    expect(poisoned(handler)).toEqual([])
  })

  it("entry handlers run once: they may do more than say", () => {
    drawn = 0
    const nodes = new Nodes(
      twice(protocolOf("odd", { count: ["rpc", ({ reply }) => reply({ n: draw() })] })),
      1,
      "crash"
    )
    nodes.call(1, request("odd", "count", {}))
    expect(nodes.answers()).toEqual(['1: {"n":1}'])
  })

  it("in the simulator all protocols run so, and what they do stays the same", () => {
    const impure = {
      ...bracha,
      methods: bracha.methods.map((method) =>
        method.name === "echo"
          ? { ...method, handler: ({ forward }: any) => forward.ready({ text: `${draw()}` }) }
          : method
      )
    }
    const run = simulate({
      spec: impure,
      nodes: 4,
      byzantine: 0,
      model: "byzantine",
      seed: 1,
      choices: [{ method: impure.methods[0]!, body: json.encode({ text: "a" }) }],
      faults: "none",
      crash: false,
      promises: { totality: false, quorums: false }
    })
    expect(run.failure).toContain("rb/echo returned two different directives")
  })
})
