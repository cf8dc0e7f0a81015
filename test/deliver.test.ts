import { describe, expect, it } from "vitest"
import type { Delivery, ProtocolSpec } from "../src/server/Protocol.ts"
import { simulate } from "../src/testing/index.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

type To = (message: { readonly text: string }, delivery: Delivery) => void

/** A reliable broadcast that delivers at the nodes instead of answering. */
const broadcast = (to: To = () => {}): ProtocolSpec => ({
  ...bracha,
  methods: bracha.methods.map((method) =>
    method.name !== "ready"
      ? method
      : {
          ...method,
          handler: {
            agreeOn: (m) => m.text,
            quorum: ({ votes, system, forward, deliver, wait }) =>
              votes.agreed(system.quorum)
                ? [deliver({ text: votes.value }), forward.ready({ text: votes.value })]
                : votes.agreed(system.oneHonest)
                  ? forward.ready({ text: votes.value })
                  : wait
          }
        }
  ),
  world: { deliver: { message: json, to } }
})

/** Notices in a lane of its own: what a majority repeats is delivered, in any order. */
const notices = (to: To = () => {}, more: ProtocolSpec["world"] = {}): ProtocolSpec =>
  protocolOf(
    "ntc",
    {
      post: ["multiparty", ({ message, forward }) => forward.say(message)],
      say: [
        "phase",
        {
          lane: "notes",
          index: (m) => m.note,
          quorum: ({ votes, system, deliver, reply, apply, call, wait }) =>
            !votes.agreed(system.quorum)
              ? wait
              : votes.value.text === "apply"
                ? apply(votes.value)
                : votes.value.text === "twice"
                  ? [deliver(votes.value), deliver(votes.value)]
                  : votes.value.text === "call"
                    ? reply({ ok: call === undefined }, { call: votes.value.call })
                    : deliver(votes.value)
        }
      ]
    },
    { lanes: { notes: { window: 4 } }, deliver: { message: json, to }, ...more }
  )
const post = (note: number, text = `n${note}`) =>
  request("ntc", "post", { note, text }, { index: note })
const delivered = (nodes: Nodes, id: number) =>
  nodes.outputs.flatMap(({ from, output }) =>
    from === id && output.kind === "deliver"
      ? [`${output.delivered.index} ${(json.decode(output.delivered.body) as any).text}`]
      : []
  )
const poisoned = (nodes: Nodes) =>
  nodes.outputs.flatMap(({ output }) => (output.kind === "report" ? [output.detail] : []))

describe("deliver in a session", () => {
  it("ends the call with an empty message, after all else the step says, once in the log", () => {
    const nodes = new Nodes(broadcast(), 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }))
    nodes.settle()
    expect(nodes.answers()).toEqual(nodes.ids.map((id) => `${id}: `))
    for (const id of nodes.ids) {
      expect(delivered(nodes, id)).toEqual(["1 a"])
      expect(nodes.logged(id)).toEqual(["word", "word", "delivered", "final"])
    }
    expect(nodes.engines.get(1)!.size()["instances"]).toBe(0)
  })

  it("a reply of the same step is the answer, wherever it stands", () => {
    const spec = protocolOf(
      "both",
      {
        ask: ["multiparty", ({ message, forward }) => forward.say(message)],
        say: ["phase", ({ message, deliver, reply }) => [reply({ ok: 1 }), deliver(message)]]
      },
      { deliver: { message: json, to: () => {} } }
    )
    const nodes = new Nodes(spec, 1, "crash")
    nodes.call(1, request("both", "ask", { text: "a" }))
    expect(nodes.answers()).toEqual(['1: {"ok":1}'])
    expect(delivered(nodes, 1)).toEqual(["1 a"])
  })

  it("names its call; at boot it is handed in again under the same name", () => {
    const nodes = new Nodes(broadcast(), 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }))
    nodes.settle()
    const before = nodes.outputs.filter(
      ({ from, output }) => from === 1 && output.kind === "deliver"
    )
    nodes.outputs.length = 0
    nodes.boot(1)
    const after = nodes.outputs.filter(({ output }) => output.kind === "deliver")
    expect(after).toEqual(before)
    expect(after).toMatchObject([
      { output: { delivered: { lane: session(1), index: 1, call: "broadcast" } } }
    ])
  })
})

describe("deliver in a lane", () => {
  it("finishes indexes in any order, and own moves past those without a hole", () => {
    const nodes = new Nodes(notices(), 1, "crash", { windowCalls: 16 })
    for (const note of [3, 2, 4]) nodes.call(1, post(note))
    expect(delivered(nodes, 1)).toEqual(["3 n3", "2 n2", "4 n4"])
    nodes.call(1, post(5))
    expect(poisoned(nodes)).toEqual(["ntc/post forwards to say at 5, above its window"])
    nodes.call(1, post(1))
    nodes.call(1, request("ntc", "post", { note: 8, text: "n8" }, { index: 6 }))
    expect(delivered(nodes, 1)).toEqual(["3 n3", "2 n2", "4 n4", "1 n1", "8 n8"])
  })

  it("a restart keeps what is finished, with its holes", () => {
    const nodes = new Nodes(notices(), 1, "crash", { windowCalls: 16 })
    for (const note of [3, 1]) nodes.call(1, post(note))
    nodes.outputs.length = 0
    nodes.boot(1)
    expect(delivered(nodes, 1)).toEqual(["3 n3", "1 n1"])
    nodes.outputs.length = 0
    nodes.call(1, request("ntc", "post", { note: 3, text: "other" }, { index: 7 }))
    nodes.call(1, request("ntc", "post", { note: 5, text: "n5" }, { index: 5 }))
    nodes.call(1, request("ntc", "post", { note: 6, text: "n6" }, { index: 6 }))
    expect(delivered(nodes, 1)).toEqual(["5 n5"])
    expect(poisoned(nodes)).toEqual(["ntc/post forwards to say at 6, above its window"])
  })

  it("nodes that are away catch up with what others delivered out of order", () => {
    const nodes = new Nodes(notices(), 3, "crash", { windowCalls: 64 })
    for (const id of [1, 2]) nodes.cut(id, 3)
    for (let note = 1; note <= 40; note += 2) {
      for (const id of [1, 2]) nodes.call(id, post(note + 1))
      nodes.settle()
      for (const id of [1, 2]) nodes.call(id, post(note))
      nodes.settle()
    }
    expect(delivered(nodes, 3)).toEqual([])
    for (const id of [1, 2]) nodes.link(id, 3)
    nodes.settle()
    const sorted = (id: number) => [...delivered(nodes, id)].sort()
    expect(sorted(3)).toHaveLength(40)
    expect(sorted(3)).toEqual(sorted(1))
  })

  it("an author's mistake poisons the index alone", () => {
    const application = {
      ...{ command: json, lane: "slots", initial: () => 0, apply: () => undefined }
    }
    const lanes = { notes: { window: 4 }, slots: { window: 4 } }
    const nodes = new Nodes(
      notices(() => {}, { application, lanes }),
      1,
      "crash",
      { windowCalls: 16 }
    )
    nodes.call(1, post(1, "twice"))
    nodes.call(1, post(2))
    nodes.call(1, post(3, "apply"))
    expect(poisoned(nodes)).toEqual([
      "ntc/say delivers and ends its instance twice",
      'ntc/say applies outside lane "slots", in which its application runs'
    ])
    expect(delivered(nodes, 1)).toEqual(["2 n2"])
    // It is finished, in later lives too: a window further on there is room.
    for (const note of [4, 5, 6]) nodes.call(1, post(note))
    expect(delivered(nodes, 1)).toEqual(["2 n2", "4 n4", "5 n5", "6 n6"])
    nodes.boot(1)
    for (const note of [7, 8, 9, 10, 11]) nodes.call(1, post(note))
    expect(delivered(nodes, 1).slice(-5)).toEqual(["7 n7", "8 n8", "9 n9", "10 n10", "11 n11"])
    const none = new Nodes(
      notices(() => {}, { deliver: undefined! }),
      1,
      "crash"
    )
    none.call(1, post(1))
    expect(poisoned(none)).toEqual(["ntc/say delivers, but its world declares no deliver"])
  })
})

describe("deliver in the simulator", () => {
  const options = (spec: ProtocolSpec, texts: ReadonlyArray<string>) => ({
    spec,
    nodes: 4,
    byzantine: 1,
    model: "byzantine" as const,
    choices: texts.map((text) => ({ method: spec.methods[0]!, body: json.encode({ text }) })),
    faults: "all" as const,
    crash: true,
    promises: { totality: true, quorums: true }
  })

  it("correct nodes deliver the same, each of them at least once", () => {
    let count = 0
    for (let seed = 1; seed <= 30; seed++) {
      const told = new Map<string, Map<number, string>>()
      const to: To = ({ text }, { self, lane, index, call }) => {
        const { key } = call as { readonly key: string }
        expect(key).toBe(`${lane}/${index}`)
        const texts = told.get(key) ?? new Map<number, string>()
        told.set(key, texts)
        if (texts.has(self)) expect(texts.get(self)).toBe(text)
        texts.set(self, text)
      }
      const run = simulate({ ...options(broadcast(to), ["a", "b"]), seed })
      expect(run.failure).toBeUndefined()
      for (const texts of told.values()) {
        const correct = run.correct.map((node) => texts.get(node))
        expect(new Set(correct).size).toBe(1)
        count++
      }
    }
    expect(count).toBeGreaterThan(100)
  })
})
