/** A message that comes too soon waits for a key, and its handler sees it again. */
import { describe, expect, it } from "vitest"
import { json, Nodes, protocolOf, request } from "./support/engines.ts"

/** Slots in views: a word of a later view waits until its receiver is there. */
const views = protocolOf(
  "views",
  {
    enter: [
      "multiparty",
      ({ message, wake, store, reply }) => [
        wake(message.view),
        store({ view: message.view }),
        reply({ view: message.view })
      ]
    ],
    propose: ["multiparty", ({ message, forward }) => forward.say(message)],
    say: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        each: ({ message, author, state, park, deliver, wake, wait }) =>
          message.view > state.view
            ? park(message.text === "twice" ? "later" : message.view)
            : message.text === "next"
              ? [deliver(message), wake("later")]
              : author === message.by
                ? deliver({ ...message, seen: state.view })
                : wait
      }
    ],
    odd: ["rpc", ({ message, park, wake }) => (message.wake ? wake(message.key) : park(1))]
  },
  {
    state: () => ({ view: 0 }),
    record: json,
    evolve: (state, record) => {
      state.view = Math.max(state.view, record.view)
    },
    lanes: { slots: { window: 64 } },
    deliver: { message: json, to: () => {} }
  }
)
let calls = 0
const call = (method: string, message: object) =>
  request("views", method, message, { index: ++calls })
const enter = (view: number) => call("enter", { view })
const propose = (slot: number, view: number, by: number, text = "") =>
  call("propose", { slot, view, by, text })
const delivered = (nodes: Nodes, id: number) =>
  nodes.outputs.flatMap(({ from, output }) =>
    from === id && output.kind === "deliver" ? [output.delivered.index] : []
  )
const parked = (nodes: Nodes, id: number) => nodes.engines.get(id)!.size()["parked"]
const fresh = (n: number, limits = {}) => {
  calls = 0
  return new Nodes(views, n, "crash", limits)
}

describe("park and wake", () => {
  it("hands messages in again in their order, after the directives of the waker", () => {
    const nodes = fresh(3)
    for (const slot of [3, 1]) nodes.call(2, propose(slot, 1, 2))
    nodes.call(3, propose(2, 1, 3))
    nodes.call(2, propose(4, 2, 2))
    nodes.settle()
    expect([delivered(nodes, 1), parked(nodes, 1)]).toEqual([[], 4])
    // The wake stands before the store, and what it wakes sees the new view.
    nodes.call(1, enter(1))
    expect([delivered(nodes, 1), parked(nodes, 1)]).toEqual([[3, 1, 2], 1])
    nodes.call(1, enter(2))
    expect([delivered(nodes, 1), parked(nodes, 1)]).toEqual([[3, 1, 2, 4], 0])
    const [first] = nodes.outputs.flatMap(({ output }) =>
      output.kind === "deliver" ? [json.decode(output.delivered.body)] : []
    )
    expect(first).toMatchObject({ slot: 3, seen: 1 })
  })

  it("a message parked again waits for the next wake; one that is woken may wake others", () => {
    const nodes = fresh(1)
    nodes.call(1, propose(1, 2, 1, "twice"))
    nodes.call(1, propose(2, 1, 1, "next"))
    expect(parked(nodes, 1)).toBe(2)
    nodes.call(1, enter(1))
    // "next" woke "twice", whose view is still to come.
    expect([delivered(nodes, 1), parked(nodes, 1)]).toEqual([[2], 1])
    nodes.call(1, enter(2))
    expect(delivered(nodes, 1)).toEqual([2])
    nodes.call(1, call("odd", { wake: true, key: "later" }))
    expect([delivered(nodes, 1), parked(nodes, 1)]).toEqual([[2, 1], 0])
  })

  it("skips instances that have ended", () => {
    const nodes = fresh(2)
    nodes.call(1, propose(1, 5, 1))
    nodes.settle()
    nodes.call(2, propose(1, 0, 2))
    expect([delivered(nodes, 2), parked(nodes, 2)]).toEqual([[1], 1])
    nodes.call(2, enter(5))
    expect([delivered(nodes, 2), parked(nodes, 2)]).toEqual([[1], 0])
  })

  it("P14: an author over its share loses its own oldest, counted; others lose nothing", () => {
    const nodes = fresh(3, { parkedMax: 2 })
    nodes.call(3, propose(9, 1, 3))
    for (const slot of [1, 2, 3, 4, 5]) nodes.call(2, propose(slot, 1, 2))
    nodes.settle()
    expect(parked(nodes, 1)).toBe(3)
    expect(nodes.engines.get(1)!.counters["parked_dropped"]).toBe(3)
    nodes.call(1, enter(1))
    expect(delivered(nodes, 1).sort()).toEqual([4, 5, 9])
  })

  it("P14: large messages fill a share too, and ended ones leave it first", () => {
    const nodes = fresh(2, { cursorBytesMax: 2_000 })
    nodes.call(1, propose(1, 7, 1))
    nodes.settle()
    nodes.call(2, propose(1, 0, 2))
    for (const slot of [2, 3, 4]) nodes.call(1, propose(slot, 1, 1, "x".repeat(900)))
    nodes.settle()
    const { counters } = nodes.engines.get(2)!
    expect([parked(nodes, 2), counters["parked_dropped"]]).toEqual([2, 1])
    nodes.call(2, enter(1))
    expect(delivered(nodes, 2)).toEqual([1, 3, 4])
  })

  it("a restart forgets them; peers' words come again, and are parked again", () => {
    const nodes = fresh(3)
    nodes.call(2, propose(1, 1, 2))
    nodes.settle()
    nodes.boot(1)
    expect(parked(nodes, 1)).toBe(0)
    for (const id of [2, 3]) nodes.link(1, id)
    nodes.settle()
    expect(parked(nodes, 1)).toBe(1)
    nodes.call(1, enter(1))
    expect(delivered(nodes, 1)).toEqual([1])
  })

  it("a message that is parked and woken without end poisons its instance alone", () => {
    const spec = protocolOf("loop", {
      ask: ["multiparty", ({ message, forward }) => forward.say(message)],
      say: [
        "phase",
        {
          each: ({ message: { own, other }, park, wake, reply }) =>
            own === undefined ? reply({ ok: true }) : [park(own), wake(other)]
        }
      ]
    })
    const nodes = new Nodes(spec, 1, "crash")
    const ask = (index: number, message: object) =>
      nodes.call(1, request("loop", "ask", message, { index }))
    ask(1, { own: 1, other: 1 })
    const endless = "loop/say wakes itself, or speaks to itself, without end"
    expect(nodes.replies.map(({ reply }) => reply.detail)).toEqual([endless])
    // Each wakes the other: one of them has to go.
    ask(2, { own: 2, other: 3 })
    ask(3, { own: 3, other: 2 })
    expect(nodes.engines.get(1)!.counters["poisoned"]).toBe(2)
    ask(4, {})
    expect(nodes.answers()).toContain('1: {"ok":true}')
  })

  it("P15: so does a handler that says one thing after another to itself", () => {
    const spec = protocolOf(
      "climb",
      {
        ask: ["multiparty", ({ message, forward, reply }) => [forward.say(message), reply({})]],
        say: [
          "phase",
          {
            ...{ lane: "views", index: () => 1, round: (m: { round: number }) => m.round },
            each: ({ message, forward }) => forward.say({ round: message.round + 1 })
          }
        ]
      },
      { lanes: { views: { rounds: "latest" } } }
    )
    const nodes = new Nodes(spec, 1, "crash")
    nodes.call(1, request("climb", "ask", { round: 1 }))
    expect(nodes.engines.get(1)!.counters["poisoned"]).toBe(1)
    expect(nodes.answers()).toEqual(["1: {}"])
  })

  it.each([
    [{}, "views/odd parks what is no phase's message"],
    [{ wake: true }, "views/odd needs a key: a number, or a text of at most 128 characters"],
    [
      { wake: true, key: "k".repeat(129) },
      "views/odd needs a key: a number, or a text of at most 128 characters"
    ]
  ])("an author's mistake is told: %j", (message, detail) => {
    const nodes = fresh(1)
    nodes.call(1, call("odd", message))
    expect(nodes.replies[0]!.reply.detail).toBe(detail)
  })
})
