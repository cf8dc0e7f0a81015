/** Lanes with `rounds: "latest"`: views and ballots, in an instance that never finishes. */
import { describe, expect, it } from "vitest"
import { isSession } from "../src/server/laneKey.ts"
import { json, Nodes, protocolOf, request } from "./support/engines.ts"

/** `say`: this node says a value in a view; each node reports when two agree on it. */
const views = protocolOf(
  "v",
  {
    say: [
      "multiparty",
      ({ message, forward }) => message.list.map((m: any) => forward.view(m, { to: m.to ?? "all" }))
    ],
    view: [
      "phase",
      {
        lane: "views",
        index: () => 1,
        round: (m) => m.round,
        agreeOn: (m) => {
          if (m.value === "throw") throw new Error("no value")
          return m.value
        },
        quorum: ({ votes, round, forward, wait }) =>
          votes.count === 2
            ? forward.two({ round, value: votes.value, all: votes.all.length })
            : wait
      }
    ],
    two: [
      "phase",
      { lane: "log", index: (m) => m.round, each: ({ message, store }) => store(message) }
    ]
  },
  {
    state: () => ({}),
    record: json,
    evolve: () => {},
    lanes: { views: { rounds: "latest" }, log: { window: 64 } }
  }
)
let calls = 0
const say = (nodes: Nodes, id: number, ...list: ReadonlyArray<object>): void =>
  nodes.call(id, request("v", "say", { list }, { index: ++calls }))
const view = (round: number, value = "a", to?: number) => ({ round, value, to })
/** Rounds in which this node saw two agree. */
const agreed = (nodes: Nodes, id: number): ReadonlyArray<string> =>
  nodes.logs
    .get(id)!
    .flatMap(({ entries }) => entries)
    .flatMap((e) => (e.kind === "word" && e.lane === "log" ? [json.decode(e.body)] : []))
    .map((m: any) => `${m.round}${m.value}`)
const counted = (nodes: Nodes, id: number, what: string) =>
  nodes.engines.get(id)!.counters[what] ?? 0
const started = (n = 3): Nodes => {
  calls = 0
  return new Nodes(views, n, "crash")
}

describe("latest rounds", () => {
  it("votes of one round count together, those of others do not", () => {
    const nodes = started()
    say(nodes, 1, view(1))
    say(nodes, 2, view(2))
    nodes.settle()
    expect(agreed(nodes, 3)).toEqual([])
    say(nodes, 1, view(2))
    nodes.settle()
    for (const id of nodes.ids) expect(agreed(nodes, id)).toEqual(["2a"])
  })

  it("a node never speaks in a lower round again, in no life", () => {
    const nodes = started()
    say(nodes, 1, view(5), view(3))
    expect(counted(nodes, 1, "old_round")).toBe(1)
    nodes.boot(1)
    say(nodes, 1, view(4))
    say(nodes, 1, view(5, "b"))
    expect([counted(nodes, 1, "old_round"), counted(nodes, 1, "said_other")]).toEqual([1, 1])
  })

  it("what the same step outdates is sent, and counts nowhere", () => {
    const nodes = started()
    say(nodes, 1, view(1), view(2))
    say(nodes, 2, view(1))
    nodes.settle()
    expect(agreed(nodes, 3)).toEqual([])
  })

  it("an author's vote leaves its round, whether or not the round was its own alone", () => {
    const nodes = started(4)
    say(nodes, 1, view(1))
    say(nodes, 2, view(1, "b"))
    nodes.settle()
    say(nodes, 1, view(2))
    say(nodes, 2, view(2))
    nodes.settle()
    expect(agreed(nodes, 4)).toEqual(["2a"])
    // A late vote of round 1 finds it empty.
    say(nodes, 3, view(1))
    nodes.settle()
    expect(agreed(nodes, 4)).toEqual(["2a"])
  })

  it("a value that `agreeOn` cannot read leaves no trace, and its author goes on", () => {
    const nodes = started()
    say(nodes, 1, view(1, "throw"))
    say(nodes, 2, view(1))
    nodes.settle()
    say(nodes, 2, view(2))
    say(nodes, 1, view(2))
    nodes.settle()
    expect(agreed(nodes, 3)).toEqual(["2a"])
  })

  it("its words leave the tail when they are taken, and its memory stays what it was", () => {
    const nodes = started()
    for (let round = 1; round <= 200; round++) {
      for (const id of nodes.ids) say(nodes, id, view(round, `of ${id}`))
      nodes.settle()
    }
    for (const id of nodes.ids) {
      expect(nodes.engines.get(id)!.size()).toMatchObject({ tail: 0 })
      const { lanes } = (nodes.engines.get(id) as any).core
      expect([...lanes.get("views").open.values()[0].rows.keys()]).toHaveLength(1)
    }
  })

  it("a member that lost its memory is told the standing words anew, the latest alone", () => {
    const nodes = started()
    say(nodes, 1, view(1))
    nodes.settle()
    say(nodes, 1, view(7))
    nodes.settle()
    nodes.boot(3)
    for (const id of [1, 2]) nodes.cut(id, 3)
    for (const id of [1, 2]) nodes.link(id, 3)
    const told: Array<number> = []
    nodes.settle((from, to, message) => {
      if (message.kind === "word" && from === 1 && to === 3) told.push(message.round)
      return true
    })
    expect(told).toEqual([7])
    say(nodes, 2, view(7))
    nodes.settle()
    expect(agreed(nodes, 3)).toEqual(["7a"])
  })

  it("words to one member are told to that member alone", () => {
    const nodes = started()
    say(nodes, 1, view(3, "a", 2))
    nodes.settle()
    nodes.boot(2)
    nodes.boot(3)
    for (const id of [2, 3]) nodes.cut(1, id)
    for (const id of [2, 3]) nodes.link(1, id)
    const told: Array<number> = []
    nodes.settle((_, to, message) => {
      if (message.kind === "word" && !isSession(message.lane)) told.push(to)
      return true
    })
    expect(told).toEqual([2])
  })

  it.each([
    [{ views: { window: 4, rounds: "latest" } }, "has one instance, so no window"],
    [{ views: {} }, "needs a window from 1 to 4096"],
    [{ views: { window: 4, rounds: "last" } }, 'needs rounds from 1 to 64, or "latest"']
  ])("a lane that cannot be is refused at the start: %j", (lanes, message) => {
    const world = { ...views.world!, lanes: { ...lanes, log: { window: 1 } } as never }
    expect(() => new Nodes({ ...views, world }, 3, "crash")).toThrow(message)
  })
})
