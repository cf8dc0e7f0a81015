/** Starts a node and a client, makes a call and lets go of both: the process ends by itself. */
import { Effect, Layer } from "effect"
import { NodeGroup } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { Bracha, ReliableBroadcast } from "./services.ts"

const node = Replica.layer(Bracha).pipe(Layer.provide(NodeGroup.layerMember("group.json", 1)))
const client = ReliableBroadcast.layer.pipe(
  Layer.provide(
    NodeGroup.layerFile("group.json", { transport: process.argv[2] === "unary" ? "unary" : "link" })
  )
)
const call = ReliableBroadcast.use((rb) => rb.broadcast({ text: "a" }))
const { text } = await Effect.runPromise(call.pipe(Effect.provide(Layer.merge(node, client))))
process.stdout.write(`${text}\n`)
