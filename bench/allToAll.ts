/** Reliable broadcast: all nodes talk to each other in two phases before they answer. */
import { Bracha } from "../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import type { ClusterBench } from "./Bench.ts"
import { connect, serve, writeGroup } from "./quorate.ts"

export const allToAll: ClusterBench = {
  kind: "cluster",
  about: "reliable broadcast (two phases, all to all) in a Byzantine group that keeps nothing",
  transports: ["link", "unary", "unary-alone"],
  links: ["plaintext", "authenticated", "encrypted"],
  nodes: 4,
  inflight: 64,
  payloadBytes: 16,
  prepare: (settings) => writeGroup(settings, { faults: "byzantine", durable: false }),
  node: (settings, id) => serve(settings, id, Bracha),
  client: (settings) => {
    const text = "a".repeat(settings.payloadBytes)
    return connect(settings, ReliableBroadcast, (rb) => rb.broadcast({ text }))
  }
}
