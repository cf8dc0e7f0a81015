/** A proxy that ends TLS before a group: for clients, and for stock ones that know no group. */
import { createClient } from "@connectrpc/connect"
import { createConnectTransport } from "@connectrpc/connect-node"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import * as grpc from "@grpc/grpc-js"
import { assert, describe, it } from "vitest"
import {
  DeliverySchema,
  MessageSchema,
  ReliableBroadcast
} from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_pb.ts"
import { BroadcastCluster } from "../support/broadcastCluster.ts"
import { makeAuthority } from "../support/certificates.ts"
import { PROXIES, StockProxy, type ProxyName } from "../support/proxies.ts"

const authority = makeAuthority()
const HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"].map((host) => `IP:${host}`)
const front = authority.issue(["DNS:localhost", ...HOSTS].join(","))

const fronted = async (name: ProxyName) => {
  const proxy = await StockProxy.start(name, "before", {
    files: { "front.pem": front.pem.cert, "front.pem.key": front.pem.key }
  })
  const cluster = await BroadcastCluster.start({
    listen: proxy.addresses(7000),
    before: proxy.addresses(7400),
    tls: { before: true },
    member: { sharedAddress: true }
  })
  const strangers = `localhost:${proxy.address(7400).split(":")[1]}`
  return { cluster, strangers }
}

/** A call with @grpc/grpc-js. */
const grpcCall = async (address: string, text: string): Promise<string> => {
  const client = new grpc.Client(address, grpc.credentials.createSsl(Buffer.from(authority.pem)))
  const reply = await new Promise<string>((resolve, reject) => {
    client.makeUnaryRequest<string, string>(
      "/rb.v1.ReliableBroadcast/Broadcast",
      (it) => Buffer.from(toBinary(MessageSchema, { $typeName: "rb.v1.Message", text: it })),
      (bytes) => fromBinary(DeliverySchema, bytes).text,
      text,
      (error, answer) => (error === null ? resolve(answer!) : reject(error))
    )
  })
  client.close()
  return reply
}

describe.each(PROXIES)("%s before the group", (name) => {
  it("carries clients' calls over TLS, on links and without", async () => {
    const { cluster } = await fronted(name)
    for (const transport of ["link", "unary"] as const) {
      await cluster.client({ transport, tls: { ca: authority.file } }).load(50)
    }
  })

  it("carries calls of stock Connect and gRPC clients", async () => {
    const { strangers } = await fronted(name)
    const transport = createConnectTransport({
      baseUrl: `https://${strangers}`,
      httpVersion: "2",
      nodeOptions: { ca: authority.pem }
    })
    const connect = createClient(ReliableBroadcast, transport)
    for (const text of ["one", "two", "three", "four", "five"]) {
      assert.strictEqual((await connect.broadcast({ text })).text, text)
      assert.strictEqual(await grpcCall(strangers, `gRPC ${text}`), `gRPC ${text}`)
    }
  })
})
