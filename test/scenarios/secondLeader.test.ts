/** A slot is proposed again in a higher round; what was said of it before does not count there. */
import { describe, expect, it } from "vitest"
import { methodId } from "../../src/server/Message.ts"
import type { LaneSpec } from "../../src/server/Protocol.ts"
import { ballots } from "../support/ballots.ts"
import { json, Nodes, protocolOf, request } from "../support/engines.ts"
import { logged } from "../support/tries.ts"

/** Nodes say a value in a round of slot 1, and report a quorum of it. */
const slots = (lane: LaneSpec) =>
  protocolOf(
    "s",
    {
      say: ["multiparty", ({ message, forward }) => forward.learn(message)],
      learn: [
        "phase",
        {
          lane: "slots",
          index: () => 1,
          round: (m) => m.round,
          agreeOn: (m) => m.value,
          quorum: ({ votes, round, system, store, wait }) =>
            votes.agreed(system.quorum)
              ? store({ round, value: votes.value, count: votes.count })
              : wait
        }
      ]
    },
    {
      state: () => ({}),
      record: json,
      evolve: () => {},
      lanes: { slots: lane }
    }
  )
const LANES: ReadonlyArray<readonly [string, LaneSpec]> = [
  ["four rounds", { window: 8, rounds: 4 }],
  ["the latest round", { rounds: "latest" }],
  ["the latest round, below a floor", { window: 8, rounds: "latest", floor: "set" }]
]
/** The decisions a node has stored. */
const decided = (nodes: Nodes, id: number): ReadonlyArray<unknown> =>
  logged(nodes, id, "stored").map(({ body }) => json.decode(body))

describe.each(LANES)("second leader, same slot: a lane that keeps %s", (_, lane) => {
  let calls = 0
  const say = (nodes: Nodes, id: number, round: number, value: string): void =>
    nodes.call(id, request("s", "say", { round, value }, { index: ++calls }))
  const group = (n: number): Nodes => {
    calls = 0
    return new Nodes(slots(lane), n, "crash")
  }

  it("votes of two rounds are no quorum together, though they agree", () => {
    const nodes = group(3)
    say(nodes, 1, 0, "a")
    say(nodes, 2, 1, "a")
    nodes.settle()
    for (const id of nodes.ids) expect(decided(nodes, id)).toEqual([])
    say(nodes, 1, 1, "a")
    nodes.settle()
    for (const id of nodes.ids) {
      expect(decided(nodes, id)).toEqual([{ round: 1, value: "a", count: 2 }])
    }
  })

  it("another value in a higher round is no equivocation, and counts", () => {
    const nodes = group(5)
    for (const id of [1, 2]) say(nodes, id, 0, "a")
    nodes.settle()
    for (const id of [1, 2, 3]) say(nodes, id, 1, "b")
    nodes.settle()
    for (const id of nodes.ids) {
      expect(decided(nodes, id)).toEqual([{ round: 1, value: "b", count: 3 }])
      expect(nodes.engines.get(id)!.evidence).toEqual([])
      expect(nodes.engines.get(id)!.counters["equivocation"]).toBeUndefined()
    }
  })

  it("the same after a restart of one that spoke in both", () => {
    const nodes = group(3)
    say(nodes, 3, 0, "a")
    say(nodes, 3, 1, "a")
    nodes.boot(3)
    for (const id of [1, 2]) nodes.link(id, 3)
    say(nodes, 2, 0, "b")
    nodes.settle()
    for (const id of nodes.ids) expect(decided(nodes, id)).toEqual([])
    say(nodes, 2, 1, "a")
    nodes.settle()
    for (const id of nodes.ids) {
      expect(decided(nodes, id)).toEqual([{ round: 1, value: "a", count: 2 }])
    }
  })
})

describe("second leader, same slot: in Paxos", () => {
  const lead = (nodes: Nodes, id: number, ballot: number): void =>
    nodes.call(id, request("bal", "lead", { ballot }, { index: ballot }))
  const put = (nodes: Nodes, id: number, ballot: number, value: string): void =>
    nodes.call(id, request("bal", "put", { ballot, slot: 1, value }, { index: 10 + ballot }))
  const chosen = (nodes: Nodes, id: number) =>
    logged(nodes, id, "decided").map(({ items }) =>
      items.map(({ command }) => (json.decode(command) as { value: string }).value)
    )

  it("the words of the first come late, one to each, and decide nothing", () => {
    const nodes = new Nodes(ballots, 3, "crash")
    lead(nodes, 1, 1)
    nodes.settle()
    // Node 1 accepts its own "a", and what it says of that is on its way for a long time.
    put(nodes, 1, 1, "a")
    nodes.settle((from, to) => from !== 1 && to !== 1)
    lead(nodes, 3, 2)
    nodes.settle((from, to) => from !== 1 && to !== 1)
    put(nodes, 3, 2, "b")
    // Node 2 has accepted "b" and nobody knows: one vote for each value is under way.
    const accepts = methodId("bal/accept")
    nodes.settle((from, to, m) => {
      if (from === 1 || to === 1) return false
      return from === 3 && (m.kind !== "word" || m.method === accepts)
    })
    nodes.settle((from) => from === 1)
    expect(nodes.ids.map((id) => chosen(nodes, id))).toEqual([[], [], []])
    expect(logged(nodes, 2, "word").map(({ method }) => method)).toContain(methodId("bal/learn"))
    nodes.settle()
    for (const id of nodes.ids) expect(chosen(nodes, id)).toEqual([["b"]])
    expect(nodes.outputs.some(({ output }) => output.kind === "halt")).toBe(false)
  })
})
