/**
 * P15: Bytes from the network never crash a node, whatever they are; neither do user codecs or
 * `agreeOn` on hostile values.
 */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { Prng } from "../../src/base/prng.ts"
import { decodeMessage, encodeMessage } from "../../src/link/envelope.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import { Engine } from "../../src/server/engine.ts"
import { methodId, type PeerMessage } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { bracha, bytesOf, json, Nodes, protocolOf, request } from "../support/engines.ts"
import { alone, echo, finals, rb } from "../support/tries.ts"

const PEER: ReadonlyArray<string> = ["word", "want", "resume", "wantLane", "taken", "cut", "behind"]

describe("P15", () => {
  it("mutated messages of a peer are dropped and counted, and the group works on", () => {
    const random = new Prng(15)
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.settle()
    let taken = 0
    for (let i = 0; i < 20_000; i++) {
      const bytes = encodeMessage(
        echo(1 + random.below(50), { index: 1 + random.below(4) })
      ).slice()
      for (let flips = 1 + random.below(6); flips > 0; flips--) {
        bytes[random.below(bytes.length)] = random.below(256)
      }
      const message = decodeMessage(bytes, 0, bytes.length)
      if (message === undefined || !PEER.includes(message.kind)) continue
      taken++
      nodes.input(1, { kind: "message", from: 2, message: message as PeerMessage })
    }
    expect(taken).toBeGreaterThan(1_000)
    for (const id of [1, 3, 4]) nodes.call(id, rb(3))
    for (let i = 0; i < 3; i++) nodes.settle()
    expect(finals(nodes, 3)).toEqual([3])
    expect(finals(nodes, 4)).toEqual([3])
  })

  it("a codec or an agreeOn that throws, or a key that lies, costs that message alone", () => {
    const nodes = new Nodes(
      protocolOf(
        "rb",
        {
          broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
          echo: [
            "phase",
            {
              lane: "slots",
              index: (m) => m.slot.at,
              agreeOn: (m) => m.deep.value,
              quorum: ({ wait }) => wait
            }
          ]
        },
        { lanes: { slots: { window: 4 } } }
      ),
      3,
      "crash"
    )
    const hostile = ["{", "null", "7", '{"slot":null}', '{"slot":{"at":2}}', '{"slot":{"at":1}}']
    for (const [i, text] of hostile.entries()) {
      const message = echo(i + 1, { lane: "slots", ackedBelow: 0, body: bytesOf(text) })
      nodes.input(1, { kind: "message", from: 2, message })
    }
    const { counters } = nodes.engines.get(1)!
    expect(counters).toMatchObject({ malformed: 4, key_mismatch: 1, agree_on_threw: 1 })
  })

  it("a one-way or a request that nobody can read is counted and not reported", () => {
    const { engine, step, codes } = alone(protocolOf("w", { tell: ["unicast", () => []] }))
    const message = { kind: "oneWay", method: methodId("w/tell"), body: bytesOf("{") }
    expect(step({ kind: "oneWay", route: 1, message })).toEqual([])
    expect(engine.counters).toEqual({ malformed: 1 })
    const asked = { ...request("w", "tell", {}), method: 7 }
    expect(codes({ kind: "request", route: 1, request: asked })).toEqual(["unknown_method"])
  })

  it("a node that cannot read its own log says so and stops", () => {
    const world = {
      record: json,
      evolve: () => {
        throw new Error("no")
      }
    }
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb(1))
    const record = nodes.logs.get(1)![0]!
    const torn = {
      entries: record.entries.map((e) => (e.kind === "word" ? { ...e, body: bytesOf("{") } : e))
    }
    const boot = (protocol: ProtocolSpec, log: typeof record) =>
      new Engine({
        self: 1,
        system: makeSystem([1, 2, 3, 4], "byzantine"),
        protocols: [protocol],
        limits: LIMITS,
        isEffect: () => false
      }).step({ kind: "replay", record: log })
    expect(boot(bracha, torn)).toMatchObject([{ kind: "halt" }])
    const stored = { kind: "stored", protocol: methodId("rb"), body: bytesOf("{}") } as const
    expect(boot({ ...bracha, world }, { entries: [stored] })).toMatchObject([{ kind: "halt" }])
  })
})
