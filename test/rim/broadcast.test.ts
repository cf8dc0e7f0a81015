/** The main job over each carrier: nodes answer a client by talking to each other. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import { type QuorumCallSpec, quorumCall } from "../../src/quorum/client/QuorumCall.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { ClientLinks } from "../../src/runtime/ClientLinks.ts"
import { methodId } from "../../src/server/Message.ts"
import { Bracha, ReliableBroadcast } from "./support/services.ts"
import { type Kind, makeWorld } from "./support/worlds.ts"

const KINDS: ReadonlyArray<Kind> = ["memory", "http2", "unary", "unary alone"]
const NODES = [1, 2, 3, 4]
const byText = Quorum.matching((d: { readonly text: string }) => d.text)

const say = (text: string, timeoutMs?: number) =>
  ReliableBroadcast.use((rb) =>
    rb.broadcast({ text }, byText, timeoutMs === undefined ? {} : { timeoutMs })
  )

/** Needs the reply of every node. */
const sayToAll = (text: string) =>
  ReliableBroadcast.use((rb) => rb.broadcast({ text }, Quorum.all()))

/** A broadcast without the typed client, so that the call table can be looked at. */
const rawCall: QuorumCallSpec<Uint8Array, Uint8Array> = {
  name: "rb.v1.ReliableBroadcast/Broadcast",
  method: methodId("rb.v1.ReliableBroadcast/Broadcast"),
  call: "multiparty",
  targets: NODES,
  body: () => new Uint8Array([0x0a, 1, 0x61]),
  decode: (body) => body,
  policy: Quorum.matching((body) => body),
  deadlineMs: 5_000
}

describe.each(KINDS)("over %s", (kind) => {
  const world = makeWorld(kind, { size: 4, faults: "byzantine" })

  it.live("four nodes deliver a client's broadcasts, one by one and many at once", () =>
    Effect.gen(function* () {
      const { node, client } = yield* world
      for (const id of NODES) yield* Layer.build(node(id, Bracha))
      yield* Effect.gen(function* () {
        for (let i = 0; i < 3; i++)
          assert.strictEqual((yield* say(`hello ${i}`)).text, `hello ${i}`)
        const texts = Array.from({ length: 200 }, (_, i) => `many ${i}`)
        const all = yield* Effect.forEach(texts, (text) => say(text), { concurrency: "unbounded" })
        assert.deepStrictEqual(
          all.map(({ text }) => text),
          texts
        )
      }).pipe(Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(client))))
    }).pipe(Effect.scoped)
  )

  it.live("a client started before its servers waits for them", () =>
    Effect.gen(function* () {
      const { node, client } = yield* world
      const call = yield* say("early").pipe(
        Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(client))),
        Effect.forkScoped({ startImmediately: true })
      )
      for (const id of NODES) yield* Layer.build(node(id, Bracha))
      assert.strictEqual((yield* Fiber.join(call)).text, "early")
    }).pipe(Effect.scoped)
  )

  it.live("a node is stopped and started again while a client calls", () =>
    Effect.gen(function* () {
      const { node, client } = yield* world
      const scopes = new Map<number, Scope.Closeable>()
      const start = Effect.fnUntraced(function* (id: number) {
        const scope = yield* Scope.make()
        yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
        scopes.set(id, scope)
        yield* Layer.buildWithScope(node(id, Bracha), scope)
      })
      for (const id of NODES) yield* start(id)
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* say("with four")).text, "with four")
        for (const id of [1, 4]) {
          yield* Scope.close(scopes.get(id)!, Exit.void)
          assert.strictEqual((yield* say(`without ${id}`)).text, `without ${id}`)
          yield* start(id)
          // It keeps out of the sessions of its former life: the client opens a new one.
          const replies = yield* Effect.retry(sayToAll(`after ${id}`), Schedule.spaced(20))
          assert.strictEqual(replies.length, 4)
        }
      }).pipe(Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(client))))
    }).pipe(Effect.scoped)
  )

  it.live(
    "interrupting a call leaves nothing in the client, whether its servers are there or not",
    () =>
      Effect.gen(function* () {
        const { client, node } = yield* world
        const context = yield* Layer.build(Layer.provide(ClientLinks.layer, client))
        const links = Context.get(context, ClientLinks)
        const interrupted = Effect.gen(function* () {
          const call = yield* Effect.forkChild(quorumCall(links, rawCall), {
            startImmediately: true
          })
          assert.strictEqual(links.size()["calls"], 1)
          yield* Fiber.interrupt(call)
          assert.strictEqual(links.size()["calls"], 0)
        })
        yield* interrupted
        for (const id of NODES) yield* Layer.build(node(id, Bracha))
        yield* quorumCall(links, rawCall)
        yield* interrupted
        const { sessions, ...rest } = links.size()
        assert.deepStrictEqual(new Set(Object.values(rest)), new Set([0]))
        assert.strictEqual(sessions, 1)
      }).pipe(Effect.scoped)
  )
})
