/** The baseline: Connect as anybody would use it, one unary call to each node, waiting for all. */
import { createServer } from "node:http2"
import { createClient } from "@connectrpc/connect"
import { connectNodeAdapter, createConnectTransport } from "@connectrpc/connect-node"
import { Bench as Service } from "../gen/bench/v1/bench_pb.ts"
import type { Client, ClusterBench, ClusterSettings } from "./Bench.ts"

export const unary: ClusterBench = {
  kind: "cluster",
  about: "plain Connect: a unary call to every node with Promise.all, over HTTP/2",
  transports: ["unary"],
  nodes: 3,
  inflight: 64,
  payloadBytes: 16,
  node: (settings, id) => serve(settings.addresses[id - 1]!),
  client: (settings) => connect(settings)
}

const serve = async (address: string): Promise<void> => {
  const handler = connectNodeAdapter({
    routes: (router) => {
      router.service(Service, { echo: ({ body }) => ({ body }) })
    }
  })
  const { hostname, port } = new URL(`http://${address}`)
  const server = createServer(handler)
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject).listen(Number(port), hostname, resolve)
  })
}

const connect = async ({ addresses, payloadBytes }: ClusterSettings): Promise<Client> => {
  const clients = addresses.map((address) =>
    createClient(
      Service,
      createConnectTransport({ baseUrl: `http://${address}`, httpVersion: "2" })
    )
  )
  const body = new Uint8Array(payloadBytes).fill(1)
  const call = async (): Promise<void> => {
    const replies = await Promise.all(clients.map((client) => client.echo({ body })))
    for (const reply of replies) if (reply.body.length !== payloadBytes) throw new Error("no echo")
  }
  await call()
  return {
    operation: (done) => {
      call().then(
        () => done(false),
        () => done(true)
      )
    },
    close: async () => {}
  }
}
