/** Ranges that hosts ask each other for, beside their links. */
import { connect } from "node:http2"
import { Effect } from "effect"
import { assert, describe, it, onTestFinished } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import type { FetchResult } from "../../src/link/fetchCore.ts"
import type { FetchAnswer } from "../../src/link/fetchStore.ts"
import type { Goodbye } from "../../src/link/goodbye.ts"
import type { Carrier, FetchCall, FetchChannel, Listener } from "../../src/runtime/Carrier.ts"
import { makeMemoryNetwork } from "../../src/runtime/memoryCarrier.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { encodeFetchCall, FETCH_PATH } from "../../src/runtime/platform-node/wireFetch.ts"
import { carrierTls } from "../support/certificates.ts"
import { address, door } from "../support/connections.ts"

const limits = { ...LIMITS, fetchTimeoutMs: 500 }
const bytes = Uint8Array.from({ length: 262_144 }, (_, i) => (i * 7) % 251)
const CALL: FetchCall = {
  groupDigest: new Uint8Array(32).fill(1),
  node: 3,
  token: new Uint8Array(16).fill(2),
  digest: new Uint8Array(32).fill(3),
  list: false,
  offset: 2 ** 40,
  length: 262_144
}
type Fetch = (call: FetchCall) => FetchAnswer | Goodbye

const listen = async (carrier: Carrier["Service"], at: string, fetch: Fetch | undefined) => {
  const open = door(() => ({
    packet: () => {},
    drained: () => {},
    leaving: () => {},
    closed: () => {}
  }))
  const served = fetch === undefined ? open : { ...open, fetch }
  const listener = await Effect.runPromise(carrier.listen(at, served))
  onTestFinished(() => Effect.runPromise(listener.close))
  return listener
}
const channelTo = (carrier: Carrier["Service"], at: string): FetchChannel => {
  const channel = carrier.fetches!(at, limits)
  onTestFinished(() => channel.close())
  return channel
}
const ask = (channel: FetchChannel, call = CALL): Promise<FetchResult> =>
  new Promise((resolve) => channel.ask(call, resolve))
const stop = (listener: Listener): Promise<void> => Effect.runPromise(listener.close)

const secure = (): Carrier["Service"] => {
  const carrier = makeConnectCarrier(limits, carrierTls())
  return { ...carrier, fetches: (at, own) => carrier.fetches!(`https://${at}`, own) }
}

describe.each([
  ["memory", () => makeMemoryNetwork().carrier],
  ["http2", () => makeConnectCarrier(limits)],
  ["tls", secure]
])("over %s", (_, make) => {
  it("an ask is answered, whatever the answer", async () => {
    const [carrier, at] = [make(), await address()]
    const answers: ReadonlyArray<FetchAnswer> = [
      { kind: "given", bytes },
      { kind: "given", bytes: new Uint8Array(0) },
      { kind: "not_offered" },
      { kind: "later", waitMs: 70_000 }
    ]
    const calls: Array<FetchCall> = []
    await listen(carrier, at, (call) => {
      calls.push(call)
      return answers[calls.length - 1]!
    })
    const channel = channelTo(carrier, at)
    for (const answer of answers) assert.deepEqual(await ask(channel), answer)
    assert.deepEqual(calls[0], CALL)
  })

  it("many are answered at once, each with its own", async () => {
    const [carrier, at] = [make(), await address()]
    await listen(carrier, at, ({ offset }) => ({
      kind: "given",
      bytes: new Uint8Array(9).fill(offset)
    }))
    const channel = channelTo(carrier, at)
    const asked = Array.from({ length: 8 }, (_, offset) => ask(channel, { ...CALL, offset }))
    for (const [offset, result] of (await Promise.all(asked)).entries()) {
      assert.deepEqual(result, { kind: "given", bytes: new Uint8Array(9).fill(offset) })
    }
  })

  it("who is refused, or finds nobody, hears that there is no answer; then goes on", async () => {
    const [carrier, at] = [make(), await address()]
    const channel = channelTo(carrier, at)
    assert.deepEqual(await ask(channel), { kind: "unreachable" })
    const closed = await listen(carrier, at, undefined)
    assert.deepEqual(await ask(channel), { kind: "unreachable" })
    await stop(closed)
    const refuses = await listen(carrier, at, () => ({ code: "unauthenticated", detail: "who?" }))
    assert.deepEqual(await ask(channel), { kind: "unreachable" })
    await stop(refuses)
    await listen(carrier, at, () => ({ kind: "given", bytes }))
    assert.deepEqual(await ask(channel), { kind: "given", bytes })
  })
})

describe("over http2", () => {
  const post = async (at: string, body: Uint8Array) => {
    const session = connect(`http://${at}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({
      ":method": "POST",
      ":path": FETCH_PATH,
      "content-type": "application/proto"
    })
    stream.end(body)
    return new Promise<readonly [status: number, text: string]>((resolve) => {
      let status = 0
      let text = ""
      stream.on("response", (headers) => (status = headers[":status"] ?? 0))
      stream.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")))
      stream.on("close", () => resolve([status, text]))
    })
  }

  it("P15: what is no request is refused, and asks nobody", async () => {
    const [carrier, at] = [makeConnectCarrier(limits), await address()]
    let asked = 0
    await listen(carrier, at, () => {
      asked++
      return { kind: "not_offered" }
    })
    const good = encodeFetchCall(CALL)
    for (const body of [
      Uint8Array.of(255, 1),
      good.subarray(0, good.length - 1),
      encodeFetchCall({ ...CALL, node: 0 }),
      encodeFetchCall({ ...CALL, offset: 2 ** 60 }),
      new Uint8Array(300)
    ]) {
      const [status, text] = await post(at, body)
      assert.strictEqual(status, 400)
      assert.match(text, /this is no FetchRequest/)
    }
    assert.strictEqual(asked, 0)
    assert.strictEqual((await post(at, good))[0], 200)
  })

  it("P8: who does not read what it asks for is given no more than a few answers", async () => {
    const [carrier, at] = [makeConnectCarrier(limits), await address()]
    await listen(carrier, at, () => ({ kind: "given", bytes }))
    const session = connect(`http://${at}`, { settings: { initialWindowSize: 1_000 } })
    onTestFinished(() => session.destroy())
    const headers = { ":method": "POST", ":path": FETCH_PATH, "content-type": "application/proto" }
    const firsts = Array.from({ length: 20 }, () => {
      const stream = session.request(headers)
      stream.on("error", () => {})
      stream.end(encodeFetchCall(CALL))
      return new Promise<number>((resolve) => {
        stream.once("data", (chunk: Uint8Array) => {
          stream.pause()
          resolve(chunk.length)
        })
      })
    })
    const later = (await Promise.all(firsts)).filter((length) => length < 10)
    assert.strictEqual(later.length, 20 - 2 * limits.fetchAsksMax)
  })

  it("a connection that nobody asks over ends by itself", async () => {
    const [carrier, at] = [makeConnectCarrier(limits), await address()]
    await listen(carrier, at, () => ({ kind: "not_offered" }))
    const channel = carrier.fetches!(at, { ...limits, fetchTimeoutMs: 20 })
    assert.deepEqual(await ask(channel), { kind: "not_offered" })
    const ended = (): boolean => (channel as unknown as { open: unknown }).open === undefined
    while (!ended()) await new Promise((resolve) => setImmediate(resolve))
    assert.deepEqual(await ask(channel), { kind: "not_offered" })
    channel.close()
  })
})
