/** What a process counts, scraped over HTTP from nodes and clients at work. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Layer } from "effect"
import { MetricsFailed } from "../../src/runtime/Errors.ts"
import * as Metrics from "../../src/runtime/platform-node/Metrics.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { readExposition } from "../support/exposition.ts"
import { Bracha, Kv, ReliableBroadcast } from "./support/services.ts"
import { type Kind, makeWorld } from "./support/worlds.ts"

const NODES = [1, 2, 3, 4]
const METHOD = "rb.v1.ReliableBroadcast/Broadcast"
const ECHO = "rb.v1.ReliableBroadcast/Echo"

/** Metrics on a port that was free. */
const metricsOn = Effect.fnUntraced(function* (port: number) {
  const url = yield* Deferred.make<string>()
  const listening = (it: string): void => void Deferred.doneUnsafe(url, Effect.succeed(it))
  const context = yield* Layer.build(Metrics.layerPrometheus({ port, listening }))
  return { context, url: yield* Deferred.await(url) }
})
const scrape = (url: string) =>
  Effect.promise(async () => {
    const response = await fetch(url)
    assert.strictEqual(response.status, 200)
    assert.match(response.headers.get("content-type")!, /^text\/plain; version=0\.0\.4/)
    return readExposition(await response.text())
  })

describe.each<Kind>(["http2", "unary"])("metrics, over %s", (kind) => {
  it.live("count every call, word and reply, by method, phase and code", () =>
    Effect.gen(function* () {
      const { node, client } = yield* makeWorld(kind, { size: 4, faults: "byzantine" })
      const { context, url } = yield* metricsOn(0)
      yield* Effect.gen(function* () {
        for (const id of NODES) yield* Layer.build(node(id, Bracha))
        yield* Effect.gen(function* () {
          // A node that comes late has forgotten the first session, and takes the next.
          const all = (text: string) =>
            ReliableBroadcast.use((it) => it.broadcast({ text }, Quorum.all()))
          yield* Effect.retry(all("first"), { times: 20 })
          for (let i = 0; i < 20; i++) yield* all(`${i}`)
          check(yield* scrape(url))
        }).pipe(Effect.provide(Layer.provide(ReliableBroadcast.layer, client)))
      }).pipe(Effect.provideContext(context))
    }).pipe(Effect.scoped)
  )
})

const check = (families: ReturnType<typeof readExposition>): void => {
  const of = (name: string, labels: string): number | undefined => {
    const family = name.replace(/_(bucket|sum|count)$/, "")
    const { series } = families.get(families.has(name) ? name : family)!
    return series.get(`${name}{${labels}}`)
  }
  const ok = of("quorate_client_calls_total", `group="demo",method="${METHOD}",code="ok"`)
  assert.strictEqual(ok, 21)
  const calls = `group="demo",method="${METHOD}"`
  assert.isAtLeast(of("quorate_client_call_duration_seconds_count", calls)!, 21)
  assert.isAbove(of("quorate_client_call_duration_seconds_sum", calls)!, 0)
  for (const id of NODES) {
    const here = `group="demo",node="${id}"`
    assert.isAtLeast(of("quorate_node_requests_total", `${here},method="${METHOD}"`)!, 21)
    assert.isAtLeast(of("quorate_node_replies_total", `${here},code="ok"`)!, 21)
    const timed = of("quorate_node_call_duration_seconds_count", `${here},method="${METHOD}"`)
    assert.isAtLeast(timed!, 21)
    assert.isAtLeast(of("quorate_node_words_said_total", `${here},phase="${ECHO}"`)!, 21)
    assert.isAtLeast(of("quorate_node_words_sent_total", `${here},phase="${ECHO}"`)!, 40)
    assert.isAtLeast(of("quorate_node_words_received_total", `${here},phase="${ECHO}"`)!, 40)
    assert.strictEqual(of("quorate_node_words_said_total", `${here},phase="other"`), 0)
    assert.isDefined(of("quorate_node_table_entries", `${here},table="sessions"`))
    assert.isDefined(of("quorate_node_table_bytes", `${here},table="tailBytes"`))
    assert.strictEqual(of("quorate_node_queue_entries", `${here},queue="inbox"`), 0)
    const peer = `${here},peer="${id === 1 ? 2 : 1}"`
    assert.strictEqual(of("quorate_node_link_up", peer), 1)
    assert.isAbove(of("quorate_node_link_sent_bytes_total", peer)!, 1_000)
    assert.isAbove(of("quorate_node_link_received_bytes_total", peer)!, 1_000)
    assert.isDefined(of("quorate_node_link_unacknowledged_bytes", peer))
  }
  assert.isAbove(families.get("process_resident_memory_bytes")!.series.size, 0)
}

describe("the endpoint for Prometheus", () => {
  it.live("serves one path to GET and HEAD, on loopback, and nothing else", () =>
    Effect.gen(function* () {
      const { url } = yield* metricsOn(0)
      assert.match(url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/)
      const ask = (path: string, method: string) =>
        Effect.promise(() => fetch(new URL(path, url), { method }))
      assert.strictEqual((yield* ask("/", "GET")).status, 404)
      assert.strictEqual((yield* ask("/metrics", "POST")).status, 405)
      const head = yield* ask("/metrics?x=1", "HEAD")
      assert.strictEqual(head.status, 200)
      assert.strictEqual(yield* Effect.promise(() => head.text()), "")
    }).pipe(Effect.scoped)
  )

  it.live("says where a port is taken, and what to do", () =>
    Effect.gen(function* () {
      const { url } = yield* metricsOn(0)
      const failed = yield* Effect.flip(metricsOn(Number(new URL(url).port)))
      assert.instanceOf(failed, MetricsFailed)
      assert.match(failed.message, /^metrics at 127\.0\.0\.1:\d+: .*; give another port/)
    }).pipe(Effect.scoped)
  )

  it.live("counts a quorum call's failures too, and one that was given up", () =>
    Effect.gen(function* () {
      const { client } = yield* makeWorld("memory", { size: 3 })
      const { context, url } = yield* metricsOn(0)
      yield* Effect.gen(function* () {
        const read = Kv.use((it) => it.read({ key: "a" }, undefined, { timeoutMs: 20 }))
        yield* Effect.flip(read)
        yield* Effect.timeoutOption(
          Kv.use((it) => it.read({ key: "a" })),
          10
        )
        const { series } = (yield* scrape(url)).get("quorate_client_calls_total")!
        const of = (code: string) =>
          series.get(
            `quorate_client_calls_total{group="demo",method="kv.v1.Kv/Read",code="${code}"}`
          )
        assert.strictEqual(of("deadline_exceeded"), 1, [...series.keys()].join())
        assert.strictEqual(of("interrupted"), 1)
      }).pipe(Effect.provide(Layer.provide(Kv.layer, client)), Effect.provideContext(context))
    }).pipe(Effect.scoped)
  )
})
