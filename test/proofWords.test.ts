/** Whose vote a word is: its sender's, or, where it bears a signature, its author's. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { methodId, type Word } from "../src/server/Message.ts"
import { certificateOf } from "../src/server/Proof.ts"
import { json, Nodes, protocolOf, request } from "./support/engines.ts"
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

describe("proofs in handlers", () => {
  const seen: Array<unknown> = []
  const signedEcho = (handler: object) => {
    const spec = protocolOf("rb", {
      broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
      echo: ["phase", handler as never],
      show: [
        "phase",
        (it) => {
          seen.push(it.proof.author)
          return it.count(it.message.proof)
        }
      ]
    })
    const methods = spec.methods.map((m) => ({ ...m, signed: m.name !== "broadcast" }))
    return { ...spec, methods }
  }
  const quorum = (it: any) =>
    it.votes.agreed(it.system.quorum) ? it.forward.show({ proof: it.votes.proof }) : it.wait

  it("a certificate holds the votes for the value, each with its signature, own ones too", () => {
    const nodes = new Nodes(signedEcho({ agreeOn: (m: any) => m.text, quorum }), 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    for (const from of [2, 3]) hear(nodes, 1, from, echo(1, { signature }))
    const show = nodes.logs
      .get(1)!
      .flatMap(({ entries }) => entries)
      .at(-1) as Word
    expect(json.decode(show.body)).toMatchObject({
      proof: {
        index: 1n,
        round: 0,
        votes: [{ author: 1, signature }, { author: 2, signature }, { author: 3 }]
      }
    })
  })

  it("what a certificate holds counts where the words themselves never came", () => {
    seen.length = 0
    const counted: Array<number> = []
    const watch = (it: any) => {
      counted.push(it.votes.author)
      return it.wait
    }
    const nodes = new Nodes(signedEcho({ quorum: watch }), 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    const word = { ...echo(1), author: 3, signature }
    const proof = certificateOf([word, { ...word, author: 4 }, { ...word, author: 1 }])
    const body = json.encode({ proof })
    const show = { ...echo(1), method: methodId("rb/show"), body, signature }
    hear(nodes, 1, 2, show)
    expect([counted, seen]).toEqual([[1, 3, 4], [2]])
    hear(nodes, 1, 3, echo(1, { signature }))
    expect(counted).toEqual([1, 3, 4])
    expect(nodes.engines.get(1)!.counters["duplicate"]).toBe(1)
  })

  it("a proof of another call, or of what is not signed, counts for nothing", () => {
    const nodes = new Nodes(signedEcho({ quorum: ({ wait }: any) => wait }), 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    const word = { ...echo(1), author: 3, signature }
    const shown = [
      { ...word, index: 2 },
      { ...word, method: methodId("rb/broadcast") },
      { ...word, index: 2 ** 53 }
    ].map((other) => certificateOf([other]))
    for (const [i, proof] of shown.entries()) {
      const more = { method: methodId("rb/show"), body: json.encode({ proof }), signature }
      hear(nodes, 1, 2 + i, { ...echo(1), ...more })
    }
    const { counters } = nodes.engines.get(1)!
    expect([counters["proof_dropped"], counters["no_proof"]]).toEqual([1, 1])
  })

  it("asking for a proof of what is not signed poisons the instance, and says why", () => {
    const spec = protocolOf("rb", {
      broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
      echo: ["phase", (it) => it.forward.echo({ proof: it.proof })]
    })
    const nodes = new Nodes(spec, 4, "byzantine")
    nodes.call(1, request("rb", "broadcast", { text: "a" }))
    expect(nodes.outputs.find(({ output }) => output.kind === "report")?.output).toMatchObject({
      what: "poisoned",
      detail: expect.stringContaining("rb/echo is not signed")
    })
  })
})
