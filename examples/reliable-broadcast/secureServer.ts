/** As server.ts, for a group whose nodes have `"tls": true`: this process ends TLS itself. */
import { Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { Bracha } from "./bracha.ts"

const Member = NodeGroup.layerMember("group.json", Number(process.argv[2]), {
  listenTls: { cert: "node.pem", key: "node.key", clientCa: "ca.pem" },
  tls: { ca: "ca.pem", cert: "node.pem", key: "node.key" }
})
Layer.launch(Replica.layer(Bracha).pipe(Layer.provide(Member))).pipe(runMain)
