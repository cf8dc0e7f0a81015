/** Entry methods called by stock clients, in every form that Connect speaks: the same answers. */
import { connect } from "node:http2"
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect"
import {
  createConnectTransport,
  createGrpcTransport,
  createGrpcWebTransport
} from "@connectrpc/connect-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { expect, onTestFinished } from "vitest"
import { Kv as KvDescriptor } from "../plugin/golden/ts/kv/v1/kv_pb.ts"
import { kv } from "./support/services.ts"
import { makeWorld } from "./support/worlds.ts"

const FORMS: ReadonlyArray<readonly [string, (baseUrl: string) => Transport]> = [
  ["Connect", (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2" })],
  [
    "Connect with JSON",
    (baseUrl) => createConnectTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false })
  ],
  ["gRPC", (baseUrl) => createGrpcTransport({ baseUrl })],
  ["gRPC-Web", (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2" })],
  [
    "gRPC-Web with JSON",
    (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: "2", useBinaryFormat: false })
  ]
]

/** Three nodes, whose members speak as they do; the first one's address. */
const running = (kind: "http2" | "unary alone") =>
  Effect.gen(function* () {
    const { node, config } = yield* makeWorld(kind, { size: 3 })
    for (const id of [1, 2, 3]) yield* Layer.build(node(id, kv()))
    return config.nodes[0]!.address
  })

const stock = (address: string, transport: (baseUrl: string) => Transport) =>
  createClient(KvDescriptor, transport(`http://${address}`))
const text = ({ value }: { readonly value: Uint8Array }): string => Buffer.from(value).toString()
/** What a stock client is told. */
const told = (call: Promise<unknown>) =>
  Effect.promise(() =>
    call.then(
      () => "an answer",
      (error: unknown) => {
        const { code, metadata } = ConnectError.from(error)
        return `${Code[code]} ${metadata.get("quorate-code")}`
      }
    )
  )

describe.each(["http2", "unary alone"] as const)("a group over %s", (kind) => {
  it.live.each(FORMS)("answers %s, with the same errors", ([, transport]) =>
    Effect.gen(function* () {
      const client = stock(yield* running(kind), transport)
      assert.strictEqual(text(yield* Effect.promise(() => client.plain({ key: "a" }))), "a")
      assert.strictEqual(text(yield* Effect.promise(() => client.read({ key: "b" }))), "b")
      assert.strictEqual(text(yield* Effect.promise(() => client.get({ key: "c" }))), "c")
      assert.isTrue((yield* Effect.promise(() => client.put({ key: "d" }))).ok)
      yield* Effect.promise(() => client.tell({ key: "e" }))
      assert.strictEqual(yield* told(client.read({ key: "missing" })), "NotFound not_found")
      const phase = client.accept({ command: new Uint8Array(1) })
      assert.strictEqual(yield* told(phase), "Unimplemented unknown_method")
      const late = yield* told(client.read({ key: "never" }, { timeoutMs: 150 }))
      assert.match(late, /^DeadlineExceeded/)
      const stopper = new AbortController()
      const stopped = client.read({ key: "never" }, { signal: stopper.signal })
      setImmediate(() => stopper.abort())
      assert.match(yield* told(stopped), /^Canceled/)
      const large = { key: "x".repeat(1_048_577) }
      assert.strictEqual(yield* told(client.read(large)), "ResourceExhausted too_large")
    }).pipe(Effect.scoped)
  )
})

/** One request by hand. */
const ask = (
  address: string,
  path: string,
  { method = "POST", headers = {}, body = "" }: Asked
): Promise<{ readonly status: number; readonly text: string }> => {
  const session = connect(`http://${address}`)
  onTestFinished(() => session.destroy())
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": method, ":path": path, ...headers })
    const answer = { status: 0, text: "" }
    stream.on("response", (it) => {
      answer.status = it[":status"]!
    })
    stream.on("data", (chunk) => {
      answer.text += chunk
    })
    stream.on("error", reject)
    stream.on("end", () => resolve(answer))
    if (method === "GET") stream.end()
    else stream.end(body)
  })
}
interface Asked {
  readonly method?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string
}

const JSON_TYPE = { "content-type": "application/json", "connect-protocol-version": "1" }

describe("a call by hand", () => {
  it.live("is JSON in and out, and the deadline of its header is the node's", () =>
    Effect.gen(function* () {
      const address = yield* running("http2")
      const read = "/kv.v1.Kv/Read"
      const say = (asked: Asked, path = read) => Effect.promise(() => ask(address, path, asked))
      const answer = yield* say({ headers: JSON_TYPE, body: '{"key":"a"}' })
      expect({ ...answer, text: JSON.parse(answer.text) }).toEqual({
        status: 200,
        text: { value: "YQ==" }
      })
      const late = yield* say({
        headers: { ...JSON_TYPE, "connect-timeout-ms": "120" },
        body: '{"key":"never"}'
      })
      expect([late.status, JSON.parse(late.text).code]).toEqual([504, "deadline_exceeded"])
      const garbled = yield* say({ headers: JSON_TYPE, body: '{"key":' })
      expect([garbled.status, JSON.parse(garbled.text).code]).toEqual([400, "invalid_argument"])
      const none = yield* say({ headers: JSON_TYPE, body: "{}" }, "/kv.v1.Kv/NoSuchMethod")
      expect(none.status).toBe(404)
    }).pipe(Effect.scoped)
  )

  it.live("is no GET: a method may have effects", () =>
    Effect.gen(function* () {
      const address = yield* running("http2")
      const query = "?connect=v1&encoding=json&message=%7B%22key%22%3A%22a%22%7D"
      const answer = yield* Effect.promise(() =>
        ask(address, `/kv.v1.Kv/Read${query}`, { method: "GET" })
      )
      expect(answer.status).toBe(405)
    }).pipe(Effect.scoped)
  )
})
