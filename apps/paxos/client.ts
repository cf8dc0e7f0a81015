/** A client of running replicas. `node --conditions=quorate-source apps/paxos/client.ts --help` */
import { Effect, Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { conclude, endWithReader } from "./conclude.ts"
import { options } from "./options.ts"
import { runSession, standardConsole } from "./session.ts"

const { group } = options({
  usage: "node --conditions=quorate-source apps/paxos/client.ts --group FILE < LINES",
  about: "Executes the lines of standard input: put KEY VALUE, get KEY, del KEY, cas KEY OLD NEW.",
  flags: { group: { type: "string", help: "the group file" } }
})

endWithReader(process.stdout)
runSession(standardConsole()).pipe(
  Effect.provide(KeyValue.layer.pipe(Layer.provide(NodeGroup.layerFile(group)))),
  Effect.andThen(conclude),
  runMain
)
