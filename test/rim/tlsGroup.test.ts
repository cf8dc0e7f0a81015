/** A group whose nodes end TLS, and what is said of files and options that do not fit. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { createClient } from "@connectrpc/connect"
import { createConnectTransport } from "@connectrpc/connect-node"
import * as grpc from "@grpc/grpc-js"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import { Effect, Layer } from "effect"
import { assert, describe, it } from "vitest"
import {
  DeliverySchema,
  ReliableBroadcast,
  MessageSchema
} from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_pb.ts"
import {
  type GroupInvalid,
  NodeGroup,
  type StoreInvalid
} from "../../src/runtime/platform-node/index.ts"
import {
  BroadcastClient,
  BroadcastCluster,
  type ClusterShape
} from "../support/broadcastCluster.ts"
import { makeAuthority, testCertificate } from "../support/certificates.ts"
import { freePorts, runSource, temporaryFolder } from "../support/processes.ts"

const { authority, certificate } = testCertificate()
const listenTls = { cert: certificate.cert, key: certificate.key, clientCa: authority.file }
const tls = { ca: authority.file, cert: certificate.cert, key: certificate.key }

const start = (more: ClusterShape = {}) =>
  BroadcastCluster.start({
    tls: { between: true, before: true },
    member: { listenTls, tls },
    ...more
  })

describe("a group with mutual TLS", () => {
  it.each(["link", "unary"] as const)("answers a client over %s", async (transport) => {
    const cluster = await start()
    await cluster.client({ transport, tls }).load(50)
  })

  it("has members that speak by unary calls", async () => {
    const cluster = await start({ transport: "unary", links: "authenticated" })
    await cluster.client({ tls }).load(30)
  })

  it("answers a stock Connect client and a stock gRPC client", async () => {
    const { listen } = await start()
    const { cert, key } = certificate.pem
    const transport = createConnectTransport({
      baseUrl: `https://${listen[0]}`,
      httpVersion: "2",
      nodeOptions: { ca: authority.pem, cert, key }
    })
    const connect = createClient(ReliableBroadcast, transport)
    assert.strictEqual((await connect.broadcast({ text: "by Connect" })).text, "by Connect")
    const pem = [authority.pem, key, cert].map((text) => Buffer.from(text)) as [
      Buffer,
      Buffer,
      Buffer
    ]
    const client = new grpc.Client(listen[1]!, grpc.credentials.createSsl(...pem))
    const reply = await new Promise((resolve) => {
      client.makeUnaryRequest(
        "/rb.v1.ReliableBroadcast/Broadcast",
        (text: string) =>
          Buffer.from(toBinary(MessageSchema, { $typeName: "rb.v1.Message", text })),
        (bytes) => fromBinary(DeliverySchema, bytes).text,
        "by gRPC",
        (error, text) => resolve(error ?? text)
      )
    })
    client.close()
    assert.strictEqual(reply, "by gRPC")
  })

  it.each(["link", "unary"] as const)("tells a client over %s what it lacks", async (transport) => {
    const cluster = await start()
    const failure = await cluster
      .client({ transport, tls: { ca: authority.file } })
      .call("never", 1_000)
      .then(
        () => "an answer",
        (error: Error) => error.message
      )
    assert.match(failure, /asks for a certificate of this side/)
  })
})

it("the example ends TLS, as a program", async () => {
  const folder = temporaryFolder()
  const [port] = await freePorts(1)
  const nodes = [{ id: 1, address: `127.0.0.1:${port}`, tls: true }]
  const file = join(folder, "group.json")
  const group = { group: "one", faults: "byzantine", f: 0, durable: false, nodes }
  writeFileSync(file, JSON.stringify(group))
  writeFileSync(join(folder, "ca.pem"), authority.pem)
  writeFileSync(join(folder, "node.pem"), certificate.pem.cert)
  writeFileSync(join(folder, "node.key"), certificate.pem.key)
  const server = runSource("examples/reliable-broadcast/secureServer.ts", ["1"], { cwd: folder })
  assert.strictEqual(
    await server.started,
    `node 1: group one, address https://127.0.0.1:${port}, store none`
  )
  const client = new BroadcastClient(file, { tls })
  assert.strictEqual(await client.call("hello"), "hello")
})

/** What the layer of a member, or of a client, fails with. */
const refusal = async (
  options: NodeGroup.MemberOptions & NodeGroup.FileOptions,
  { secure = true, client = false } = {}
): Promise<string> => {
  const file = join(temporaryFolder(), "group.json")
  const node = { id: 1, address: "127.0.0.1:7001", ...(secure && { tls: true }) }
  writeFileSync(
    file,
    JSON.stringify({ group: "g", faults: "crash", f: 0, durable: false, nodes: [node] })
  )
  const layer: Layer.Layer<never, GroupInvalid | StoreInvalid> = Layer.effectDiscard(
    Effect.void
  ).pipe(
    Layer.provide(
      client ? NodeGroup.layerFile(file, options) : NodeGroup.layerMember(file, 1, options)
    )
  )
  return (await Effect.runPromise(Effect.flip(Effect.scoped(Layer.build(layer))))).message
}

describe("is refused when it starts, with what to do:", () => {
  const other = makeAuthority().issue()
  const { cert, key } = certificate
  const text = join(authority.folder, "text")
  writeFileSync(text, "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
  const expired = authority.issue(undefined, -1)
  const files: ReadonlyArray<[string, NodeGroup.ListenTlsFiles, RegExp]> = [
    ["no file", { cert: "/nowhere.pem", key }, /nowhere\.pem: it cannot be read: .*; name a file/],
    ["no certificate", { cert: key, key }, /c1\.key: it holds no certificate in PEM; name the/],
    ["a broken certificate", { cert: text, key }, /text: it holds no certificate in PEM/],
    ["no key", { cert, key: cert }, /c1\.pem: it holds no private key in PEM; name the key's/],
    [
      "another's key",
      { cert, key: other.key },
      /it is not the key of the certificate in .*c1\.pem/
    ],
    ["an expired certificate", { cert: expired.cert, key: expired.key }, /it expired on .*; renew/],
    ["no authority", { cert, key, clientCa: key }, /c1\.key: it holds no certificate in PEM/]
  ]
  it.each(files)("%s", async (_, listenTls, expected) => {
    assert.match(await refusal({ listenTls }), expected)
  })

  it("half of a client's certificate", async () => {
    assert.match(
      await refusal({ tls: { cert } }, { client: true }),
      /^tls: it has "cert" and no "key"; give both, or none$/
    )
  })

  it("options that the group file contradicts", async () => {
    const plain = { secure: false }
    assert.match(await refusal({ tls }, { ...plain, client: true }), /has no node .* with TLS; wr/)
    assert.match(await refusal({}), /node 1 is dialled with TLS, and listens there itself without/)
    assert.match(
      await refusal({ listenTls }, plain),
      /node 1 has listenTls, and is dialled without/
    )
    assert.match(await refusal({ listen: "7001" }, plain), /node 1 cannot listen at "7001"; write/)
  })
})
