/** The client of a service: what it asks of the call table, and which links it stands on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ReliableBroadcast } from "../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import type { CallPort, CallSpec } from "../src/link/callTypes.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Carrier } from "../src/runtime/Carrier.ts"
import type { Failed } from "../src/runtime/Failed.ts"
import { Group } from "../src/runtime/Group.ts"
import { makeClient } from "../src/runtime/internal/client.ts"
import { Kv, type KvClient } from "./plugin/golden/ts/kv/v1/kv_quorate.ts"

/** A call table that keeps what it is asked. */
const recorder = () => {
  const specs: Array<CallSpec<any, any>> = []
  const port: CallPort = {
    system: makeSystem([1, 2, 3, 4], "byzantine"),
    start: (spec) => {
      specs.push(spec)
      spec.done({ ok: true, answer: "answer" as any })
      return () => {}
    }
  }
  return { specs, kv: makeClient(Kv.descriptor, port) as KvClient, port }
}
/** What the nodes answer, in order; a text alone stands for a reply. */
const answering = (...texts: ReadonlyArray<string | Failed>) =>
  ReliableBroadcast.mock({
    broadcast: (_, node) => {
      const text = texts[node - 1]
      return typeof text === "string" ? { text } : text
    }
  })
const broadcast = Effect.flatMap(ReliableBroadcast, (rb) => rb.broadcast({ text: "m" }))

describe("without a policy", () => {
  it.effect("a multiparty call gives what oneHonest nodes agree on, byte for byte", () =>
    Effect.gen(function* () {
      const { text } = yield* broadcast
      assert.equal(text, "a")
    }).pipe(Effect.provide(answering("x", "a", "y", "a")))
  )
  it.effect("a multiparty call on which all differ has no answer", () =>
    Effect.gen(function* () {
      const { needed, got } = yield* Effect.flip(broadcast)
      assert.deepEqual([needed, got], [2, 1])
    }).pipe(Effect.provide(answering("a", "b", "c", "d")))
  )
  it.effect("a quorum call gives the replies of a quorum", () =>
    Effect.gen(function* () {
      const kv = yield* Kv
      const votes = yield* kv.read({ key: "" })
      assert.deepEqual(
        votes.map(({ from }) => from),
        [1, 2, 3]
      )
    }).pipe(Effect.provide(Kv.mock({ read: () => ({}) })))
  )
})

describe("what the call table is asked", () => {
  it.effect("each run of the Effect is a call, with its deadline and its nodes", () =>
    Effect.gen(function* () {
      const { specs, kv } = recorder()
      const call = kv.put({ key: "k" }, undefined, { timeoutMs: 250, to: { nodes: [3, 1, 3] } })
      assert.lengthOf(specs, 0)
      yield* call
      yield* call
      assert.lengthOf(specs, 2)
      const [first, second] = specs
      assert.equal(first!.deadlineMs, 250)
      assert.deepEqual(first!.targets, [1, 3])
      assert.strictEqual(first!.targets, second!.targets, "one array per configuration")
      assert.strictEqual(first!.body(1), first!.body(3), "encoded once")
      yield* kv.put({})
      assert.equal(specs[2]!.deadlineMs, 5_000)
      assert.deepEqual(specs[2]!.targets, [1, 2, 3, 4])
    })
  )
  it.effect("one-way calls and calls of one node name their kind", () =>
    Effect.gen(function* () {
      const { specs, kv } = recorder()
      yield* kv.info(2, {})
      yield* kv.tell(3, {})
      yield* kv.hint({})
      assert.deepEqual(
        specs.map(({ call, targets }) => [call, targets.join()]),
        [
          ["rpc", "2"],
          ["unicast", "3"],
          ["multicast", "1,2,3,4"]
        ]
      )
    })
  )
  it.effect("requests that cannot be sent fail the call, and nothing is asked", () =>
    Effect.gen(function* () {
      const { specs, kv } = recorder()
      const wrong = yield* Effect.flip(kv.put({ mode: 1.5 as 1 }))
      assert.include(wrong.message, "[invalid] kv.v1.Kv/Put")
      assert.include(wrong.message, "kv.v1.PutRequest.mode")
      const stranger = yield* Effect.flip(kv.put({}, undefined, { to: [1, 9] }))
      assert.include(stranger.message, "node 9 is no member; members: 1, 2, 3, 4")
      const nobody = yield* Effect.flip(kv.put({}, undefined, { to: [] }))
      assert.include(nobody.message, "the call goes to no node")
      const other = yield* Effect.flip(kv.info(5, {}))
      assert.include(other.message, "node 5 is no member")
      assert.lengthOf(specs, 0)
    })
  )
})

/** Hands out connections that stay silent, and keeps the addresses. */
const silent = (dialled: Array<string>) =>
  Layer.succeed(Carrier, {
    dial: (address) => {
      dialled.push(address)
      const nothing = () => {}
      return { remote: address, backlogBytes: 0, send: nothing, trust: nothing, close: nothing }
    },
    listen: () => Effect.fail("nobody listens here")
  } as Carrier["Service"])
const group = (port: number) =>
  Group.layer({
    group: `g${port}`,
    faults: "crash",
    durable: false,
    nodes: [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:${port + id}` }))
  })

describe("links", () => {
  it.effect("services of one group share them", () =>
    Effect.gen(function* () {
      const dialled: Array<string> = []
      const clients = Layer.merge(Kv.layer, ReliableBroadcast.layer)
      yield* Layer.build(clients.pipe(Layer.provide(group(7000)), Layer.provide(silent(dialled))))
      assert.deepEqual(dialled, ["127.0.0.1:7001", "127.0.0.1:7002", "127.0.0.1:7003"])
    }).pipe(Effect.scoped)
  )
  it.effect("services of two groups do not, whatever they are called", () =>
    Effect.gen(function* () {
      const dialled: Array<string> = []
      const second = ReliableBroadcast.named("second")
      const clients = Layer.mergeAll(
        ReliableBroadcast.layer.pipe(Layer.provide(group(7000))),
        second.layer.pipe(Layer.provide(group(7100))),
        Kv.layer.pipe(Layer.provide(group(7200)))
      )
      yield* Layer.build(clients.pipe(Layer.provide(silent(dialled))))
      assert.lengthOf(new Set(dialled), 9)
    }).pipe(Effect.scoped)
  )
})
