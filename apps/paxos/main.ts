/**
 * `npm start`: three replicas on this machine, and a client that executes the lines of standard
 * input: `put KEY VALUE`, `get KEY`, `del KEY`, `cas KEY OLD NEW`.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { startReplicas } from "./replicas.ts"
import { runSession } from "./session.ts"

const REPLICAS = 3

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "quorate-paxos-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const program = Effect.gen(function* () {
  const folder = yield* temporaryFolder
  const { groupFile } = yield* startReplicas(folder, REPLICAS)
  const client = KeyValue.layer.pipe(Layer.provide(NodeGroup.layerFile(groupFile)))
  const { errors, summary } = yield* runSession.pipe(Effect.provide(client))
  console.error(summary.lines().join("\n"))
  if (errors > 0) process.exitCode = 1
})

program.pipe(Effect.scoped, runMain)
