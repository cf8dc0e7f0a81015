/** The programs of docs/guide that stand nowhere else. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { Failed, Quorum } from "quorate"
import { Simulation } from "quorate/testing"
import { ReliableBroadcast } from "../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { Kv } from "./plugin/golden/ts/kv/v1/kv_quorate.ts"

class Cells extends Context.Service<Cells, Map<string, Uint8Array>>()("Cells") {}

const [PUT, GET] = [1, 2]
const KvNode = Kv.protocol({
  // MULTIPARTY: the phases below answer.
  put: ({ message, forward, fail }) =>
    message.key === ""
      ? fail("invalid", "no key")
      : forward.accept({ command: Uint8Array.of(PUT, ...message.value) }),
  // An Effect may stand before the first phase; it fails with `Failed`, and with nothing else.
  get: ({ message, forward }) =>
    Effect.gen(function* () {
      const value = (yield* Cells).get(message.key)
      if (value !== undefined) return forward.accept({ command: Uint8Array.of(GET, ...value) })
      return yield* new Failed({ code: "not_found", detail: `no key "${message.key}"` })
    }),
  // QUORUM and RPC: each node answers on its own.
  read: ({ message, reply }) =>
    Effect.map(Cells, (cells) => reply({ value: cells.get(message.key) ?? new Uint8Array() })),
  info: ({ self, reply }) => reply({ labels: { node: String(self) } }),
  plain: ({ refuse }) => refuse.overloaded(),
  // MULTICAST and UNICAST: nobody is answered.
  hint: ({ wait }) => wait,
  tell: ({ ignore }) => ignore("this node takes no hints"),
  // PHASE, message by message: told to one node only, the lowest.
  accept: ({ message, system, forward }) => forward.learn(message, { to: system.member(0) }),
  // PHASE, by votes. Two calls share it, so a reply names the one that it answers; which it is the
  // message says: a node may hear of a call from members alone.
  learn: {
    agreeOn: (m) => m.command,
    quorum: ({ votes, system, reply, wait }) => {
      if (!votes.agreed(system.quorum)) return wait
      const value = votes.value.subarray(1)
      return votes.value[0] === PUT ? reply.put({ ok: true }) : reply.get({ value })
    }
  }
})

describe("the handlers of the guide", () => {
  const cells = new Map([["a", Uint8Array.of(1)]])
  it.effect("run", () =>
    Simulation.check(
      KvNode,
      { nodes: 3, runs: 10, calls: { put: [{ key: "a" }], get: [{ key: "a" }] } },
      (run) => [run.answered("put", 1), run.answered("get", 1)]
    ).pipe(Effect.provideService(Cells, cells))
  )
})

const policies = Effect.gen(function* () {
  const kv = yield* Kv
  // Without a policy: the replies of a quorum, in member order, each with who sent it.
  const replies = yield* kv.read({ key: "a" })
  const fastest = yield* kv.read({ key: "a" }, Quorum.first())
  const everyone = yield* kv.read({ key: "a" }, Quorum.all(), { timeoutMs: 1_000 })
  // One reply, which enough nodes agree on, as far as the key sees it.
  const believed = yield* kv.read(
    { key: "a" },
    Quorum.matching((r) => r.value)
  )
  // An answer of your own, reply by reply.
  const longest = yield* kv.read(
    { key: "a" },
    Quorum.fold(
      0,
      (bytes: number, reply) => Math.max(bytes, reply.value.length),
      (_, count) => count === 3
    )
  )
  return { replies, fastest, everyone, believed, longest }
})

const calls = Effect.gen(function* () {
  const kv = yield* Kv
  // Some nodes; keep the array or configuration, what is known of it is cached.
  const some = yield* kv.read({ key: "a" }, Quorum.all(), { to: [1, 2] })
  // A request of its own for each node; none for node 3.
  const own = yield* kv.read.each(
    (node) => (node === 3 ? undefined : { key: `a${node}` }),
    Quorum.all()
  )
  // The replies as they come; the stream ends when every node has replied or failed.
  const two = yield* kv.read.replies({ key: "a" }).pipe(Stream.take(2), Stream.runCollect)
  // One node; one-way.
  const info = yield* kv.info(2, {})
  yield* kv.hint({ key: "a" }, { to: [2, 3] })
  // Why there is no answer: `code`, `needed`, `got`, and the outcome of every node.
  const { code } = yield* Effect.flip(kv.plain(1, { key: "a" }))
  return { some, own, two, info, code }
})

const nodes = Kv.mock({
  read: ({ key }, node) => ({ value: new TextEncoder().encode(key), labels: { by: `${node}` } }),
  info: (_, node) => ({ labels: { node: `${node}` } }),
  plain: () => new Failed({ code: "conflict", detail: "taken" })
})

const East = Kv.named("east")
const both = Effect.gen(function* () {
  const [here, there] = [yield* Kv, yield* East]
  return [yield* here.info(1, {}), yield* there.info(1, {})]
})

describe("the calls of the guide", () => {
  it.effect("policies", () =>
    Effect.gen(function* () {
      const { replies, everyone, longest } = yield* policies
      assert.deepEqual([replies.length, everyone.length, longest], [3, 4, 1])
    }).pipe(Effect.provide(nodes))
  )
  it.effect("options and kinds", () =>
    Effect.gen(function* () {
      const { some, own, two, info, code } = yield* calls
      assert.deepEqual([some.length, own.length, two.length], [2, 3, 2])
      assert.deepEqual([info.labels["node"], code], ["2", "conflict"])
    }).pipe(Effect.provide(nodes))
  )
  it.effect("two groups", () =>
    Effect.gen(function* () {
      const [here, there] = yield* both
      assert.deepEqual([here!.labels["node"], there!.labels["node"]], ["1", "east"])
    }).pipe(
      Effect.provide(Layer.merge(nodes, East.mock({ info: () => ({ labels: { node: "east" } }) })))
    )
  )
})

const Hasty = ReliableBroadcast.protocol({
  broadcast: ({ message, forward }) => forward.echo(message),
  echo: {
    agreeOn: (m) => m.text,
    // One honest echo where a quorum is needed: now two texts can come this far.
    quorum: ({ votes, system, forward, wait }) =>
      votes.agreed(system.oneHonest) ? forward.ready({ text: votes.value }) : wait
  },
  ready: {
    agreeOn: (m) => m.text,
    quorum: ({ votes, system, reply, wait }) =>
      votes.agreed(system.oneHonest) ? reply({ text: votes.value }) : wait
  }
})

describe("the first protocol", () => {
  it.effect("broken, fails the test that it passes", () =>
    Effect.gen(function* () {
      const calls = { broadcast: [{ text: "a" }, { text: "b" }] }
      const check = Simulation.check(Hasty, { nodes: 4, byzantine: 1, runs: 200, calls }, (run) => [
        run.agreement("broadcast", (d) => d.text),
        run.answered("broadcast", 3)
      ])
      const { message } = yield* Effect.flip(check)
      assert.match(message, /repeat: Simulation\.check\(rb\.v1\.ReliableBroadcast, /)
    })
  )
})
