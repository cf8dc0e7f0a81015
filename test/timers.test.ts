import { describe, expect, it } from "vitest"
import type { WorldSpec } from "../src/server/Protocol.ts"
import { json, type Methods, Nodes, protocolOf, request } from "./support/engines.ts"

const seen = (nodes: Nodes): ReadonlyArray<string> =>
  nodes.outputs.flatMap(({ from, output }) =>
    output.kind === "store"
      ? output.record.entries.flatMap((e) =>
          e.kind === "stored" ? [`${from}: ${json.decode(e.body)["saw" as never]}`] : []
        )
      : []
  )
const reports = (nodes: Nodes): ReadonlyArray<string> =>
  nodes.outputs.flatMap(({ output }) => (output.kind === "report" ? [output.detail] : []))

const beat: Methods = {
  ask: [
    "multiparty",
    ({ message, arm, disarm }) =>
      message.off === true ? disarm(message.timer) : arm(message.timer, message.ms)
  ],
  beat: [
    "phase",
    {
      lane: "beats",
      index: (m) => m.n,
      each: ({ message, author, store }) => store({ saw: `beat ${message.n} of ${author}` })
    }
  ]
}
const world: WorldSpec = {
  state: () => ({}),
  record: json,
  evolve: () => {},
  lanes: { beats: { window: 8 } },
  timers: {
    a: ({ store }) => store({ saw: "a" }),
    b: ({ store, disarm }) => [store({ saw: "b" }), disarm("a")],
    again: ({ store, arm }) => [store({ saw: "again" }), arm("again", 0)],
    forwards: ({ forward, self }) => forward.beat({ n: self })
  }
}
const ask = (index: number, timer: string, ms: number, more = {}) =>
  request("t", "ask", { timer, ms, ...more }, { index })

const one = (more: WorldSpec = {}): Nodes =>
  new Nodes(protocolOf("t", beat, { ...world, ...more }), 1, "crash")
const turn = (nodes: Nodes, afterMs: number): void => {
  nodes.atMs += afterMs
  nodes.input(1, { kind: "turnEnd" })
}

describe("timers", () => {
  it("fire once, at the first turn that ends when they are due", () => {
    const nodes = one()
    nodes.call(1, ask(1, "a", 100))
    expect(nodes.engines.get(1)!.dueMs).toBe(2_100)
    turn(nodes, 99)
    expect(seen(nodes)).toEqual([])
    turn(nodes, 1)
    turn(nodes, 100)
    expect(seen(nodes)).toEqual(["1: a"])
    expect(nodes.engines.get(1)!.dueMs).toBeUndefined()
  })

  it("armed again they fire then alone; disarmed they do not", () => {
    const nodes = one()
    nodes.call(1, ask(1, "a", 100))
    nodes.call(1, ask(2, "a", 300))
    turn(nodes, 200)
    expect(seen(nodes)).toEqual([])
    turn(nodes, 100)
    nodes.call(1, ask(3, "a", 10))
    nodes.call(1, ask(4, "a", 0, { off: true }))
    turn(nodes, 10)
    expect(seen(nodes)).toEqual(["1: a"])
  })

  it("the earliest fires first, and one that it disarms does not fire", () => {
    const nodes = one()
    nodes.call(1, ask(1, "a", 20))
    nodes.call(1, ask(2, "b", 10))
    expect(nodes.engines.get(1)!.dueMs).toBe(2_010)
    turn(nodes, 30)
    expect(seen(nodes)).toEqual(["1: b"])
  })

  it("one that arms itself for now fires in the next turn, so a turn ends", () => {
    const nodes = one()
    nodes.call(1, ask(1, "again", 0))
    for (let i = 0; i < 3; i++) turn(nodes, 0)
    expect(seen(nodes)).toEqual(["1: again", "1: again", "1: again"])
  })

  it("a timer's forward opens instances here and at the others", () => {
    const nodes = new Nodes(protocolOf("t", beat, world), 3, "crash")
    nodes.call(2, ask(1, "forwards", 5))
    nodes.atMs += 5
    nodes.settle()
    expect([...seen(nodes)].sort()).toEqual([1, 2, 3].map((n) => `${n}: beat 2 of 2`))
  })

  it("are gone after a restart", () => {
    const nodes = one()
    nodes.call(1, ask(1, "a", 100))
    nodes.boot(1)
    turn(nodes, 1_000)
    expect(seen(nodes)).toEqual([])
  })

  it.each([
    [ask(1, "c", 1), 't/ask arms "c", which is no timer of its world'],
    [ask(1, "a", -1), 't/ask arms "a" for -1 ms; a time is 0 or more'],
    [ask(1, "a", null as never), 't/ask arms "a" for null ms; a time is 0 or more']
  ])("what cannot be armed is its author's mistake", (wrong, message) => {
    const nodes = one()
    nodes.call(1, wrong)
    expect(reports(nodes)).toEqual([message])
    expect(nodes.engines.get(1)!.dueMs).toBeUndefined()
  })
})

describe("hooks", () => {
  it("booted runs in every life, after the log is read", () => {
    const nodes = one({ booted: ({ arm }) => arm("a", 50) })
    turn(nodes, 50)
    nodes.boot(1)
    turn(nodes, 50)
    expect(seen(nodes)).toEqual(["1: a", "1: a"])
  })

  it("turnEnd runs once after a turn in which a handler ran, timers too", () => {
    const nodes = one({ turnEnd: ({ store }) => store({ saw: "turn" }) })
    turn(nodes, 0)
    for (const index of [1, 2, 3]) nodes.call(1, ask(index, "a", 5))
    turn(nodes, 0)
    turn(nodes, 1)
    expect(seen(nodes)).toEqual(["1: turn"])
    turn(nodes, 4)
    turn(nodes, 9)
    expect(seen(nodes)).toEqual(["1: turn", "1: a", "1: turn"])
  })

  it("behind and installed reach the protocol that the lane belongs to", () => {
    const nodes = one({
      behind: ({ lane, own, store }) => store({ saw: `behind ${lane} ${own}` }),
      installed: ({ lane, index, store }) => store({ saw: `installed ${lane} ${index}` })
    })
    const { hooks } = nodes.engines.get(1)!
    hooks.ofLane("behind", "beats", { own: 7 })
    hooks.ofLane("behind", "others", { own: 7 })
    hooks.ofLane("installed", "beats", { index: 9 })
    turn(nodes, 0)
    expect(seen(nodes)).toEqual(["1: behind beats 7", "1: installed beats 9"])
  })

  it("a throw is reported by the hook's name and hurts nothing else", () => {
    const broken = (): never => {
      throw new Error("oh")
    }
    const nodes = one({ booted: broken, timers: { ...world.timers, b: broken } })
    nodes.call(1, ask(1, "b", 1))
    nodes.call(1, ask(2, "a", 1))
    turn(nodes, 1)
    expect(reports(nodes)).toEqual(["t hook booted threw: Error: oh", "t timer b threw: Error: oh"])
    expect(seen(nodes)).toEqual(["1: a"])
  })

  it("without lanes a hook has no instance to forward in", () => {
    const nodes = new Nodes(
      protocolOf(
        "t",
        { go: ["multiparty", () => []], ping: ["phase", () => []] },
        {
          booted: ({ forward }) => forward.ping({})
        }
      ),
      1,
      "crash"
    )
    expect(reports(nodes)).toEqual(["t hook booted forwards to ping, which needs a lane here"])
  })
})
