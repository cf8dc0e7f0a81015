/** One node behind a real port, its host at hand. */
import { Effect } from "effect"
import { LIMITS, type Limits } from "../../../src/base/limits.ts"
import { randomBytes } from "node:crypto"
import type { Listener } from "../../../src/runtime/Carrier.ts"
import { type Group, parseGroup } from "../../../src/runtime/Group.ts"
import { GroupNode } from "../../../src/runtime/GroupNode.ts"
import { Host, STOPPING } from "../../../src/runtime/Host.ts"
import { makeClock } from "../../../src/runtime/internal/random.ts"
import { makeConnectCarrier } from "../../../src/runtime/platform-node/connectCarrier.ts"
import { freePorts } from "../../support/processes.ts"
import { Kv, kv } from "./services.ts"

export interface TestNode {
  readonly host: GroupNode
  readonly group: Group["Service"]
  readonly port: number
  readonly printed: ReadonlyArray<string>
  readonly stop: () => Promise<void>
}

/** Node 2 of 3; the others are away. */
export const startNode = async (
  change: Partial<Limits> = {},
  { durable = false } = {}
): Promise<TestNode> => {
  const limits: Limits = { ...LIMITS, ...change }
  const ports = await freePorts(3)
  const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
  const group = parseGroup({ group: "demo", faults: "crash", durable, nodes }, "test")
  if (!("system" in group)) throw group
  const carrier = makeConnectCarrier()
  const printed: Array<string> = []
  const print = (_level: string, line: string) => void printed.push(line)
  const clock = makeClock()
  const process = new Host({ limits, clock, carrier, name: "node 2", print })
  const host = new GroupNode({
    host: process,
    group,
    self: 2,
    protocols: [kv().spec],
    limits,
    clock,
    carrier,
    log: undefined,
    storeId: randomBytes(16),
    isEffect: Effect.isEffect,
    run: () => {},
    interrupt: () => {},
    halted: () => {}
  })
  host.boot()
  const listener: Listener = await Effect.runPromise(
    carrier.listen(nodes[1]!.address, {
      accept: (connection) => process.accept(connection),
      services: [Kv.descriptor],
      unary: (_, done) => {
        done({ body: new Uint8Array(0), code: "not_ready" })
        return () => {}
      },
      greet: () => host.hello(),
      garbage: (remote, what) => process.garbage(remote, what)
    })
  )
  host.start()
  return {
    host,
    group,
    port: ports[1]!,
    printed,
    stop: () => {
      host.stop()
      process.close(STOPPING)
      return Effect.runPromise(listener.close)
    }
  }
}
