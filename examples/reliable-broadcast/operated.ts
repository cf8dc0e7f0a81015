/**
 * A node of a group whose members change: `operated.ts FILE ID DATA_FOLDER NEXT_FILE`. SIGHUP
 * announces the group file NEXT_FILE as the next epoch, SIGUSR2 activates it.
 */
import { readFileSync } from "node:fs"
import { Effect, Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { type GroupConfig, Replica } from "quorate/server"
import { Bracha } from "./bracha.ts"

const [file, id, dataFolder, next] = process.argv.slice(2) as [string, string, string, string]
const readNext = (): GroupConfig => JSON.parse(readFileSync(next, "utf8"))
/** What the operator did wrong is told, and ends nothing. */
const run = (step: Effect.Effect<void, Error>): unknown =>
  Effect.runFork(Effect.catch(step, (error) => Effect.logError(error.message)))

const member = NodeGroup.layerMember(file, Number(id), {
  dataFolder,
  init: true,
  operator: (it) => {
    process.on("SIGHUP", () => run(Effect.suspend(() => it.announce(readNext()))))
    process.on("SIGUSR2", () => run(Effect.suspend(() => it.activate(readNext().epoch ?? 1))))
  }
})

runMain(Layer.launch(Replica.layer(Bracha).pipe(Layer.provide(member))))
