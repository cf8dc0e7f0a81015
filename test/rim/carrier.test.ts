/** What every carrier keeps: the same battery over memory and over HTTP/2. */
import { createServer } from "node:http2"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import { Effect } from "effect"
import { assert, describe, it, onTestFinished } from "vitest"
import { Peer } from "../../gen/quorate/v1/link_pb.ts"
import { LIMITS } from "../../src/base/limits.ts"
import type { Packet } from "../../src/link/ports.ts"
import type { Carrier } from "../../src/runtime/Carrier.ts"
import { makeMemoryNetwork } from "../../src/runtime/memoryCarrier.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { carrierTls } from "../support/certificates.ts"
import { address, door, join, listen, Side } from "../support/connections.ts"
import { freePorts } from "../support/processes.ts"

const frame = (length: number): Packet => ({
  frame: Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 251)
})
const SIZES = [0, 1, 127, 128, 16_383, 16_384, 70_000, LIMITS.batchBytesMax]

const dialsSecurely = (carrier: Carrier["Service"]): Carrier["Service"] => ({
  ...carrier,
  dial: (at, events) => carrier.dial(`https://${at}`, events)
})

describe.each([
  ["memory", () => makeMemoryNetwork().carrier],
  ["http2", () => makeConnectCarrier()],
  ["tls", () => dialsSecurely(makeConnectCarrier(LIMITS, carrierTls()))]
])("over %s", (_, make) => {
  it("frames of every size arrive whole and in order, both ways", async () => {
    const { near, far, dialled, accepted } = await join(make())
    for (const size of SIZES) {
      dialled.send(frame(size))
      accepted.send(frame(size))
    }
    for (const side of [near, far]) {
      await side.until(() => side.packets.length === SIZES.length + 1)
      const got = side.packets.slice(1)
      for (const [i, size] of SIZES.entries())
        assert.isTrue(Buffer.from(got[i]!.frame).equals(frame(size).frame))
    }
  })

  it("a large frame before the handshake is done cuts the connection", async () => {
    for (const size of [LIMITS.handshakeFrameBytesMax, LIMITS.handshakeFrameBytesMax + 30]) {
      const { near, far, dialled } = await join(make(), false)
      dialled.send(frame(size))
      await far.until(() => far.packets.length + far.closes.length === 2)
      if (size === LIMITS.handshakeFrameBytesMax) continue
      assert.match(far.closes[0]!, /a message of [0-9]+ bytes/)
      await near.until(() => near.closes.length === 1)
    }
  })

  it("tells how much has not left yet, and when all has", async () => {
    const { near, far, dialled } = await join(make())
    await near.until(() => near.drains === 1)
    const sent = 16
    for (let i = 0; i < sent; i++) dialled.send(frame(LIMITS.batchBytesMax / 2))
    assert.isAtLeast(dialled.backlogBytes, (sent * LIMITS.batchBytesMax) / 2)
    assert.strictEqual(near.drains, 1)
    await near.until(() => near.drains > 1)
    assert.strictEqual(dialled.backlogBytes, 0)
    await far.until(() => far.packets.length === sent + 1)
  })

  it("what was sent before a close arrives; both sides are told once, not within it", async () => {
    for (const closer of ["dialled", "accepted"] as const) {
      const pair = await join(make())
      const { near, far } = pair
      const ours = closer === "dialled" ? near : far
      const theirs = closer === "dialled" ? far : near
      pair[closer].send(frame(LIMITS.batchBytesMax))
      pair[closer].close()
      assert.deepEqual(ours.closes, [])
      pair[closer].send(frame(1))
      await theirs.until(() => theirs.closes.length > 0)
      await ours.until(() => ours.closes.length > 0)
      assert.strictEqual(theirs.packets[1]?.frame.length, LIMITS.batchBytesMax)
      assert.strictEqual(theirs.packets.length, 2)
      assert.deepEqual([ours.closes.length, theirs.closes.length], [1, 1])
    }
  })

  it("a dial to nobody is closed, with the reason", async () => {
    const near = new Side()
    make().dial(await address(), near.events)
    assert.deepEqual(near.closes, [])
    await near.until(() => near.closes.length > 0)
    assert.deepEqual(near.closes, ["connection refused"])
  })

  it("an address has one listener", async () => {
    const carrier = make()
    const at = await address()
    await listen(carrier, at, () => new Side().events)
    const second = carrier.listen(
      at,
      door(() => new Side().events)
    )
    assert.strictEqual(await Effect.runPromise(Effect.flip(second)), "the address is in use")
  })

  it("a listener that refuses keeps its connections and takes no others", async () => {
    const carrier = make()
    const { listener, dialled, far, at } = await join(carrier)
    listener.refuse()
    const other = new Side()
    carrier.dial(at, other.events)
    await other.until(() => other.closes.length > 0)
    dialled.send(frame(9))
    await far.until(() => far.packets.length === 2)
  })

  it("a listener that closes ends its connections, and its address is free", async () => {
    const carrier = make()
    const { listener, near, far, at } = await join(carrier)
    const startMs = performance.now()
    await Effect.runPromise(listener.close)
    await near.until(() => near.closes.length > 0)
    await far.until(() => far.closes.length > 0)
    assert.isBelow(performance.now() - startMs, 2_000)
    await listen(carrier, at, () => new Side().events)
  })
})

it("who dialled is told that the other side stops, and its stream lives on", async () => {
  const { near, far, listener, dialled, accepted } = await join(makeConnectCarrier())
  listener.refuse()
  await near.until(() => near.departures.length > 0)
  assert.deepEqual(near.departures, ["the other side takes no new streams"])
  dialled.send(frame(9))
  accepted.send(frame(10))
  await far.until(() => far.packets.length === 2)
  await near.until(() => near.packets.length === 2)
  dialled.close()
  await near.until(() => near.closes.length > 0)
  assert.deepEqual([near.departures.length, near.closes.length], [1, 1])
})

it("over memory, who dialled is told what a network lets leave", async () => {
  const network = makeMemoryNetwork()
  const { near, far, dialled, at } = await join(network.carrier)
  network.leave(at, "a proxy is reloaded")
  network.leave(at, "again")
  assert.deepEqual([near.departures, far.departures], [["a proxy is reloaded"], []])
  dialled.send(frame(9))
  await far.until(() => far.packets.length === 2)
})

it("a stock Connect server can be at the other end", async () => {
  const port = (await freePorts(1))[0]!
  const got: Array<number> = []
  const server = createServer(
    connectNodeAdapter({
      routes: (router) =>
        router.service(Peer, {
          async *link(requests) {
            for await (const { frame } of requests) {
              got.push(frame.length)
              yield { frame }
            }
          }
        })
    })
  )
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  const near = new Side()
  const connection = makeConnectCarrier().dial(`127.0.0.1:${port}`, near.events)
  connection.trust()
  for (const size of SIZES) connection.send(frame(size))
  await near.until(() => near.packets.length === SIZES.length)
  assert.deepEqual(got, SIZES)
  connection.close()
  await near.until(() => near.closes.length > 0)
})

it("what listens there and is no node is named so", async () => {
  const port = (await freePorts(1))[0]!
  const server = createServer((_, response) => {
    response.writeHead(404)
    response.end()
  })
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  const near = new Side()
  makeConnectCarrier().dial(`127.0.0.1:${port}`, near.events)
  await near.until(() => near.closes.length > 0)
  assert.match(near.closes[0]!, /answers with HTTP status 404: no node/)
})
