/** A client's request that reaches a node by way of another member. */
import { describe, expect, it } from "vitest"
import { laneBytes } from "../src/server/laneKey.ts"
import { methodId, type PeerMessage } from "../src/server/Message.ts"
import { bytesOf, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

const NOTHING = new Uint8Array(0)
const shown = (index = 1, more: object = {}) => ({
  session: laneBytes(session(1)),
  index,
  method: methodId("op/run"),
  body: json.encode({ text: `m${index}` }),
  clientKey: NOTHING,
  nonce: NOTHING,
  signature: NOTHING,
  ...more
})
/**
 * Whoever leads shows the request in a slot of its lane; a node that sees it there admits it, and
 * its entry handler votes for it: more than half of such votes answer the call.
 */
const relaying = (relay: (request: any) => any = (it) => it) =>
  protocolOf(
    "op",
    {
      run: [
        "multiparty",
        ({ message, self, forward, call }) =>
          self === 1
            ? [
                forward.propose({ slot: call.index, request: relay(shown(call.index)) }),
                forward.accept(message)
              ]
            : forward.accept(message),
        { forwards: ["propose", "accept"] }
      ],
      propose: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot,
          each: ({ message, self, admit, wait }) => (self === 1 ? wait : admit(message.request))
        },
        { forwards: [] }
      ],
      accept: [
        "phase",
        {
          quorum: ({ votes, system, reply, wait }) =>
            votes.agreed(system.quorum) ? reply({ text: votes.value.text }) : wait
        },
        { forwards: [], replies: ["run"] }
      ]
    },
    { lanes: { slots: { window: 8 } } }
  )
const run = (index = 1) => request("op", "run", { text: `m${index}` }, { index })
/** Words reach node 2 alone. */
const toNode2 = (_: number, to: number, message: PeerMessage): boolean =>
  to === 2 || message.kind !== "word"
const entries = (nodes: Nodes, id: number, kind: string) =>
  nodes.logs.get(id)!.flatMap((r) => r.entries.filter((entry) => entry.kind === kind)).length

describe("a request that another member shows", () => {
  it("runs at a node that never heard from its client, once, and its answer is kept", () => {
    const nodes = new Nodes(relaying(), 3, "crash")
    nodes.call(1, run())
    nodes.settle()
    expect(nodes.answers()).toEqual(['1: {"text":"m1"}'])
    nodes.call(3, run(), 9)
    expect(nodes.replies.at(-1)).toMatchObject({ from: 3, route: 9 })
    expect(nodes.answers()[1]).toBe('3: {"text":"m1"}')
    for (const id of [2, 3])
      expect([entries(nodes, id, "word"), entries(nodes, id, "final")]).toEqual([1, 1])
  })

  it("changes nothing of a call that the client itself has brought, nor its way back", () => {
    const nodes = new Nodes(relaying(), 3, "crash")
    nodes.call(2, run(), 5)
    nodes.call(1, run())
    nodes.settle()
    expect(nodes.replies.map(({ from, route }) => [from, route]).sort()).toEqual([
      [1, 1],
      [2, 5]
    ])
  })

  it("with other bytes than the client's is a conflict, and never runs", () => {
    const nodes = new Nodes(
      relaying((it) => ({ ...it, body: json.encode({ text: "lie" }) })),
      3,
      "crash"
    )
    nodes.call(1, run())
    nodes.settle(toNode2)
    nodes.call(2, run(), 5)
    expect(nodes.answers()).toContain("2: conflict")
  })

  it("never runs in a session that was evicted, and evicts none", () => {
    const nodes = new Nodes(relaying(), 3, "crash", { sessionsMax: 1 })
    nodes.atMs = 100_000
    const other = request("op", "run", { text: "o" }, { session: session(2, 50_000) })
    nodes.call(2, other)
    nodes.call(1, run())
    nodes.settle(toNode2)
    expect(nodes.engines.get(2)!.counters).toMatchObject({ overloaded: 1 })
    expect(nodes.engines.get(2)!.counters["session_evicted"]).toBeUndefined()
    nodes.boot(2, 60_000)
    nodes.link(1, 2)
    nodes.settle(toNode2)
    expect(nodes.engines.get(2)!.counters).toMatchObject({ session_expired: 1 })
    expect(entries(nodes, 2, "word")).toBe(1)
  })

  it("that names no call of this node is ignored, whatever the member put there", () => {
    for (const junk of [
      { session: bytesOf("short") },
      { index: -1 },
      { index: 2 ** 53 },
      { method: 7 },
      { method: methodId("op/accept") },
      { body: "text" },
      { body: undefined }
    ]) {
      const nodes = new Nodes(
        relaying((it) => ({ ...it, ...junk })),
        3,
        "crash"
      )
      nodes.call(1, run())
      nodes.settle(toNode2)
      expect(nodes.engines.get(2)!.counters["ignored"], JSON.stringify(junk)).toBe(1)
      expect(nodes.engines.get(2)!.counters["poisoned"]).toBeUndefined()
    }
  })

  it("must be of a signed method in a Byzantine group: any member could have made it up", () => {
    const plain = new Nodes(relaying(), 4, "byzantine")
    plain.call(1, run())
    plain.settle(toNode2)
    expect(plain.engines.get(2)!.counters).toMatchObject({ poisoned: 1 })
    const { methods, ...rest } = relaying()
    const signed = {
      ...rest,
      methods: methods.map((m) => (m.name === "run" ? { ...m, signed: true } : m))
    }
    const nodes = new Nodes(signed, 4, "byzantine")
    nodes.call(1, run())
    nodes.settle()
    expect(nodes.answers()).toEqual(['1: {"text":"m1"}'])
  })
})
