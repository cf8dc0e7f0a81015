/**
 * P12: A handler that throws poisons its instance on its node, with a typed error, and hurts
 * nothing else.
 */
import { describe, expect, it } from "vitest"
import { bracha, bytesOf, Nodes, protocolOf } from "../support/engines.ts"
import { alone, finals, rb } from "../support/tries.ts"

/** No codec can write it. */
const circular: { self?: object } = {}
circular.self = circular

/** Reliable broadcast in which some handler throws for the text "m1". */
const throwing = (where: "entry" | "each" | "quorum" | "agreeOn" | "forward") => {
  const boom = (message: { text: string }): void => {
    if (message.text === "m1") throw new Error(`boom in ${where}`)
  }
  return protocolOf("rb", {
    broadcast: [
      "multiparty",
      ({ message, forward }) => {
        if (where === "entry") boom(message)
        if (where === "forward" && message.text === "m1") return forward.echo(circular)
        return forward.echo(message)
      }
    ],
    echo: [
      "phase",
      {
        agreeOn: (m) => {
          if (where === "agreeOn") boom(m)
          return m.text
        },
        quorum: ({ votes, system, forward, wait }) => {
          if (where === "quorum") boom(votes.message)
          return votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
        }
      }
    ],
    ready: [
      "phase",
      ({ message, reply }) => {
        if (where === "each") boom(message)
        return reply(message)
      }
    ]
  })
}

describe("P12", () => {
  it.each(["entry", "each", "quorum", "forward"] as const)(
    "a throw in %s fails this call as poisoned, and the next one works",
    (where) => {
      const nodes = new Nodes(throwing(where), 3, "crash")
      for (const id of nodes.ids) nodes.call(id, rb(1))
      for (const id of nodes.ids) nodes.call(id, rb(2))
      nodes.settle()
      const codes = nodes.replies.map(({ reply }) => `${reply.index} ${reply.code ?? "answer"}`)
      expect([...new Set(codes)].sort()).toEqual(["1 poisoned", "2 answer"])
      const reply = nodes.replies.find(({ reply }) => reply.code === "poisoned")!.reply
      expect(reply.detail).toMatch(/^rb\/(broadcast|echo|ready) /)
      expect(nodes.outputs.filter(({ output }) => output.kind === "halt")).toEqual([])
    }
  )

  it("a throw in agreeOn is the message's fault: that vote does not count, and no more", () => {
    const nodes = new Nodes(throwing("agreeOn"), 3, "crash")
    for (const id of nodes.ids) for (const index of [1, 2]) nodes.call(id, rb(index))
    nodes.settle()
    expect(finals(nodes, 1)).toEqual([2])
    expect(nodes.engines.get(1)!.counters).toMatchObject({ agree_on_threw: 3 })
  })

  it("it stays poisoned after a restart, and says nothing more", () => {
    const nodes = new Nodes(throwing("quorum"), 3, "crash")
    for (const id of nodes.ids) nodes.call(id, rb(1))
    nodes.settle()
    const log = nodes.logs.get(1)!.length
    nodes.boot(1)
    nodes.replies.length = 0
    nodes.call(1, rb(1))
    nodes.settle()
    expect(nodes.answers()).toEqual(["1: poisoned"])
    expect(nodes.logs.get(1)).toHaveLength(log)
  })

  it("one node's poison is not the group's: the others answer", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, { ...rb(1), body: bytesOf("{") })
    for (const id of [2, 3, 4]) nodes.call(id, rb(1))
    nodes.settle()
    expect(nodes.answers()).toEqual([
      "1: malformed",
      ...[2, 3, 4].map((id) => `${id}: {"text":"m1"}`)
    ])
  })

  it("an Effect that ends with no directive poisons its call", () => {
    const { codes, call, step } = alone(protocolOf("w", { ask: ["rpc", () => ({ effect: 1 })] }))
    for (const [i, result] of [undefined, null, 7, "x"].entries()) {
      step(call("ask", i + 1))
      expect(codes({ kind: "ran", token: i + 1, result })).toEqual(["poisoned"])
    }
  })
})
