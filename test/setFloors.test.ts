/** Lanes with `floor: "set"`: what is decided stays open until the protocol passes it. */
import { describe, expect, it } from "vitest"
import { decodeRecord, encodeRecord } from "../src/link/recordCodec.ts"
import { json, Nodes, protocolOf, request } from "./support/engines.ts"

/** `do` says votes and sets floors; two equal votes of a round decide. */
const slots = protocolOf(
  "s",
  {
    do: [
      "multiparty",
      ({ message, forward, floor, wait, lanes }) =>
        message.view
          ? forward.seen({
              own: lanes.slots.own,
              last: lanes.slots.last,
              applied: lanes.slots.applied
            })
          : message.vote
            ? forward.vote(message.vote)
            : message.floor
              ? floor(...(message.floor as [string, number]))
              : wait
    ],
    vote: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        round: (m) => m.round,
        agreeOn: (m) => m.value,
        quorum: ({ votes, system, apply, wait }) =>
          votes.agreed(system.quorum) ? apply({ value: votes.value }) : wait
      }
    ],
    seen: ["phase", { lane: "seen", index: () => 1, round: (m) => m.own, each: () => [] }]
  },
  {
    lanes: {
      slots: { window: 4, floor: "set", rounds: "latest" },
      seen: { rounds: "latest" },
      plain: { window: 4 }
    },
    application: {
      command: json,
      initial: () => [] as Array<string>,
      apply: (state, command) => void state.push(command.value) as undefined
    }
  }
)
let calls = 0
const start = (): Nodes => {
  calls = 0
  return new Nodes(slots, 3, "crash")
}
const ask = (nodes: Nodes, id: number, message: object): void =>
  nodes.call(id, request("s", "do", message, { index: ++calls }))
const vote = (nodes: Nodes, id: number, slot: number, round = 0, value = `v${slot}`): void =>
  ask(nodes, id, { vote: { slot, round, value } })
const floor = (nodes: Nodes, id: number, index: number, lane = "slots"): void =>
  ask(nodes, id, { floor: [lane, index] })
const decide = (nodes: Nodes, ...list: ReadonlyArray<number>): void => {
  for (const slot of list) for (const id of [1, 2]) vote(nodes, id, slot)
  nodes.settle()
}
const laneOf = (nodes: Nodes, id: number) => {
  const { own, applied, open } = (nodes.engines.get(id) as any).core.lanes.get("slots")
  return { own, applied, open: open.keys() }
}
const reports = (nodes: Nodes): ReadonlyArray<string> =>
  nodes.outputs.flatMap(({ output }) =>
    output.kind === "report" ? [output.detail] : output.kind === "halt" ? [output.reason] : []
  )

describe("a floor that is set", () => {
  it("moves by the directive alone: what is decided and applied stays open", () => {
    const nodes = start()
    decide(nodes, 1, 2)
    expect(laneOf(nodes, 3)).toEqual({ own: 1, applied: 2, open: [1, 2] })
    floor(nodes, 3, 2)
    expect(laneOf(nodes, 3)).toEqual({ own: 2, applied: 2, open: [2] })
    floor(nodes, 3, 1)
    expect(laneOf(nodes, 3)).toEqual({ own: 2, applied: 2, open: [2] })
  })

  it("a decided slot still votes: a higher round may need this node's voice", () => {
    const nodes = start()
    decide(nodes, 1)
    for (const id of [1, 3]) vote(nodes, id, 1, 2)
    nodes.settle()
    const rounds = (id: number) =>
      nodes.logs.get(id)!.flatMap(({ entries }) => entries.map((e) => "round" in e && e.round))
    expect(rounds(1)).toContain(2)
    expect(reports(nodes)).toEqual([])
  })

  it("another decision of an index halts, also after it was applied", () => {
    const nodes = start()
    decide(nodes, 1)
    for (const id of [1, 3]) vote(nodes, id, 1, 2, "other")
    nodes.settle()
    expect(reports(nodes)).toContain("two commands were decided at slots/1")
  })

  it("words stay in the tail until their floors have passed everywhere", () => {
    const nodes = start()
    decide(nodes, 1, 2)
    expect(nodes.engines.get(1)!.size()).toMatchObject({ tail: 2 })
    for (const id of nodes.ids) floor(nodes, id, 3)
    nodes.settle()
    expect(nodes.engines.get(1)!.size()).toMatchObject({ tail: 0, instances: 3 })
  })

  it("forwards end at the window, which the floor moves", () => {
    const nodes = start()
    vote(nodes, 1, 5)
    expect(reports(nodes)).toEqual(["s/do forwards to vote at 5, above its window"])
    decide(nodes, 1, 2, 3, 4)
    vote(nodes, 2, 5)
    floor(nodes, 1, 5)
    vote(nodes, 1, 5)
    expect(reports(nodes)).toHaveLength(2)
    expect(laneOf(nodes, 1).own).toBe(5)
  })

  it("a peer's words above the window come again once the floor has moved", () => {
    const nodes = start()
    decide(nodes, 1, 2, 3, 4)
    for (const id of [1, 2]) floor(nodes, id, 5)
    decide(nodes, 5, 6)
    expect(laneOf(nodes, 3).applied).toBe(4)
    floor(nodes, 3, 5)
    nodes.settle()
    expect(laneOf(nodes, 3)).toEqual({ own: 5, applied: 6, open: [5, 6] })
  })

  it("is logged, and stands after a restart", () => {
    const nodes = start()
    decide(nodes, 1, 2)
    floor(nodes, 1, 3)
    const entries = nodes.logs.get(1)!.flatMap((r) => decodeRecord(encodeRecord(r))!.entries)
    expect(entries.filter(({ kind }) => kind === "floor")).toEqual([
      { kind: "floor", lane: "slots", index: 3 }
    ])
    nodes.boot(1)
    expect(laneOf(nodes, 1)).toEqual({ own: 3, applied: 2, open: [] })
  })

  it.each([
    ["plain", 1, 'sets the floor of "plain", which is no lane with floor: "set"'],
    ["none", 1, 'sets the floor of "none", which is no lane with floor: "set"'],
    ["slots", 0, 'sets the floor of "slots" at 0; indexes start at 1'],
    ["slots", 2, 'sets the floor of "slots" at 2, above what is applied']
  ])("what cannot be is its author's mistake: %s at %i", (lane, index, message) => {
    const nodes = start()
    floor(nodes, 1, index, lane)
    expect(reports(nodes)).toEqual([`s/do ${message}`])
  })

  it("handlers see where a lane stands", () => {
    const nodes = start()
    decide(nodes, 1, 2)
    floor(nodes, 1, 2)
    ask(nodes, 1, { view: true })
    const said = nodes.logs
      .get(1)!
      .flatMap(({ entries }) => entries)
      .at(-1)
    expect(said?.kind === "word" && json.decode(said.body)).toEqual({ own: 2, last: 5, applied: 2 })
  })
})
