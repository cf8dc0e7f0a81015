/** A client of running replicas. `node --conditions=quorate-source apps/paxos/client.ts --help` */
import { Effect, Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { conclude, endWithReader } from "./conclude.ts"
import { options } from "./options.ts"
import { runSession, standardConsole } from "./session.ts"

const { group, key } = options({
  usage: "node --conditions=quorate-source apps/paxos/client.ts --group FILE [--key FILE] < LINES",
  about: "Executes the lines of standard input: put KEY VALUE, get KEY, del KEY, cas KEY OLD NEW.",
  flags: {
    group: { type: "string", help: "the group file" },
    key: { type: "string", optional: true, help: "its private key, where clients are listed" }
  }
})

endWithReader(process.stdout)
runSession(standardConsole()).pipe(
  Effect.provide(KeyValue.layer.pipe(Layer.provide(NodeGroup.layerFile(group, { key })))),
  Effect.andThen(conclude),
  runMain
)
