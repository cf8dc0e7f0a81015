/**
 * A quorum call through quorate: the client's typed call, links or unary calls, a node's handler.
 */
import { Quorum } from "quorate"
import { Bench as Service } from "../gen/bench/v1/bench_quorate.ts"
import type { ClusterBench } from "./Bench.ts"
import { connect, serve, writeGroup } from "./quorate.ts"

const EchoProtocol = Service.protocol({
  echo: ({ message, reply }) => reply(message)
})

export const quorumCall: ClusterBench = {
  kind: "cluster",
  about: "a QUORUM call to every node through quorate, waiting for a majority",
  transports: ["link", "unary"],
  links: ["plaintext", "authenticated", "encrypted"],
  nodes: 3,
  inflight: 64,
  payloadBytes: 16,
  prepare: (settings) => writeGroup(settings, { faults: "crash", durable: false }),
  node: (settings, id) => serve(settings, id, EchoProtocol),
  client: (settings) => {
    const body = new Uint8Array(settings.payloadBytes).fill(1)
    return connect(settings, Service, (bench) => bench.echo({ body }, Quorum.majority()))
  }
}
