/**
 * A group and a carrier for tests: over memory, or over HTTP/2 on ports that were free, also with
 * slow lines in between.
 */
import { Effect, Layer } from "effect"
import { onTestFinished } from "vitest"
import { Carrier } from "../../../src/runtime/Carrier.ts"
import { Group, type GroupConfig } from "../../../src/runtime/Group.ts"
import { Member } from "../../../src/runtime/Member.ts"
import { makeMemoryNetwork } from "../../../src/runtime/memoryCarrier.ts"
import { makeConnectCarrier } from "../../../src/runtime/platform-node/connectCarrier.ts"
import { openUnaryChannel } from "../../../src/runtime/platform-node/unaryCarrier.ts"
import * as Replica from "../../../src/runtime/Replica.ts"
import type { Protocol } from "../../../src/runtime/Service.ts"
import type { Prng } from "../../../src/base/prng.ts"
import { type Drawn, FaultProxy } from "../../support/faultProxy.ts"
import { freePorts } from "../../support/processes.ts"

/** `unary`: clients make unary calls; `unary alone`: members too. */
export type Kind = "memory" | "http2" | "unary" | "unary alone" | "slow lines"

/** What a test's nodes and clients live in. */
export interface World {
  readonly config: GroupConfig
  /** For nodes. */
  readonly layer: Layer.Layer<Group | Carrier>
  /** For clients. */
  readonly client: Layer.Layer<Group | Carrier>
  /** Node `id`, running `protocols` until the scope ends. */
  readonly node: (
    id: number,
    ...protocols: ReadonlyArray<Protocol<any, never>>
  ) => Layer.Layer<never, Replica.ReplicaFailed>
}

/** What passes takes its time, on each connection another. */
const slow = (random: Prng): Drawn => ({
  up: { delayMs: random.below(6), bytesPerMs: 20 + random.below(200) },
  down: { delayMs: random.below(6), bytesPerMs: 20 + random.below(200) }
})

const carrierOf = async (kind: Kind, { nodes }: GroupConfig): Promise<Carrier["Service"]> => {
  if (kind === "memory") return makeMemoryNetwork().carrier
  const real = makeConnectCarrier()
  if (kind !== "slow lines") return real
  const lines = new Map<string, FaultProxy>()
  onTestFinished(async () => {
    await Promise.all([...lines.values()].map((line) => line.close()))
  })
  for (const { address } of nodes) {
    lines.set(address, await FaultProxy.open({ target: address, draw: slow }))
  }
  return { ...real, dial: (to, events) => real.dial(lines.get(to)?.address ?? to, events) }
}

export const makeWorld = (
  kind: Kind,
  shape: Partial<GroupConfig> & { readonly size: number }
): Effect.Effect<World> =>
  Effect.promise(async () => {
    const { size, ...rest } = shape
    const ports = await freePorts(size)
    const config: GroupConfig = {
      group: "demo",
      faults: "crash",
      durable: false,
      nodes: ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` })),
      ...(kind === "unary alone" ? { transport: "unary" } : undefined),
      ...rest
    }
    const carrier = await carrierOf(kind, config)
    const group = Layer.orDie(Group.layer(config))
    const layer = Layer.merge(group, Layer.succeed(Carrier, carrier))
    const client =
      kind === "unary" || kind === "unary alone"
        ? Layer.merge(group, Layer.succeed(Carrier, { ...carrier, unary: openUnaryChannel }))
        : layer
    return {
      config,
      layer,
      client,
      node: (id, ...protocols) =>
        Layer.fresh(
          Replica.layer(...protocols).pipe(
            Layer.provide(Layer.succeed(Member, { id, disk: undefined, init: false })),
            Layer.provide(layer)
          )
        )
    }
  })
