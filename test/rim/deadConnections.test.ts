/** Connections whose other side neither reads nor ends: what is closed must end all the same. */
import { expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import type { Connection } from "../../src/link/ports.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { onTestFinished } from "vitest"
import { address, listen, Side } from "../support/connections.ts"
import { FaultProxy } from "../support/faultProxy.ts"

const LARGE = new Uint8Array(1_000_000)

it("a connection that nobody reads ends a while after it was closed, on both sides", async () => {
  const carrier = makeConnectCarrier({ ...LIMITS, shutdownMs: 100 })
  const at = await address()
  const [near, far] = [new Side(), new Side()]
  let accepted: Connection | undefined
  await listen(carrier, at, (connection) => {
    accepted = connection
    connection.send({ frame: Uint8Array.of(2) })
    return far.events
  })
  const proxy = await FaultProxy.open({ target: at })
  onTestFinished(() => proxy.close())
  const dialled = carrier.dial(proxy.address, near.events)
  dialled.send({ frame: Uint8Array.of(1) })
  await near.until(() => near.packets.length === 1)
  await far.until(() => far.packets.length === 1)
  proxy.pause()
  for (const connection of [dialled, accepted!]) {
    connection.trust()
    for (let i = 0; i < 8; i++) connection.send({ frame: LARGE })
    connection.close()
  }
  await Promise.all([near, far].map((side) => side.until(() => side.closes.length > 0)))
  expect([near, far].map(({ closes }) => closes)).toEqual([
    ["closed by this side"],
    ["closed by this side"]
  ])
})
