/**
 * The battery of Gorums' multiparty branch (tests/broadcast/broadcast_test.go), by its names, over
 * memory and over HTTP/2: three nodes, client -> all -> all to all -> all to all -> client.
 * Its unit tests of ids and shards have their like in test/clientSession.test.ts.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Ref, Schedule, Scope } from "effect"
import * as Quorum from "../../src/quorum/Policy.ts"
import { Member } from "../../src/runtime/Member.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { Proofs } from "../support/proving.ts"
import { Kv } from "./support/services.ts"
import { startSigning } from "./support/signing.ts"
import { type Kind, makeWorld, type World } from "./support/worlds.ts"

const NODES = [1, 2, 3]
const LEADER = 1
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text))
const textOf = (reply: { readonly value: Uint8Array }): string =>
  Buffer.from(reply.value).toString()
const textsOf = (votes: ReadonlyArray<{ readonly message: { readonly value: Uint8Array } }>) =>
  votes.map(({ message }) => textOf(message))

/** What a node's long running tasks came to. */
class Ledger extends Context.Service<
  Ledger,
  { readonly cancelled: Ref.Ref<number>; readonly running: Ref.Ref<number> }
>()("test/GorumsLedger") {}

/**
 * `get` takes two rounds all to all; the key says how. `read` of "long" runs until it is cancelled;
 * any other one says how often that happened.
 */
const Battery = Kv.protocol({
  put: ({ message, forward }) => forward.accept({ command: bytes(`put ${message.key}`) }),
  get: ({ message, self, forward, wait }) =>
    message.key.startsWith("search")
      ? self === LEADER
        ? forward.accept({ command: bytes(message.key) })
        : wait
      : message.key.startsWith("to leader")
        ? forward.accept({ command: bytes(message.key) }, { to: LEADER })
        : forward.accept({ command: bytes(message.key) }),
  accept: ({ message, author, self, reply, forward, wait }) => {
    const key = Buffer.from(message.command).toString()
    // The leader found it first: whoever hears so stops searching.
    if (key.startsWith("search")) return reply.get({ value: bytes(self === author ? "1" : "0") })
    if (key.startsWith("to leader")) {
      return self === LEADER ? reply.get({ value: bytes(`node ${self}`) }) : wait
    }
    return forward.learn(message)
  },
  learn: {
    agreeOn: (m) => m.command,
    // A node answers only once it has said the phase before itself, however late its votes come.
    quorum: ({ votes, system, reply, wait }) =>
      !votes.agreed(system.quorum) || !votes.mine
        ? wait
        : Buffer.from(votes.value).toString().startsWith("put ")
          ? reply.put({ ok: true })
          : reply.get({ value: votes.value })
  },
  read: ({ message, reply }) =>
    Effect.gen(function* () {
      const { cancelled, running } = yield* Ledger
      if (message.key !== "long") return reply({ value: bytes(`${yield* Ref.get(cancelled)}`) })
      yield* Ref.update(running, (n) => n + 1)
      const count = Ref.update(cancelled, (n) => n + 1)
      return yield* Effect.onInterrupt(Effect.never, () => count)
    }),
  info: ({ reply, self }) => reply({ value: bytes(`${self}`) }),
  hint: ({ ignore }) => ignore("nothing"),
  tell: ({ ignore }) => ignore("nothing"),
  plain: ({ message, reply }) => reply({ value: bytes(message.key) })
})

const ledger = Effect.map(
  Effect.all([Ref.make(0), Ref.make(0)]),
  ([cancelled, running]): Ledger["Service"] => ({ cancelled, running })
)

interface Node {
  readonly scope: Scope.Closeable
  readonly ledger: Ledger["Service"]
}

const start = Effect.fnUntraced(function* (world: World, id: number) {
  const scope = yield* Scope.make()
  yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
  const kept = yield* ledger
  const node = Replica.layer(Battery).pipe(
    Layer.provide(Layer.succeed(Ledger, kept)),
    Layer.provide(Layer.succeed(Member, { id, disk: undefined, init: false })),
    Layer.provide(world.layer)
  )
  yield* Layer.buildWithScope(Layer.fresh(node), scope)
  return { scope, ledger: kept } as Node
})
/** Starts nodes, and waits until the client has a session that all of them take. */
const startAll = Effect.fnUntraced(function* (world: World, ids: ReadonlyArray<number> = NODES) {
  const nodes = yield* Effect.forEach(ids, (id) => start(world, id))
  const warm = Kv.use((kv) => kv.read({ key: "warm" }, Quorum.all(), { to: ids }))
  yield* Effect.retry(warm, Schedule.spaced(20))
  return nodes
})
const stop = ({ scope }: Node) => Scope.close(scope, Exit.void)

const get = (key: string, policy: Quorum.Policy<any, any>, to?: ReadonlyArray<number>) =>
  Kv.use((kv) => kv.get({ key }, policy, to === undefined ? {} : { to }))
const LONG_MS = 20_000

describe.each<Kind>(["memory", "http2"])("over %s", (kind) => {
  const world = makeWorld(kind, { size: 3 })
  const client = (it: World) => Kv.layer.pipe(Layer.provide(it.client))

  const test = (name: string, body: (it: World) => Effect.Effect<void, any, Kv | Scope.Scope>) =>
    it.live(name, () =>
      Effect.gen(function* () {
        const at = yield* world
        yield* body(at).pipe(Effect.provide(client(at)))
      }).pipe(Effect.scoped)
    )
  const calls = <R>(count: number, one: (i: number) => Effect.Effect<void, any, R>) =>
    Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      one,
      { discard: true }
    )

  test("B1 SimpleBroadcastCall: every node's reply is the value, ten times", (at) =>
    Effect.gen(function* () {
      yield* startAll(at)
      yield* calls(10, (i) =>
        Effect.map(get(`value ${i}`, Quorum.all()), (replies: ReadonlyArray<any>) =>
          assert.deepStrictEqual(textsOf(replies), Array(3).fill(`value ${i}`))
        )
      )
    }))

  test("B2 SimpleBroadcastTo: a handler tells the leader alone, and the leader replies", (at) =>
    Effect.gen(function* () {
      yield* startAll(at)
      yield* calls(10, (i) =>
        Effect.map(get(`to leader ${i}`, Quorum.first()), (reply: any) =>
          assert.strictEqual(textOf(reply), `node ${LEADER}`)
        )
      )
    }))

  test("B3 SimpleBroadcastCancel: one finds it, the others stop, and all say so", (at) =>
    Effect.gen(function* () {
      yield* startAll(at)
      yield* calls(10, (i) =>
        Effect.map(get(`search ${i}`, Quorum.all()), (replies: ReadonlyArray<any>) =>
          assert.deepStrictEqual(textsOf(replies).sort(), ["0", "0", "1"])
        )
      )
    }))

  const longRunning = (timeoutMs: number) =>
    Effect.flip(Kv.use((kv) => kv.read({ key: "long" }, Quorum.all(), { timeoutMs })))
  /** Waits until each of these nodes has seen `count` cancellations. */
  const cancelled = (nodes: ReadonlyArray<Node>, count: number) =>
    Effect.forEach(nodes, ({ ledger }) =>
      Effect.repeat(Ref.get(ledger.cancelled), {
        schedule: Schedule.spaced(5),
        until: (n) => n === count
      })
    )
  const begun = (nodes: ReadonlyArray<Node>, count: number) =>
    Effect.forEach(nodes, ({ ledger }) =>
      Effect.repeat(Ref.get(ledger.running), {
        schedule: Schedule.spaced(5),
        until: (n) => n === count
      })
    )

  test("B4 BroadcastCancel: a deadline reaches the tasks of all nodes, three rounds", (at) =>
    Effect.gen(function* () {
      const nodes = yield* startAll(at)
      for (let round = 1; round <= 3; round++) {
        yield* longRunning(100)
        yield* cancelled(nodes, round)
        const values = yield* Kv.use((kv) => kv.read({ key: "count" }, Quorum.all()))
        assert.deepStrictEqual(textsOf(values), Array(3).fill(`${round}`))
      }
    }))

  test("B5 BroadcastCancelOneSrvDown: the same without node 3, ten rounds", (at) =>
    Effect.gen(function* () {
      const nodes = yield* startAll(at)
      yield* stop(nodes[2]!)
      for (let round = 1; round <= 10; round++) {
        yield* longRunning(40)
        yield* cancelled(nodes.slice(0, 2), round)
      }
      const values = yield* Kv.use((kv) => kv.read({ key: "count" }, Quorum.majority()))
      assert.deepStrictEqual(textsOf(values), ["10", "10"])
    }))

  test("B6 BroadcastCancelOneSrvFails: node 3 stops after the call was cancelled", (at) =>
    Effect.gen(function* () {
      const nodes = yield* startAll(at)
      yield* longRunning(100)
      yield* stop(nodes[2]!)
      yield* cancelled(nodes.slice(0, 2), 1)
      const values = yield* Kv.use((kv) => kv.read({ key: "count" }, Quorum.majority()))
      assert.deepStrictEqual(textsOf(values), ["1", "1"])
    }))

  test("B7 BroadcastCancelOneClientFails: a client that closes cancels what it asked for", (at) =>
    Effect.gen(function* () {
      const nodes = yield* startAll(at)
      const scope = yield* Scope.make()
      const other = yield* Layer.buildWithScope(Layer.fresh(client(at)), scope)
      const ask = Kv.use((kv) => kv.read({ key: "long" }, Quorum.all(), { timeoutMs: LONG_MS }))
      yield* Effect.forkIn(Effect.provide(ask, other), scope)
      yield* begun(nodes, 1)
      yield* Scope.close(scope, Exit.void)
      yield* cancelled(nodes, 1)
      const values = yield* Kv.use((kv) => kv.read({ key: "count" }, Quorum.all()))
      assert.deepStrictEqual(textsOf(values), ["1", "1", "1"])
    }))

  test("B8 OrderingSendToOneSrv: a late leader, a client of one node: no phase runs early", (at) =>
    Effect.gen(function* () {
      yield* startAll(at, [2, 3])
      const call = yield* Effect.forkChild(get("ordered", Quorum.first(), [2]))
      yield* start(at, LEADER)
      assert.strictEqual(textOf(yield* Fiber.join(call)), "ordered")
    }))

  test("B9 OrderingSendToAllSrvs: the same with a client of all", (at) =>
    Effect.gen(function* () {
      yield* startAll(at, [2, 3])
      const call = yield* Effect.forkChild(get("ordered", Quorum.majority()))
      yield* start(at, LEADER)
      const replies: ReadonlyArray<any> = yield* Fiber.join(call)
      assert.deepStrictEqual(textsOf(replies), ["ordered", "ordered"])
    }))

  test("B10 OrderingDoesNotInterfere: methods without phases answer beside it", (at) =>
    Effect.gen(function* () {
      yield* startAll(at)
      yield* calls(10, (i) =>
        Effect.gen(function* () {
          const [plain, got] = yield* Effect.all(
            [Kv.use((kv) => kv.plain(1, { key: `p${i}` })), get(`g${i}`, Quorum.majority())],
            { concurrency: 2 }
          )
          assert.strictEqual(textOf(plain), `p${i}`)
          assert.deepStrictEqual(textsOf(got as ReadonlyArray<any>), [`g${i}`, `g${i}`])
        })
      )
    }))

  const ownValue = (to?: ReadonlyArray<number>) =>
    calls(102, (i) =>
      Effect.map(get(`own ${i}`, Quorum.first(), to), (reply: any) =>
        assert.strictEqual(textOf(reply), `own ${i}`)
      )
    )

  test("B11 BroadcastCallRace: 1 + 101 calls, each gets its own value", (at) =>
    Effect.andThen(startAll(at), ownValue()))

  test("B12 ClientKnowsOnlyOneServer: 1 + 101 calls to node 1 alone", (at) =>
    Effect.andThen(startAll(at), ownValue([1])))

  test("B13 OneServerIsDown: the leader never starts, the client knows node 2 alone", (at) =>
    Effect.andThen(startAll(at, [2, 3]), ownValue([2])))

  it.live("B21 Authentication: a client with a key is heard ten times, one without never", () =>
    Effect.gen(function* () {
      const { client, keyless } = yield* startSigning(kind, [], { size: 3, faults: "crash" })
      const submit = (text: string) =>
        Proofs.use((it) => it.submit({ text }, Quorum.all())).pipe(
          Effect.map((replies) => replies.map(({ message }) => message.text))
        )
      const having = (layer: typeof client) => Proofs.layer.pipe(Layer.provide(layer))
      const ten = calls(10, (i) =>
        Effect.map(submit(`${i}`), (got) => assert.deepEqual(got, [`${i}`, `${i}`, `${i}`]))
      )
      const warm = Effect.retry(submit("warm"), Schedule.spaced(20))
      yield* Effect.andThen(warm, ten).pipe(Effect.provide(having(client)))
      const failed = yield* Effect.flip(submit("mine")).pipe(Effect.provide(having(keyless)))
      assert.match(String(failed), /bad_signature/)
    }).pipe(Effect.scoped)
  )
})
