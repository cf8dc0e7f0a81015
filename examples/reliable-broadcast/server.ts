import { Layer } from "effect"
import { NodeGroup, runMain } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { Bracha } from "./bracha.ts"

const Server = Replica.layer(Bracha).pipe(
  Layer.provide(NodeGroup.layerMember("group.json", Number(process.argv[2])))
)
Layer.launch(Server).pipe(runMain)
