/** Whoever has proven nothing gets little of a node's port. */
import { type ClientHttp2Session, connect } from "node:http2"
import { Effect } from "effect"
import { assert, it, onTestFinished } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { Connection } from "../../src/link/ports.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { address, door, Side } from "../support/connections.ts"

const listening = async (change: Partial<Limits>, sharedAddress = false) => {
  const at = await address()
  const carrier = makeConnectCarrier({ ...LIMITS, ...change }, { sharedAddress })
  const accepted: Array<Connection> = []
  const said: Array<string> = []
  const onDoor = door((connection) => {
    accepted.push(connection)
    return new Side().events
  })
  const garbage = (_: string, what: string): void => void said.push(what)
  const listener = await Effect.runPromise(carrier.listen(at, { ...onDoor, garbage }))
  onTestFinished(() => Effect.runPromise(listener.close))
  const open = (): ClientHttp2Session => {
    const session = connect(`http://${at}`)
    onTestFinished(() => session.destroy())
    session.on("error", () => {})
    return session
  }
  return { open, accepted, said, at }
}

const status = (session: ClientHttp2Session): Promise<number> =>
  new Promise((resolve) => {
    const stream = session.request({
      ":method": "POST",
      ":path": "/quorate.v1.Peer/Link",
      "content-type": "application/connect+proto"
    })
    stream.on("error", () => resolve(0))
    stream.once("response", (headers) => resolve(Number(headers[":status"])))
  })
const closed = (session: ClientHttp2Session): Promise<void> =>
  new Promise((resolve) => session.once("close", () => resolve()))

it("a session that asks for nothing is cut; one with a stream is not", async () => {
  const { open, said } = await listening({ helloTimeoutMs: 50 })
  const busy = open()
  assert.strictEqual(await status(busy), 200)
  await closed(open())
  assert.deepStrictEqual(said, ["nothing was asked in time"])
  assert.isFalse(busy.closed)
})

it("streams without a handshake are so many of one address, until one is trusted", async () => {
  const { open, accepted, said } = await listening({ unprovenPerAddressMax: 2 })
  const session = open()
  assert.deepStrictEqual([await status(session), await status(session)], [200, 200])
  assert.strictEqual(await status(session), 429)
  assert.deepStrictEqual(said, ["2 streams of that address have not done their handshake"])
  accepted[0]!.trust()
  accepted[0]!.trust()
  assert.strictEqual(await status(session), 200)
  assert.strictEqual(await status(session), 429)
  accepted[1]!.close()
  accepted[0]!.close()
  assert.strictEqual(await status(open()), 200)
})

it("connections of one address are so many, unless all come through one proxy", async () => {
  const { open, said } = await listening({ connectionsPerAddressMax: 1 })
  const first = open()
  assert.strictEqual(await status(first), 200)
  await closed(open())
  assert.deepStrictEqual(said, ["1 connections of that address are open"])

  const proxied = await listening({ connectionsPerAddressMax: 1 }, true)
  for (let i = 0; i < 3; i++) assert.strictEqual(await status(proxied.open()), 200)
})

it("who is refused is told what to wait for", async () => {
  const { open, at } = await listening({ unprovenPerAddressMax: 1 })
  assert.strictEqual(await status(open()), 200)
  const side = new Side()
  makeConnectCarrier().dial(at, side.events)
  await side.until(() => side.closes.length === 1)
  assert.strictEqual(side.closes[0], "the node takes no more links from here for now")
})
