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
import { conclude, endWithReader } from "./conclude.ts"
import { options } from "./options.ts"
import { type Replicas, startReplicas } from "./replicas.ts"
import { runSession, standardConsole } from "./session.ts"

options({
  usage: "npm start < LINES",
  about:
    "Starts three replicas on this machine and executes the lines of standard input:\n" +
    "put KEY VALUE, get KEY, del KEY, cas KEY OLD NEW. On a terminal it is a prompt.",
  flags: {}
})

const REPLICAS = 3

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "quorate-paxos-"))),
  (folder) => Effect.sync(() => rmSync(folder, { recursive: true, force: true }))
)

const program = Effect.gen(function* () {
  const startMs = performance.now()
  const folder = yield* temporaryFolder
  const replicas = yield* startReplicas(folder, REPLICAS, (what) => console.error(what))
  console.error(describe(replicas, performance.now() - startMs))
  const client = KeyValue.layer.pipe(Layer.provide(NodeGroup.layerFile(replicas.groupFile)))
  return yield* runSession(standardConsole()).pipe(Effect.provide(client))
}).pipe(Effect.scoped)

/** What it takes to break it: who runs where. */
const describe = ({ groupFile, processes }: Replicas, ms: number): string => {
  const who = processes.map(({ pid }, i) => `node ${i + 1} is process ${pid}`).join(", ")
  return `${processes.length} replicas ready after ${Math.round(ms)} ms: ${who}; group ${groupFile}`
}

endWithReader(process.stdout)
program.pipe(
  Effect.andThen(conclude),
  Effect.catchTag("ReplicasFailed", (failed) =>
    Effect.sync(() => {
      console.error(failed.message)
      process.exitCode = 1
    })
  ),
  runMain
)
