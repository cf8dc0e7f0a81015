import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Quorum from "../../src/quorum/Policy.ts"
import { Carrier } from "../../src/runtime/Carrier.ts"
import { Group } from "../../src/runtime/Group.ts"
import { Member } from "../../src/runtime/Member.ts"
import { makeMemoryNetwork } from "../../src/runtime/memoryCarrier.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { Bracha, ReliableBroadcast } from "./support/bracha.ts"

it.live("four nodes in one process deliver a broadcast", () =>
  Effect.gen(function* () {
    const network = makeMemoryNetwork()
    const world = Layer.merge(
      Group.layer({
        group: "demo",
        faults: "byzantine",
        durable: false,
        nodes: [1, 2, 3, 4].map((id) => ({ id, address: `127.0.0.1:${7000 + id}` }))
      }),
      Layer.succeed(Carrier, network.carrier)
    )
    for (const id of [1, 2, 3, 4]) {
      const node = Replica.layer(Bracha).pipe(
        Layer.provide(Layer.succeed(Member, { id, disk: undefined, init: false })),
        Layer.provide(world)
      )
      yield* Layer.build(Layer.fresh(node))
    }
    yield* Effect.gen(function* () {
      const rb = yield* ReliableBroadcast
      for (let i = 0; i < 3; i++) {
        const delivery = yield* rb.broadcast(
          { text: `hello ${i}` },
          Quorum.matching((d) => d.text)
        )
        assert.strictEqual(delivery.text, `hello ${i}`)
      }
    }).pipe(Effect.provide(ReliableBroadcast.layer.pipe(Layer.provide(world))))
  }).pipe(Effect.scoped)
)
