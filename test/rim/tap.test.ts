/** What a tap takes down of real nodes and clients, and as a stream. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer, Stream } from "effect"
import * as Quorum from "../../src/quorum/Policy.ts"
import * as Observe from "../../src/runtime/Observe.ts"
import { spaceTime } from "../../src/testing/spaceTime.ts"
import { Bracha, ReliableBroadcast } from "./support/services.ts"
import { type Kind, makeWorld } from "./support/worlds.ts"

const NODES = [1, 2, 3, 4]

describe.each<Kind>(["memory", "http2", "unary"])("a tap, over %s", (kind) => {
  it.live("has both ends of every message, under the same names", () =>
    Effect.gen(function* () {
      const tap = new Observe.Tap()
      const { node, client } = yield* makeWorld(kind, { size: 4, faults: "byzantine" })
      const observed = Observe.layerTap(tap)
      for (const id of NODES) yield* Effect.provide(Layer.build(node(id, Bracha)), observed)
      const replied = yield* Observe.events(tap).pipe(
        Stream.filter((event) => event.kind === "received" && event.message === "reply"),
        Stream.take(4),
        Stream.runCollect,
        Effect.forkScoped({ startImmediately: true })
      )
      yield* Effect.gen(function* () {
        const all = ReliableBroadcast.use((it) => it.broadcast({ text: "a" }, Quorum.all()))
        yield* Effect.retry(all, { times: 20 })
        yield* all
        assert.lengthOf(yield* Fiber.join(replied), 4)
      }).pipe(
        Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(client), Layer.provide(observed)))
      )
      const events = tap.events()
      const sent = events.filter((it) => it.kind === "sent" && it.message === "request")
      assert.isAtLeast(sent.length, 8)
      const [first] = sent
      assert.match(String(first!.at), /^client [0-9a-f]{8}$/)
      const arrows = spaceTime(events).match(/Broadcast [0-9a-f]{6}\/\d+: client [0-9a-f]{8} to/g)
      assert.lengthOf(arrows ?? [], sent.length)
      const last = events.filter((it) => it.kind === "received" && it.message === "reply").at(-1)
      const here = events.filter(
        (it) => "lane" in it && last !== undefined && "lane" in last && it.lane === last.lane
      )
      for (const id of NODES) {
        const kinds = new Set(here.filter(({ at }) => at === id).map(({ kind: it }) => it))
        for (const kind of ["received", "handled", "said", "sent", "final"] as const) {
          assert.isTrue(kinds.has(kind), `node ${id}: ${kind}`)
        }
      }
    }).pipe(Effect.scoped)
  )
})
