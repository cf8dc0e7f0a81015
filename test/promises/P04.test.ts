/**
 * P4: A node says at most one value per (lane, index, phase, round), in all its incarnations; a
 * node that lost its memory says nothing where it may have spoken.
 */
import { describe, expect, it } from "vitest"
import type { LogRecord } from "../../src/server/LogRecord.ts"
import type { Word } from "../../src/server/Message.ts"
import { laneOfBytes } from "../../src/server/laneKey.ts"
import { counterOf } from "../support/counter.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "../support/engines.ts"
import { echo, hear, logged, rb } from "../support/tries.ts"

const nameOf = ({ lane, index, method, round }: Word): string =>
  `${lane}/${index}/${method}/${round}`

/** What the node said, by name. Two values under one name fail the test. */
const words = (...lives: ReadonlyArray<ReadonlyArray<LogRecord>>): Map<string, string> => {
  const said = new Map<string, string>()
  for (const { entries } of lives.flat()) {
    for (const entry of entries) {
      if (entry.kind !== "word") continue
      const value = laneOfBytes(entry.body)
      const before = said.get(nameOf(entry))
      if (before !== undefined) expect(value).toBe(before)
      said.set(nameOf(entry), value)
    }
  }
  return said
}

describe("P4", () => {
  it("a second value is counted and not said; the first stands", () => {
    const fickle = protocolOf("rb", {
      broadcast: [
        "multiparty",
        ({ message, forward }) => [forward.echo(message), forward.echo({ text: "other" })]
      ],
      echo: ["phase", ({ wait }) => wait]
    })
    const nodes = new Nodes(fickle, 3, "crash")
    nodes.call(1, rb(1))
    expect(logged(nodes, 1, "word").map(({ body }) => json.decode(body))).toEqual([{ text: "m1" }])
    expect(nodes.engines.get(1)!.counters).toMatchObject({ said_other: 1 })
  })

  it("whatever a crash left of its log: the node says nothing else in its next life", () => {
    const whole = new Nodes(bracha, 4, "byzantine")
    for (const id of whole.ids) whole.call(id, rb(1))
    whole.settle()
    const log = whole.logs.get(1)!
    for (let kept = 0; kept <= log.length; kept++) {
      const nodes = new Nodes(bracha, 4, "byzantine")
      const before = log.slice(0, kept)
      nodes.logs.set(1, [...before])
      nodes.boot(1)
      // Now a client and two peers tell it something else.
      nodes.call(1, request("rb", "broadcast", { text: "other" }))
      for (const peer of [2, 3]) {
        hear(nodes, 1, peer, echo(1, { body: json.encode({ text: "other" }) }))
      }
      words(nodes.logs.get(1)!)
      if (kept === 0) expect(words(nodes.logs.get(1)!).size).toBeGreaterThan(0)
    }
  })

  it("in a lane of the protocol's own too, at every prefix of every node's log", () => {
    const whole = new Nodes(counterOf(4), 3, "crash")
    for (let i = 1; i <= 3; i++) {
      whole.call(1, request("ctr", "add", { by: i }, { index: i }))
      whole.settle()
    }
    for (const id of whole.ids) {
      const log = whole.logs.get(id)!
      for (let kept = 0; kept <= log.length; kept++) {
        const nodes = new Nodes(counterOf(4), 3, "crash")
        nodes.logs.set(id, log.slice(0, kept))
        nodes.boot(id)
        nodes.call(id, request("ctr", "add", { by: 9 }, { session: session(2) }))
        nodes.settle()
        words(nodes.logs.get(id)!)
      }
    }
  })

  it("its words are the same bytes in every life, at the same positions", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb(1))
    // Node 4 hears nothing, so that node 1 has to say everything again.
    nodes.settle((_, to) => to !== 4)
    const before = logged(nodes, 1, "word").map(({ position, body }) => [position, body])
    nodes.boot(1)
    nodes.outputs.length = 0
    for (const peer of [2, 3, 4]) nodes.link(1, peer)
    nodes.settle()
    const again = nodes.outputs.flatMap(({ from, output }) =>
      from === 1 && output.kind === "send" && output.to === 4 && output.message.kind === "word"
        ? [[output.message.position, output.message.body]]
        : []
    )
    expect(again).toEqual(before)
  })

  it("without a log it keeps out of sessions that an earlier life may have spoken in", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.logs.set(1, [])
    nodes.boot(1, nodes.atMs + 60_000)
    nodes.call(1, rb(1))
    for (const peer of [2, 3, 4]) hear(nodes, 1, peer, echo(1))
    expect(nodes.logs.get(1)).toEqual([])
    expect(nodes.answers()).toEqual(["1: session_expired"])
  })
})
