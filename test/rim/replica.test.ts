/** A node as a layer: what it needs, what its handlers' Effects may do, and how it fails. */
import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Deferred, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import type { Disk } from "../../src/link/ports.ts"
import type { CallFailed } from "../../src/quorum/client/Errors.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { ReplicaFailed } from "../../src/runtime/Errors.ts"
import { Failed } from "../../src/runtime/Failed.ts"
import { Member } from "../../src/runtime/Member.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { Bracha, Kv, ReliableBroadcast } from "./support/services.ts"
import { type Kind, makeWorld, type World } from "./support/worlds.ts"

/** What a handler of these tests needs of its layer. */
class Ledger extends Context.Service<
  Ledger,
  { readonly entered: Deferred.Deferred<void>; readonly left: Deferred.Deferred<void> }
>()("test/Ledger") {}

const ONE = Uint8Array.of(1)
/** `read` of "wait" stays open, and tells the ledger when it begins and when it is interrupted. */
const Waiting = Kv.protocol({
  put: ({ wait }) => wait,
  get: ({ wait }) => wait,
  info: ({ reply }) => reply({ value: ONE }),
  hint: ({ ignore }) => ignore("nothing"),
  tell: ({ ignore }) => ignore("nothing"),
  plain: ({ reply }) => reply({ value: ONE }),
  accept: ({ wait }) => wait,
  learn: ({ wait }) => wait,
  read: ({ message, reply }) =>
    Effect.gen(function* () {
      const { entered, left } = yield* Ledger
      if (message.key === "fail") {
        return yield* new Failed({ code: "conflict", detail: "as it was told" })
      }
      if (message.key === "throw") throw new Error("a bug in a handler")
      if (message.key !== "wait") return reply({ value: ONE })
      yield* Deferred.succeed(entered, undefined)
      return yield* Effect.onInterrupt(Effect.never, () => Deferred.succeed(left, undefined))
    })
})

const makeLedger = Effect.gen(function* () {
  const entered = yield* Deferred.make<void>()
  const left = yield* Deferred.make<void>()
  return Ledger.of({ entered, left })
})

/** Node 1 of the world, with a ledger; the others are away. */
const waitingNode = ({ layer }: World, ledger: Ledger["Service"]) =>
  Replica.layer(Waiting).pipe(
    Layer.provide(Layer.succeed(Ledger, ledger)),
    Layer.provide(Layer.succeed(Member, { id: 1, disk: undefined, init: false })),
    Layer.provide(layer)
  )
const read = (key: string) =>
  Kv.use((it) => it.read({ key }, Quorum.first(), { to: TO_NODE_1, timeoutMs: 20_000 }))
const TO_NODE_1 = [1]
const KINDS: ReadonlyArray<Kind> = ["memory", "http2", "unary"]

describe.each(KINDS)("an entry handler's Effect, over %s", (kind) => {
  const world = makeWorld(kind, { size: 3 })

  it.live("has the services of its layer, and its failure travels", () =>
    Effect.gen(function* () {
      const it = yield* world
      yield* Layer.build(waitingNode(it, yield* makeLedger))
      const outcomeOf = (key: string) =>
        Effect.map(Effect.flip(read(key)), (failed) => (failed as CallFailed).outcomes[0])
      yield* Effect.gen(function* () {
        assert.deepStrictEqual((yield* read("a")).value, ONE)
        const failed = yield* outcomeOf("fail")
        assert.strictEqual(failed?.code, "conflict")
        assert.strictEqual(failed?.detail, "as it was told")
        assert.strictEqual((yield* outcomeOf("throw"))?.code, "poisoned")
        assert.deepStrictEqual((yield* read("a")).value, ONE)
      }).pipe(Effect.provide(Layer.provide(Kv.layer, it.client)))
    }).pipe(Effect.scoped)
  )

  it.live("is interrupted when its client no longer waits", () =>
    Effect.gen(function* () {
      const it = yield* world
      const ledger = yield* makeLedger
      yield* Layer.build(waitingNode(it, ledger))
      yield* Effect.gen(function* () {
        const call = yield* Effect.forkChild(read("wait"), { startImmediately: true })
        yield* Deferred.await(ledger.entered)
        yield* Fiber.interrupt(call)
        yield* Deferred.await(ledger.left)
      }).pipe(Effect.provide(Layer.provide(Kv.layer, it.client)))
    }).pipe(Effect.scoped)
  )

  it.live("is interrupted when its node stops, and the client is told to try again", () =>
    Effect.gen(function* () {
      const it = yield* world
      const ledger = yield* makeLedger
      const scope = yield* Scope.make()
      yield* Layer.buildWithScope(waitingNode(it, ledger), scope)
      yield* Effect.gen(function* () {
        const call = yield* Effect.forkChild(read("wait"), { startImmediately: true })
        yield* Deferred.await(ledger.entered)
        yield* Scope.close(scope, Exit.void)
        yield* Deferred.await(ledger.left)
        assert.isUndefined(call.pollUnsafe())
        yield* Layer.build(waitingNode(it, yield* makeLedger))
        const failed = (yield* Effect.flip(Fiber.join(call))) as CallFailed
        assert.strictEqual(failed.outcomes[0]?.code, "session_expired")
      }).pipe(Effect.provide(Layer.provide(Kv.layer, it.client)))
    }).pipe(Effect.scoped)
  )
})

describe("a node that cannot run", () => {
  const failureOf = (layer: Layer.Layer<never, ReplicaFailed>) =>
    Effect.map(Effect.flip(Effect.scoped(Layer.build(layer))), (failed) => {
      assert.instanceOf(failed, ReplicaFailed)
      return failed.message
    })

  it.effect("is no member", () =>
    Effect.gen(function* () {
      const { node } = yield* makeWorld("memory", { size: 3 })
      assert.strictEqual(
        yield* failureOf(node(4, Bracha)),
        'node 4 of group "demo": the group has no such node; start one of its nodes: 1, 2, 3'
      )
    })
  )

  it.effect("has nowhere to write", () =>
    Effect.gen(function* () {
      const { node } = yield* makeWorld("memory", { size: 3, durable: true })
      assert.match(
        yield* failureOf(node(1, Bracha)),
        /is durable, and this node has no data folder/
      )
    })
  )

  it.effect("is given a protocol twice", () =>
    Effect.gen(function* () {
      const { node } = yield* makeWorld("memory", { size: 3 })
      assert.match(yield* failureOf(node(1, Bracha, Bracha)), /ReliableBroadcast is given twice/)
    })
  )

  it.effect("stands at an address that is taken", () =>
    Effect.gen(function* () {
      const { node } = yield* makeWorld("memory", { size: 3 })
      yield* Layer.build(node(1, Bracha))
      assert.match(yield* failureOf(node(1, Bracha)), /address \S+: the address is in use; /)
    }).pipe(Effect.scoped)
  )
})

describe("a durable node", () => {
  const member = (world: World, disk: Disk, halted: (failure: ReplicaFailed) => void = () => {}) =>
    Replica.layer(Bracha).pipe(
      Layer.provide(Layer.succeed(Member, { id: 1, disk, init: true, halted })),
      Layer.provide(world.layer)
    )
  const alone = { size: 1, f: 0, durable: true }
  const say = ReliableBroadcast.use((rb) => rb.broadcast({ text: "a" }))

  it.live("answers from its memory after a stop", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld("memory", alone)
      const disk = new MemoryDisk({ later: setImmediate })
      yield* Effect.gen(function* () {
        for (let life = 0; life < 3; life++) {
          const reply = yield* say.pipe(Effect.provide(Layer.fresh(member(world, disk))))
          assert.strictEqual(reply.text, "a")
        }
      }).pipe(Effect.provide(Layer.provide(ReliableBroadcast.layer, world.client)))
    })
  )

  it.live("says nothing more once its disk failed, and tells the process", () =>
    Effect.gen(function* () {
      const world = yield* makeWorld("memory", alone)
      const halted = yield* Deferred.make<ReplicaFailed>()
      class FullDisk extends MemoryDisk {
        override append(...[, , done]: Parameters<Disk["append"]>): void {
          setImmediate(done, "no space left on device")
        }
      }
      const disk = new FullDisk({ later: setImmediate })
      const node = member(world, disk, (failure) =>
        Deferred.doneUnsafe(halted, Exit.succeed(failure))
      )
      yield* Layer.build(node)
      yield* Effect.forkScoped(
        say.pipe(Effect.provide(Layer.provide(ReliableBroadcast.layer, world.client)))
      )
      const failure = yield* Deferred.await(halted)
      assert.match(failure.message, /^node 1 of group "demo": halted: .*no space left on device; /)
    }).pipe(Effect.scoped)
  )
})

describe("a node in development", () => {
  const Odd = (draw: () => number) =>
    ReliableBroadcast.protocol({
      broadcast: ({ message, forward }) => forward.echo(message),
      echo: ({ message, forward }) => forward.ready({ text: `${message.text}${draw()}` }),
      ready: ({ message, reply }) => reply({ text: message.text })
    })
  const answer = (env: { readonly NODE_ENV?: string }) =>
    Effect.gen(function* () {
      let drawn = 0
      const world = yield* makeWorld("memory", { size: 1, f: 0 })
      const node = world.node(
        1,
        Odd(() => ++drawn)
      )
      yield* Layer.build(Layer.provide(node, ConfigProvider.layer(ConfigProvider.fromUnknown(env))))
      return yield* ReliableBroadcast.use((rb) => rb.broadcast({ text: "a" })).pipe(
        Effect.map(({ text }) => text),
        Effect.catch((failed: CallFailed) => Effect.succeed(failed.message)),
        Effect.provide(Layer.provide(ReliableBroadcast.layer, world.client))
      )
    }).pipe(Effect.scoped)

  it.live("runs handlers of phases twice", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* answer({}), "a1")
      assert.strictEqual(yield* answer({ NODE_ENV: "production" }), "a1")
      assert.match(yield* answer({ NODE_ENV: "development" }), /returned two different directives/)
    })
  )
})
