/** A connection that ends in an orderly way within a body: what came of it is no body. */
import { type ClientHttp2Stream, connect } from "node:http2"
import { Effect } from "effect"
import { assert, it, onTestFinished, vi } from "vitest"
import { ReliableBroadcast } from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import type { UnaryCall } from "../../src/runtime/Carrier.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { HEADER } from "../../src/runtime/platform-node/connectCode.ts"
import { address, door, Side } from "../support/connections.ts"
import { FaultProxy } from "../support/faultProxy.ts"

const IDS = {
  [HEADER.call]: "request",
  [HEADER.lane]: "00".repeat(22),
  [HEADER.index]: "1",
  [HEADER.acknowledged]: "1"
}

it.each([
  ["with ids", "application/proto", IDS],
  ["of a stranger", "application/proto", {}],
  ["of a stranger, in JSON", "application/json", {}]
])("a call %s that is cut short is not made", async (_, type, ids) => {
  const at = await address()
  const calls: Array<UnaryCall> = []
  const onDoor = {
    ...door(() => new Side().events),
    services: [ReliableBroadcast.descriptor],
    unary: (call: UnaryCall) => {
      calls.push(call)
      return () => {}
    }
  }
  const listener = await Effect.runPromise(makeConnectCarrier().listen(at, onDoor))
  onTestFinished(() => Effect.runPromise(listener.close))
  const proxy = await FaultProxy.open({ target: at })
  onTestFinished(() => proxy.close())
  const session = connect(`http://${proxy.address}`)
  onTestFinished(() => session.destroy())
  session.on("error", () => {})
  const post = (): ClientHttp2Stream => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/rb.v1.ReliableBroadcast/Broadcast",
      "content-type": type,
      "connect-protocol-version": "1",
      ...ids
    })
    stream.on("error", () => {})
    return stream
  }
  // A text of two bytes, and `{}`: each is also a message without its end.
  const whole = type.endsWith("json") ? Buffer.from("{}") : Buffer.from([10, 2, 97, 98, 10, 1, 99])
  const [first, cut] = [post(), post()]
  first.end(whole)
  const before = proxy.bytes
  cut.write(whole.subarray(0, 4))
  await vi.waitFor(() => {
    assert.strictEqual(calls.length, 1)
    assert.isAbove(proxy.bytes, before)
  })
  proxy.cut("end")
  await vi.waitFor(() => assert.strictEqual(proxy.connections, 0))
  const later = connect(`http://${at}`)
  onTestFinished(() => later.destroy())
  await new Promise((pong) => later.ping(pong))
  assert.strictEqual(calls.length, 1)
})
