/** What a node allows one HTTP/2 session, whoever is at its other end. */
import { once } from "node:events"
import { type ClientHttp2Session, connect } from "node:http2"
import { connect as connectSocket } from "node:net"
import { Effect } from "effect"
import { assert, it, onTestFinished } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { carrierTls } from "../support/certificates.ts"
import { address, door, Side } from "../support/connections.ts"

it.each([
  ["without TLS", {}],
  ["with TLS", { listen: carrierTls().listen }]
])("a health check that connects and goes is no garbage, %s", async (_, tls) => {
  const at = await address()
  const said: Array<string> = []
  const listener = await Effect.runPromise(
    makeConnectCarrier(LIMITS, tls).listen(at, {
      ...door(() => new Side().events),
      garbage: (remote) => void said.push(remote)
    })
  )
  for (let i = 0; i < 3; i++) {
    const socket = connectSocket(Number(at.split(":")[1]), "127.0.0.1")
    await once(socket, "connect")
    socket.end()
    socket.resume()
    await once(socket, "close")
  }
  await Effect.runPromise(listener.close)
  assert.deepEqual(said, [])
})

const session = async (change: Partial<Limits> = {}): Promise<ClientHttp2Session> => {
  const at = await address()
  const carrier = makeConnectCarrier({ ...LIMITS, ...change })
  const listener = await Effect.runPromise(
    carrier.listen(
      at,
      door(() => new Side().events)
    )
  )
  onTestFinished(() => Effect.runPromise(listener.close))
  const opened = connect(`http://${at}`)
  onTestFinished(() => opened.destroy())
  opened.on("error", () => {})
  return opened
}

const link = (over: ClientHttp2Session, headers: Record<string, string> = {}) => {
  const stream = over.request({
    ":method": "POST",
    ":path": "/quorate.v1.Peer/Link",
    "content-type": "application/connect+proto",
    ...headers
  })
  stream.on("error", () => {})
  return stream
}

/** The status, or the code that the stream was reset with. */
const answer = (stream: ReturnType<typeof link>): Promise<string> =>
  new Promise((resolve) => {
    stream.once("response", (headers) => resolve(`status ${headers[":status"]}`))
    stream.once("close", () => resolve(`reset ${stream.rstCode}`))
  })

it("tells its bounds, and holds headers to them", async () => {
  const over = await session()
  const settings = await new Promise<ClientHttp2Session["remoteSettings"]>((resolve) =>
    over.once("remoteSettings", resolve)
  )
  assert.strictEqual(settings.maxConcurrentStreams, 1024)
  assert.strictEqual(settings.maxHeaderListSize, 16_384)
  assert.strictEqual(await answer(link(over, { "x-padding": "a".repeat(12_000) })), "status 200")
  assert.notStrictEqual(await answer(link(over, { "x-padding": "a".repeat(40_000) })), "status 200")
})

it("a session without a stream is sent away once it was silent for long", async () => {
  const over = await session({ sessionIdleMsMax: 50 })
  await new Promise<void>((resolve) => over.once("close", () => resolve()))
})

it("a stream that is silent outlives it, and is told", async () => {
  const over = await session({ sessionIdleMsMax: 50 })
  const stream = link(over)
  assert.strictEqual(await answer(stream), "status 200")
  const code = await new Promise<number>((resolve) => over.once("goaway", resolve))
  assert.strictEqual(code, 0)
  assert.isFalse(stream.closed)
})
