/** Words that are gone: who is told, what is believed, what is lost. */
import { describe, expect, it } from "vitest"
import type { PeerMessage } from "../src/server/Message.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

/** Slots that end once all have spoken, and a hook that notes what it hears. */
const slots = (heard: Array<number>) =>
  protocolOf(
    "sl",
    {
      go: [
        "multiparty",
        ({ message, forward }) => forward.vote({ slot: message.slot }),
        { forwards: ["vote"] }
      ],
      vote: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot,
          quorum: ({ votes, system, deliver, wait }) =>
            votes.agreed(system.quorum) ? deliver({}) : wait
        }
      ]
    },
    {
      lanes: { slots: { window: 8 } },
      deliver: { message: json, to: () => {} },
      behind: ({ own, wait }) => {
        heard.push(own)
        return wait
      }
    }
  )

const behind = (own: number): PeerMessage => ({ kind: "behind", lane: "slots", own })

describe("a node that is told it is behind", () => {
  const told = (model: "crash" | "byzantine", claims: ReadonlyArray<readonly [number, number]>) => {
    const heard: Array<number> = []
    const nodes = new Nodes(slots(heard), 4, model)
    nodes.settle()
    for (const [from, own] of claims) {
      nodes.input(1, { kind: "message", from, message: behind(own) })
    }
    for (let i = 0; i < 3; i++) nodes.input(1, { kind: "tick" })
    return heard
  }

  it("believes one member of a crash group, once", () => {
    expect(told("crash", [[2, 5]])).toEqual([5])
  })
  it("believes no single member of a Byzantine group, however far it says it is", () => {
    expect(told("byzantine", [[2, 1_000_000]])).toEqual([])
  })
  it("believes what two of them reach", () => {
    const claims = [[2, 1_000_000] as const, [3, 7] as const]
    expect(told("byzantine", claims)).toEqual([7])
  })
  it("takes no claim that nobody can have reached", () => {
    expect(told("crash", [[2, 2 ** 53]])).toEqual([])
  })
})

describe("a tail that is full", () => {
  /** Node 4 is away while the others finish calls. */
  const group = (): Nodes => {
    const nodes = new Nodes(bracha, 4, "byzantine", { tailBytesMax: 2_000 })
    for (const other of [1, 2, 3]) nodes.cut(other, 4)
    for (let index = 1; index <= 60; index++) {
      const more = { index, ackedBelow: index }
      for (const id of [1, 2, 3]) nodes.call(id, request("rb", "broadcast", { text: "a" }, more))
      nodes.settle()
    }
    return nodes
  }

  it("lets go of what n - f members have done, and every call is answered", () => {
    const nodes = group()
    for (const id of [1, 2, 3]) expect(nodes.engines.get(id)!.size().tailBytes).toBeLessThan(2_000)
    expect(nodes.answers().filter((answer) => answer.startsWith("1:"))).toHaveLength(60)
  })

  it("is told to who comes back, before any word, and it takes part in what comes then", () => {
    const nodes = group()
    const came: Array<string> = []
    for (const other of [1, 2, 3]) nodes.link(other, 4)
    nodes.settle((from, to, message) => {
      if (from === 1 && to === 4) came.push(message.kind)
      return true
    })
    expect(came.indexOf("cut")).toBeGreaterThanOrEqual(0)
    expect(came.indexOf("cut")).toBeLessThan(came.indexOf("word"))
    nodes.cut(3, 1)
    nodes.cut(3, 2)
    nodes.cut(3, 4)
    const more = { session: session(2), index: 1 }
    for (const id of [1, 2, 4]) nodes.call(id, request("rb", "broadcast", { text: "b" }, more), 9)
    nodes.settle()
    const late = nodes.replies.filter(({ route }) => route === 9)
    expect(late.map(({ from }) => from).sort()).toEqual([1, 2, 4])
  })

  it("keeps what is open at the node itself", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { tailBytesMax: 2_000 })
    // The others take these words, and none of them ever has the call.
    nodes.call(1, request("rb", "broadcast", { text: "alone" }, { session: session(3) }))
    nodes.settle()
    for (let index = 1; index <= 60; index++) {
      const more = { index, ackedBelow: index }
      for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }, more))
      nodes.settle()
    }
    const { entries } = nodes.engines.get(1)!.checkpoint()
    const words = entries.flatMap((entry) => (entry.kind === "word" ? [entry] : []))
    expect(words.some(({ lane }) => lane === session(3))).toBe(true)
    for (const id of nodes.ids)
      nodes.call(id, request("rb", "broadcast", { text: "alone" }, { session: session(3) }), 9)
    nodes.settle()
    expect(nodes.replies.filter(({ route }) => route === 9)).toHaveLength(4)
  })
})

describe("words that are gone for a member", () => {
  /** Node 4 is away for long; then it takes part in a call whose end the others have yet to say. */
  const group = (): Nodes => {
    const limits = { tailBytesMax: 8_000, cursorBytesMax: 600, bodyBytesMax: 300 }
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    const calls = (from: number, to: number, settle: () => void): void => {
      for (let index = from; index <= to; index++) {
        const more = { index, ackedBelow: Math.max(1, index - 5) }
        for (const id of [1, 2, 3]) nodes.call(id, request("rb", "broadcast", { text: "a" }, more))
        settle()
      }
    }
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    calls(1, 120, () => nodes.settle())
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    expect(nodes.engines.get(4)!.counters["cut"]).toBe(3)
    const toOthers = (_: number, to: number): boolean => to !== 4
    calls(121, 140, () => nodes.settle(toOthers))
    const more = { session: session(2) }
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "b" }, more), 9)
    nodes.settle(toOthers)
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    return nodes
  }
  const answered = (nodes: Nodes): ReadonlyArray<string> => {
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    const last = nodes.replies.filter(({ route }) => route === 9)
    return last.map(({ from, reply }) => `${from} ${reply.code ?? "ok"}`).sort()
  }
  const ALL = ["1 ok", "2 ok", "3 ok", "4 ok"]

  it("lose no call whose words are still on their way", () => {
    expect(answered(group())).toEqual(ALL)
  })
  it("are told done only behind all that it asked for again", () => {
    const nodes = group()
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    // Node 2 has not done what comes, so it is kept.
    nodes.cut(1, 2)
    for (let index = 1; index <= 20; index++) {
      const more = { session: session(3), index }
      for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "c" }, more))
      nodes.settle()
    }
    nodes.outputs.length = 0
    const want = { kind: "wantLane", lane: session(3), from: 1, to: 1_000 } as const
    nodes.input(1, { kind: "message", from: 4, message: want })
    nodes.input(1, { kind: "tick" })
    const told = nodes.outputs.flatMap(({ output }) =>
      output.kind === "send" && output.to === 4 ? [output.message] : []
    )
    expect(told.some(({ kind }) => kind === "word")).toBe(true)
    expect(told.filter(({ kind }) => kind === "taken")).toMatchObject([{ done: 0 }])
  })
  it("lose none after the others were started again from their checkpoints", () => {
    const nodes = group()
    for (const id of [1, 2, 3]) {
      nodes.logs.set(id, [nodes.engines.get(id)!.checkpoint()])
      nodes.boot(id)
    }
    for (const a of [1, 2, 3]) for (const b of [1, 2, 3]) if (a < b) nodes.link(a, b)
    expect(answered(nodes)).toEqual(ALL)
  })
})
