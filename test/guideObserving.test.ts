/** The programs of docs/guide/observing.md. */
import { once } from "node:events"
import { readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { FetchHttpClient } from "effect/http"
import { OtlpSerialization, OtlpTracer } from "effect/observability"
import { Observe, Quorum } from "quorate"
import { Metrics, NodeGroup } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { spaceTime } from "quorate/testing"
import { Bracha } from "../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { freePorts, temporaryFolder } from "./support/processes.ts"

const scrapedNode = (groupFile: string, id: number, port: number) =>
  Replica.layer(Bracha).pipe(
    Layer.provide(NodeGroup.layerMember(groupFile, id)),
    Layer.provide(Metrics.layerPrometheus({ port }))
  )

const tap = new Observe.Tap()
const tappedNode = (groupFile: string, id: number) =>
  Replica.layer(Bracha).pipe(
    Layer.provide(NodeGroup.layerMember(groupFile, id)),
    Layer.provide(Observe.layerTap(tap))
  )
const draw = (file: string) =>
  writeFileSync(file, spaceTime(tap.events(), { title: "what happened" }))

/** To an OpenTelemetry collector, e.g. at http://127.0.0.1:4318. */
const openTelemetry = (collector: string, serviceName: string) =>
  OtlpTracer.layer({ url: `${collector}/v1/traces`, resource: { serviceName } }).pipe(
    Layer.provide(Layer.merge(OtlpSerialization.layerJson, FetchHttpClient.layer))
  )
const tracedNode = (groupFile: string, id: number, collector: string) =>
  Replica.layer(Bracha).pipe(
    Layer.provide(NodeGroup.layerMember(groupFile, id)),
    Layer.provide(openTelemetry(collector, `node ${id}`))
  )
const tracedCalls = (groupFile: string, collector: string) =>
  ReliableBroadcast.use((rb) => rb.broadcast({ text: "a" })).pipe(
    Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(groupFile)))),
    Effect.provide(openTelemetry(collector, "client")),
    // Of the calls that are part of no span of the program: all. Default: one in a hundred.
    Effect.provide(Observe.layerSampleRate(1))
  )

/** A group of four on ports that were free. */
const writeGroup = async (): Promise<{ readonly folder: string; readonly file: string }> => {
  const folder = temporaryFolder()
  const ports = await freePorts(4)
  const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
  const file = join(folder, "group.json")
  writeFileSync(file, JSON.stringify({ group: "rb", faults: "byzantine", durable: false, nodes }))
  return { folder, file }
}

describe("a group that is observed", () => {
  it.live("is scraped, and drawn", () =>
    Effect.gen(function* () {
      const { folder, file } = yield* Effect.promise(writeGroup)
      const [port] = yield* Effect.promise(() => freePorts(1))
      yield* Layer.build(scrapedNode(file, 1, port!))
      for (const id of [2, 3, 4]) yield* Layer.build(Layer.fresh(tappedNode(file, id)))
      const client = ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(file)))
      const call = ReliableBroadcast.use((rb) =>
        rb.broadcast(
          { text: "a" },
          Quorum.matching((it) => it.text)
        )
      )
      assert.strictEqual((yield* Effect.provide(call, client)).text, "a")
      const metrics = yield* Effect.promise(async () =>
        (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
      )
      assert.include(metrics, 'quorate_node_table_entries{group="rb",node="1",table="sessions"}')
      draw(join(folder, "run.svg"))
      assert.include(readFileSync(join(folder, "run.svg"), "utf8"), "node 4")
    }).pipe(Effect.scoped)
  )

  it.live("sends one trace of client and nodes to a collector", () =>
    Effect.gen(function* () {
      const { file } = yield* Effect.promise(writeGroup)
      const { url, spans } = yield* collector
      yield* Effect.gen(function* () {
        for (const id of [1, 2, 3, 4]) yield* Layer.build(Layer.fresh(tracedNode(file, id, url)))
        assert.strictEqual((yield* tracedCalls(file, url)).text, "a")
      }).pipe(Effect.scoped)
      // All that is left was sent when the scopes closed.
      const names = new Set(spans.map(({ name }) => name.split("/")[1]))
      assert.deepStrictEqual(names, new Set(["Broadcast", "Echo", "Ready"]))
      assert.strictEqual(new Set(spans.map(({ traceId }) => traceId)).size, 1)
      const services = new Set(spans.map(({ service }) => service))
      assert.isTrue(services.has("client") && services.size >= 4, [...services].join())
    }).pipe(Effect.scoped)
  )
})

interface Exported {
  readonly name: string
  readonly traceId: string
  readonly service: string
}

/** What a collector gets, as OTLP writes it in JSON. */
const collector = Effect.acquireRelease(
  Effect.promise(async () => {
    const spans: Array<Exported> = []
    const server = createServer(async (request, response) => {
      let text = ""
      for await (const chunk of request) text += chunk
      for (const { resource, scopeSpans } of JSON.parse(text).resourceSpans) {
        const named = resource.attributes.find((it: any) => it.key === "service.name")
        const service: string = named.value.stringValue
        for (const { name, traceId } of scopeSpans.flatMap((it: any) => it.spans)) {
          spans.push({ name, traceId, service })
        }
      }
      response.setHeader("content-type", "application/json").end("{}")
    })
    await once(server.listen(0, "127.0.0.1"), "listening")
    return { server, spans, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
  }),
  ({ server }) => Effect.promise(async () => void server.close())
)
