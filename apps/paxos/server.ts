/** One replica as a process. `node --conditions=quorate-source apps/paxos/server.ts --help` */
import { Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { options } from "./options.ts"
import { Paxos } from "./protocol.ts"

const { group, id, data, init, key } = options({
  usage:
    "node --conditions=quorate-source apps/paxos/server.ts " +
    "--group FILE --id N --data FOLDER [--init] [--key FILE]",
  about: "Runs one replica of the key-value store until it is told to stop.",
  flags: {
    group: { type: "string", help: "the group file" },
    id: { type: "string", help: "which member of it this process is" },
    data: { type: "string", help: "folder of this member's log" },
    init: { type: "boolean", help: "make the folder: this member never spoke before" },
    key: { type: "string", optional: true, help: "its private key, where links are proven" }
  }
})

// With a parent that started it over a channel, a replica does not outlive the parent.
process.on("disconnect", () => process.kill(process.pid, "SIGTERM"))

Replica.layer(Paxos).pipe(
  Layer.provide(NodeGroup.layerMember(group, Number(id), { dataFolder: data, init, key })),
  Layer.launch,
  runMain
)
