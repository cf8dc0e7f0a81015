/** Whose vote a word is: its sender's, or, where it bears a signature, its author's. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { Nodes, protocolOf } from "./support/engines.ts"
import { echo, hear } from "./support/tries.ts"

const votes: Array<ReadonlyArray<number>> = []
const listening = (signed: boolean) => {
  const spec = protocolOf(
    "rb",
    {
      broadcast: ["multiparty", ({ wait }) => wait],
      echo: [
        "phase",
        {
          lane: "slots",
          index: (m) => m.slot ?? 1,
          quorum: (it) => {
            votes.push(it.votes.all.map((vote: { from: number }) => vote.from))
            return it.wait
          }
        }
      ]
    },
    { lanes: { slots: { window: 4, rounds: 2 } } }
  )
  const methods = spec.methods.map((m) => ({ ...m, signed: m.name === "echo" && signed }))
  return { ...spec, methods }
}
const signature = new Uint8Array(64).fill(1)
const inSlot = (position: number, more = {}) => echo(position, { lane: "slots", ...more })
const tried = (signed: boolean) => {
  votes.length = 0
  const nodes = new Nodes(listening(signed), 4, "byzantine", LIMITS)
  const counted = () => nodes.engines.get(1)!.counters
  return { nodes, counted }
}

describe("a word that another member passes on", () => {
  it("counts as its author's where it is signed", () => {
    const { nodes } = tried(true)
    hear(nodes, 1, 2, inSlot(1, { author: 3, signature }))
    hear(nodes, 1, 2, inSlot(2, { signature }))
    expect(votes).toEqual([[3], [2, 3]])
  })

  it("counts for nothing in a phase without signatures", () => {
    const { nodes, counted } = tried(false)
    hear(nodes, 1, 2, inSlot(1, { author: 3 }))
    expect([votes, counted()["unsigned_author"]]).toEqual([[], 1])
  })

  it("P1: is the one that came from its author, however often it comes", () => {
    const { nodes, counted } = tried(true)
    hear(nodes, 1, 3, inSlot(1, { signature }))
    hear(nodes, 1, 2, inSlot(1, { author: 3, signature }))
    hear(nodes, 1, 4, inSlot(1, { author: 3, signature }))
    expect([votes, counted()["duplicate"]]).toEqual([[[3]], 2])
  })

  it("P1: a second value of its author is evidence, with both signatures", () => {
    const { nodes } = tried(true)
    hear(nodes, 1, 3, inSlot(1, { signature }))
    const other = new Uint8Array(64).fill(2)
    const body = new TextEncoder().encode('{"text":"b"}')
    hear(nodes, 1, 2, inSlot(1, { author: 3, signature: other, body }))
    expect(votes).toEqual([[3]])
    expect(nodes.engines.get(1)!.evidence).toMatchObject([
      { author: 3, signatures: [signature, other] }
    ])
  })

  it("is not this node's own, nor a stranger's", () => {
    const { nodes, counted } = tried(true)
    for (const author of [1, 9]) hear(nodes, 1, 2, inSlot(1, { author, signature }))
    expect([votes, counted()["no_author"]]).toEqual([[], 2])
  })

  it("takes its place in the sender's log, though nothing of it counts", () => {
    const { nodes, counted } = tried(true)
    hear(nodes, 1, 2, inSlot(1, { forged: true }))
    nodes.input(1, { kind: "tick" })
    const told = nodes.queues.get("1>2")!.filter(({ kind }) => kind === "taken")
    expect(told).toContainEqual({ kind: "taken", taken: 1, done: 0 })
    expect([votes, counted()["bad_signature"]]).toEqual([[], 1])
  })
})
