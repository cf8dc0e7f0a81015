/** Clients that know nothing of Quorate, in other people's libraries. */
import { execFile } from "node:child_process"
import { cpSync } from "node:fs"
import { join } from "node:path"
import { createClient } from "@connectrpc/connect"
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node"
import { assert, describe, it } from "@effect/vitest"
import * as grpc from "@grpc/grpc-js"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { Effect, Layer } from "effect"
import {
  GetReplySchema,
  GetRequestSchema,
  Kv as KvDescriptor,
  type GetReply
} from "../plugin/golden/ts/kv/v1/kv_pb.ts"
import { type Heard, Kv, kv } from "./support/services.ts"
import { temporaryFolder } from "../support/processes.ts"
import { ROOT } from "../support/repo.ts"
import { makeWorld } from "./support/worlds.ts"

/** Three nodes; what the first was told, and its address. */
const running = Effect.gen(function* () {
  const { node, config, client } = yield* makeWorld("http2", { size: 3 })
  const heard: ReadonlyArray<Heard> = [1, 2, 3].map(() => ({ hints: [], told: [] }))
  for (const id of [1, 2, 3]) yield* Layer.build(node(id, kv(heard[id - 1])))
  return { heard, address: config.nodes[0]!.address, client }
})
const text = (reply: GetReply): string => Buffer.from(reply.value).toString()

/** One call of one method with @grpc/grpc-js: the answer, or the status. */
const grpcCall = (address: string, method: string, key: string) =>
  Effect.promise(async () => {
    const client = new grpc.Client(address, grpc.credentials.createInsecure())
    const answer = await new Promise<GetReply | grpc.ServiceError>((resolve) => {
      client.makeUnaryRequest<Uint8Array, GetReply>(
        `/kv.v1.Kv/${method}`,
        (bytes) => Buffer.from(bytes),
        (buffer) => fromBinary(GetReplySchema, buffer),
        toBinary(GetRequestSchema, { $typeName: "kv.v1.GetRequest", key }),
        (error, reply) => resolve(error ?? reply!)
      )
    })
    client.close()
    return answer
  })

/** The service's proto, with what it imports beside it. */
const schema = (): string => {
  const folder = temporaryFolder()
  cpSync(join(ROOT, "proto/quorate"), join(folder, "quorate"), { recursive: true })
  cpSync(join(ROOT, "test/plugin/golden/proto/kv"), join(folder, "kv"), { recursive: true })
  return folder
}

const bufCurl = (address: string, method: string, data: string, protocol: string) =>
  Effect.promise(
    () =>
      new Promise<{ readonly stdout: string; readonly stderr: string }>((resolve) => {
        const args = ["curl", "--schema", schema()]
        const url = `http://${address}/kv.v1.Kv/${method}`
        execFile(
          join(ROOT, "node_modules/.bin/buf"),
          [...args, "--protocol", protocol, "--http2-prior-knowledge", "-d", data, url],
          { cwd: ROOT },
          (_, stdout, stderr) => resolve({ stdout, stderr })
        )
      })
  )

describe("a running node", () => {
  it.live("answers a stock gRPC client: RPC, QUORUM, MULTIPARTY", () =>
    Effect.gen(function* () {
      const { address } = yield* running
      for (const method of ["Plain", "Read", "Get"]) {
        const reply = yield* grpcCall(address, method, `a key for ${method}`)
        assert.notInstanceOf(reply, Error)
        assert.strictEqual(text(reply as GetReply), `a key for ${method}`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("tells a stock gRPC client why there is no answer", () =>
    Effect.gen(function* () {
      const { address } = yield* running
      const code = (method: string, key: string) =>
        Effect.map(grpcCall(address, method, key), (it) => (it as grpc.ServiceError).code)
      assert.strictEqual(yield* code("Read", "missing"), grpc.status.NOT_FOUND)
      assert.strictEqual(yield* code("Accept", ""), grpc.status.UNIMPLEMENTED)
      assert.strictEqual(yield* code("NoSuchMethod", "a"), grpc.status.UNIMPLEMENTED)
    }).pipe(Effect.scoped)
  )

  it.live("answers buf curl over gRPC and Connect", () =>
    Effect.gen(function* () {
      const { address } = yield* running
      for (const protocol of ["grpc", "connect"]) {
        const { stdout, stderr } = yield* bufCurl(address, "Plain", '{"key":"a"}', protocol)
        assert.deepStrictEqual(JSON.parse(stdout || "{}"), { value: "YQ==" }, stderr)
      }
    }).pipe(Effect.scoped)
  )

  it.live("hears a stock client's one-ways: a unicast itself, a multicast everywhere", () =>
    Effect.gen(function* () {
      const { address, heard, client } = yield* running
      const transport = createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "2" })
      const stock = createClient(KvDescriptor, transport)
      yield* Effect.promise(() => stock.tell({ key: "a" }))
      yield* Effect.promise(() => stock.hint({ key: "b" }))
      // What each node heard before it answers a later call.
      yield* Kv.use((it) => it.read({ key: "c" })).pipe(
        Effect.provide(Layer.provide(Kv.layer, client)),
        Effect.repeat({ until: () => heard.every(({ hints }) => hints.length > 0) })
      )
      assert.deepStrictEqual(
        heard.map(({ hints }) => hints),
        [["b"], ["b"], ["b"]]
      )
      assert.deepStrictEqual(
        heard.map(({ told }) => told),
        [["a"], [], []]
      )
    }).pipe(Effect.scoped)
  )

  it.live("a stock client that hangs up ends its call at the node", () =>
    Effect.gen(function* () {
      const { address } = yield* running
      const transport = createGrpcTransport({ baseUrl: `http://${address}` })
      const stock = createClient(KvDescriptor, transport)
      const call = Effect.tryPromise((signal) => stock.read({ key: "never" }, { signal }))
      const ended = yield* Effect.exit(Effect.timeout(call, "200 millis"))
      assert.strictEqual(ended._tag, "Failure")
      const reply = yield* Effect.promise(() => stock.read({ key: "again" }))
      assert.strictEqual(text(reply), "again")
    }).pipe(Effect.scoped)
  )
})
