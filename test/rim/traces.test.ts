/** One trace shows a whole run: the client's span, and below it those of every node and phase. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Option, Schedule, Tracer } from "effect"
import * as Quorum from "../../src/quorum/Policy.ts"
import * as Observe from "../../src/runtime/Observe.ts"
import { CounterNode } from "../../examples/counter/counter.ts"
import { Counter } from "../../examples/counter/gen/counter/v1/counter_quorate.ts"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import { Member } from "../../src/runtime/Member.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { Proofs } from "../support/proving.ts"
import { Bracha, Kv, ReliableBroadcast } from "./support/services.ts"
import { startSigning } from "./support/signing.ts"
import { type Kind, makeWorld } from "./support/worlds.ts"

const NODES = [1, 2, 3, 4]
const SERVICE = "rb.v1.ReliableBroadcast"

/** An exporter as any: it takes spans and tells them when they have ended. */
const exporter = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  const ended = () => spans.filter(({ status }) => status._tag === "Ended")
  return { spans, ended, layer: Layer.succeed(Tracer.Tracer, tracer) }
}
const parentOf = (span: Tracer.NativeSpan): string | undefined =>
  Option.getOrUndefined(span.parent)?.spanId
const until = (what: () => boolean) =>
  Effect.suspend(() => (what() ? Effect.void : Effect.fail("not yet"))).pipe(
    Effect.retry(Schedule.spaced(5)),
    Effect.timeout("5 seconds")
  )
/** A durable group of three whose members take turns as leader. */
const counting = Effect.gen(function* () {
  const { layer, client } = yield* makeWorld("memory", { size: 3, durable: true })
  for (const id of [1, 2, 3]) {
    const member = { id, disk: new MemoryDisk({ later: (run) => setImmediate(run) }), init: true }
    const node = Replica.layer(CounterNode).pipe(
      Layer.provide(Layer.succeed(Member, member)),
      Layer.provide(layer)
    )
    yield* Layer.build(Layer.fresh(node))
  }
  return client
})
const all = ReliableBroadcast.use((it) => it.broadcast({ text: "a" }, Quorum.all()))

describe.each<Kind>(["memory", "http2", "unary"])("a traced call, over %s", (kind) => {
  it.live("is one trace of client, nodes and phases, with links to who spoke", () =>
    Effect.gen(function* () {
      const { spans, ended, layer } = exporter()
      const { node, client } = yield* makeWorld(kind, { size: 4, faults: "byzantine" })
      for (const id of NODES) yield* Effect.provide(Layer.build(node(id, Bracha)), layer)
      yield* Effect.gen(function* () {
        // Untraced; a node that comes late has forgotten the first session.
        yield* Effect.retry(Effect.provide(all, Observe.layerSampleRate(0)), { times: 20 })
        assert.lengthOf(spans, 0)
        yield* Effect.provide(all, Observe.layerSampleRate(1))
      }).pipe(
        Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(client))),
        Effect.provide(layer)
      )
      const [root] = spans
      assert.strictEqual(root!.name, `${SERVICE}/Broadcast`)
      assert.strictEqual(root!.kind, "client")
      yield* until(() => ended().length === 1 + 4 + 8)
      assert.deepStrictEqual(new Set(spans.map(({ traceId }) => traceId)), new Set([root!.traceId]))
      const servers = spans.filter((span) => span.kind === "server")
      assert.deepStrictEqual(
        servers.map((span) => span.attributes.get("quorate.node")).sort(),
        NODES
      )
      for (const span of servers) {
        assert.strictEqual(parentOf(span), root!.spanId)
        const phases = spans.filter((it) => parentOf(it) === span.spanId)
        assert.deepStrictEqual(phases.map(({ name }) => name).sort(), [
          `${SERVICE}/Echo`,
          `${SERVICE}/Ready`
        ])
        const events = span.events.map(([name]) => name)
        assert.deepStrictEqual(events.slice(0, 1), ["request"])
        assert.includeMembers(events, ["final", "replied"])
        for (const phase of phases) {
          const linked = new Set(phase.links.map((link) => link.span.spanId))
          assert.isAtLeast(linked.size, 2)
          for (const id of linked) assert.isTrue(servers.some(({ spanId }) => spanId === id))
          assert.isFalse(linked.has(span.spanId))
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("goes on below the caller's own span, and a handler's Effect below the node's", () =>
    Effect.gen(function* () {
      const { spans, ended, layer } = exporter()
      const { node, client } = yield* makeWorld(kind, { size: 3 })
      const Reading = Kv.protocol({
        put: ({ wait }) => wait,
        get: ({ wait }) => wait,
        info: ({ reply }) => reply({}),
        hint: ({ ignore }) => ignore("nothing"),
        tell: ({ ignore }) => ignore("nothing"),
        plain: ({ fail }) => fail("conflict", "taken"),
        accept: ({ wait }) => wait,
        learn: ({ wait }) => wait,
        read: ({ reply }) => Effect.withSpan(Effect.succeed(reply({})), "look up")
      })
      for (const id of [1, 2, 3]) yield* Effect.provide(Layer.build(node(id, Reading)), layer)
      yield* Effect.gen(function* () {
        const calls = Effect.gen(function* () {
          yield* Kv.use((it) => it.read({ key: "a" }, Quorum.all()))
          yield* Effect.flip(Kv.use((it) => it.plain(1, { key: "a" })))
        })
        yield* calls.pipe(Effect.withSpan("work"), Effect.provide(Observe.layerSampleRate(0)))
        yield* calls.pipe(
          Effect.withSpan("unseen", { sampled: false }),
          Effect.provide(Observe.layerSampleRate(1))
        )
      }).pipe(Effect.provide(Layer.provide(Kv.layer, client)), Effect.provide(layer))
      // work, two calls, three nodes with their Effects, and one node that failed its call
      const root = spans.find(({ name }) => name === "work")
      const seen = () => ended().filter(({ traceId }) => traceId === root?.traceId)
      yield* until(() => seen().length === 1 + 2 + 6 + 1)
      const named = (name: string) => seen().filter((span) => span.name.endsWith(name))
      const [work] = named("work")
      const [read, plain] = seen().filter(({ kind: it }) => it === "client")
      assert.deepStrictEqual([parentOf(read!), parentOf(plain!)], [work!.spanId, work!.spanId])
      const servers = seen().filter(({ kind: it }) => it === "server")
      for (const looked of named("look up")) {
        assert.isTrue(servers.some(({ spanId }) => spanId === parentOf(looked)))
      }
      for (const failed of named("/Plain")) {
        assert.isTrue(failed.status._tag === "Ended" && Exit.isFailure(failed.status.exit))
      }
      // Of the calls that were not sampled there is nothing but what handlers made themselves.
      const others = spans.filter((span) => !seen().includes(span)).map(({ name }) => name)
      assert.deepStrictEqual(new Set(others), new Set(["unseen", "look up"]))
    }).pipe(Effect.scoped)
  )
})

describe("a traced call of a replicated counter", () => {
  it.live("goes on with the slot that holds it, at every member", () =>
    Effect.gen(function* () {
      const { spans, ended, layer } = exporter()
      yield* Effect.gen(function* () {
        const client = yield* counting
        yield* Counter.use((it) => it.add({ amount: 1 })).pipe(
          Effect.provide(Observe.layerSampleRate(1)),
          Effect.provide(Layer.provide(Counter.layer, client))
        )
        const slots = () =>
          ended().filter((it) => String(it.attributes.get("quorate.instance")).startsWith("slots/"))
        const servers = () => slots().filter(({ kind }) => kind === "server")
        // The leader's part is in its span of the call; each other member has one for the slot.
        yield* until(() => servers().length >= 2)
        for (const server of servers()) {
          const leader = ended().find(({ spanId }) => spanId === parentOf(server))
          assert.match(leader?.name ?? "", /\/Add$/)
        }
        const phases = slots().filter((it) => it.kind === "internal" && it.name.endsWith("/Accept"))
        assert.isAtLeast(phases.length, 3)
        assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped)
  )
})

describe("a traced call of signed phases", () => {
  it.live("is answered, and every word's signature holds with and without its context", () =>
    Effect.gen(function* () {
      const { ended, layer } = exporter()
      yield* Effect.gen(function* () {
        const { client } = yield* startSigning("http2", [])
        yield* Effect.gen(function* () {
          const submit = (text: string) =>
            Proofs.use((it) => it.submit({ text }, Quorum.all(), { timeoutMs: 20_000 }))
          // A node that comes late has forgotten the first session.
          yield* Effect.retry(submit("first"), { times: 20 })
          for (const rate of [1, 0, 1]) {
            yield* Effect.provide(submit(`rate ${rate}`), Observe.layerSampleRate(rate))
          }
        }).pipe(Effect.provide(Layer.provide(Proofs.layer, client)))
        yield* until(() => ended().some(({ name }) => name.endsWith("/Prepare")))
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.scoped)
  )
})
