/** A node of each of two groups, at one address: node twoGroups.ts 127.0.0.1:7001 */
import { Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { Bracha } from "./bracha.ts"

const host = NodeGroup.layerHost({ listen: process.argv[2]!, key: "host-1.pem" })
const nodes = Layer.mergeAll(
  Replica.layer(Bracha).pipe(Layer.provide(NodeGroup.layerMember("news.json", 1))),
  Replica.layer(Bracha).pipe(Layer.provide(NodeGroup.layerMember("sports.json", 3)))
)
Layer.launch(nodes.pipe(Layer.provide(host))).pipe(runMain)
