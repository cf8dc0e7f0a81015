/** Groups whose nodes have keys, and run the golden service of signatures. */
import { Effect, Layer } from "effect"
import { Carrier } from "../../../src/runtime/Carrier.ts"
import { Group, type GroupConfig } from "../../../src/runtime/Group.ts"
import { Member } from "../../../src/runtime/Member.ts"
import { makeConnectCarrier } from "../../../src/runtime/platform-node/connectCarrier.ts"
import { nodeVerifier, readSigner } from "../../../src/runtime/platform-node/nodeKeys.ts"
import { generateKey } from "../../../src/runtime/platform-node/NodeGroup.ts"
import * as Replica from "../../../src/runtime/Replica.ts"
import { type Committed, proving } from "../../support/proving.ts"
import { type Kind, makeWorld } from "./worlds.ts"

const pairs = [1, 2, 3, 4].map(() => generateKey())

export interface Signing {
  readonly size?: number
  readonly faults?: GroupConfig["faults"]
  /** A node's own carrier, which may lie. */
  readonly carrierOf?: (id: number, carrier: Carrier["Service"]) => Carrier["Service"]
}

/** Starts all nodes; `client` has a key that it drew, `keyless` has none. */
export const startSigning = (kind: Kind, committed: Array<Committed>, options: Signing = {}) =>
  Effect.gen(function* () {
    const { size = 4, faults = "byzantine", carrierOf = (_, it) => it } = options
    const world = yield* makeWorld(kind, { size, faults })
    const nodes = world.config.nodes.map((n, i) => ({ ...n, key: pairs[i]!.publicKey }))
    const config = { ...world.config, nodes }
    const group = Layer.orDie(Group.layer(config))
    const over = (layer: typeof world.layer, change: (it: Carrier["Service"]) => typeof it) =>
      Layer.merge(
        group,
        Layer.effect(Carrier, Effect.map(Carrier, change)).pipe(Layer.provide(layer))
      )
    for (const [i, { privateKey }] of pairs.slice(0, size).entries()) {
      const id = i + 1
      const signer = readSigner(privateKey)!
      const member = { id, disk: undefined, init: false, signer, verifier: nodeVerifier }
      yield* Layer.build(
        Layer.fresh(
          Replica.layer(proving(committed)).pipe(
            Layer.provide(Layer.succeed(Member, member)),
            Layer.provide(over(world.layer, (it) => carrierOf(id, it)))
          )
        )
      )
    }
    // Memory joins programs that have Node's keys like any others.
    const client = over(world.client, (it) => ({ ...it, makeKey: makeConnectCarrier().makeKey! }))
    const keyless = over(world.client, ({ makeKey: _, ...it }) => it)
    return { client, keyless, group: yield* Effect.provide(Group, group), config }
  })
