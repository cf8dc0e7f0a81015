import { Effect } from "effect"
import { Quorum } from "quorate"
import { NodeGroup, runMain } from "quorate/platform-node"
import { ReliableBroadcast } from "./gen/rb/v1/broadcast_quorate.ts"

const program = Effect.gen(function* () {
  const rb = yield* ReliableBroadcast
  const delivery = yield* rb.broadcast(
    { text: "hello" },
    Quorum.matching((d) => d.text)
  )
  yield* Effect.log(delivery.text)
})
program.pipe(
  Effect.provide(ReliableBroadcast.layer),
  Effect.provide(NodeGroup.layerFile("group.json")),
  runMain
)
