/** The programs of docs/guide/observing.md. */
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
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
})
