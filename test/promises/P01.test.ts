/**
 * P1: A phase handler sees at most one message per (lane, index, phase, round, author), however it
 * came. Duplicates are dropped and counted; a second value is kept as evidence.
 */
import { describe, expect, it } from "vitest"
import type { MethodSpec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { choicesOf, type Decorate, simulate } from "../../src/testing/index.ts"
import { bracha, json, Nodes, protocolOf, request } from "../support/engines.ts"
import { allSigned } from "../support/proofs.ts"
import { proving } from "../support/proving.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { echo, hear } from "../support/tries.ts"

describe("P1", () => {
  it("the same word again is dropped and counted", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    for (const position of [1, 1, 2]) hear(nodes, 1, 2, echo(position))
    expect(nodes.engines.get(1)!.counters["duplicate"]).toBe(2)
    expect(nodes.engines.get(1)!.evidence).toEqual([])
  })

  it("a second value does not count, and is kept with the first", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "b" }))
    const other = json.encode({ text: "b" })
    hear(nodes, 1, 2, echo(1))
    hear(nodes, 1, 2, echo(2, { body: other }))
    const { evidence, counters } = nodes.engines.get(1)!
    expect(evidence).toMatchObject([{ author: 2, first: echo(1).body, second: other }])
    expect(counters["equivocation"]).toBe(1)
  })

  it("each message comes once to a handler of every message, also by way of others", () => {
    const seen: Array<number> = []
    const spec = protocolOf("rb", {
      broadcast: ["multiparty", ({ wait }) => wait],
      echo: [
        "phase",
        (it) => {
          seen.push(it.author)
          return it.wait
        }
      ]
    })
    const nodes = new Nodes(allSigned(spec, "broadcast"), 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    const signature = new Uint8Array(64)
    hear(nodes, 1, 2, echo(1, { signature }))
    hear(nodes, 1, 3, echo(1, { author: 2, signature }))
    hear(nodes, 1, 4, echo(1, { signature }))
    hear(nodes, 1, 4, echo(1, { signature }))
    expect(seen).toEqual([2, 4])
  })

  it("in runs with liars who replay and relay, no handler sees a second one", SLOW, () => {
    let votes = 0
    const { spec } = proving()
    const choices = choicesOf(spec, { submit: [{ text: "a" }, { text: "b" }] })
    const group = { nodes: 4, byzantine: 1, model: "byzantine", faults: "all" } as const
    const promises = { totality: false, quorums: false }
    for (let seed = 1; seed <= seedsOf(15); seed++) {
      const twice: Array<string> = []
      // One set per life of a node: after a restart it is told everything again.
      const decorate: Decorate = {
        spec: (it) =>
          watching(
            it,
            new Map(),
            (name) => twice.push(name),
            () => votes++
          )
      }
      const run = simulate({ spec, choices, ...group, crash: true, promises, seed, decorate })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      expect(twice, `seed ${seed}`).toEqual([])
    }
    expect(votes).toBeGreaterThan(500)
  })
})

/** Calls `again` for a message that the handlers of this node were given before. */
const watching = (
  spec: ProtocolSpec,
  seen: Map<string, number>,
  again: (name: string) => void,
  one: () => void
): ProtocolSpec => {
  const watched = (method: MethodSpec): MethodSpec => {
    const { handler } = method
    if (method.call !== "phase") return method
    const run = typeof handler === "function" ? handler : handler.quorum!
    const noting = (it: any): unknown => {
      const author = it.votes?.author ?? it.author
      const name = `${it.call.key} ${method.name} ${it.round} ${author}`
      // The simulator runs a handler twice with what it is given, to see whether it is a function.
      const times = (seen.get(name) ?? 0) + 1
      seen.set(name, times)
      if (times === 1) one()
      if (times > 2) again(name)
      return run(it)
    }
    const over = typeof handler === "function" ? noting : { ...handler, quorum: noting }
    return { ...method, handler: over }
  }
  return { ...spec, methods: spec.methods.map(watched) }
}
