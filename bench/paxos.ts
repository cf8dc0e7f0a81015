/**
 * The replicated key-value store: every command is ordered, on disk at a majority, and executed.
 */
import { Effect } from "effect"
import { KeyValue, Paxos } from "../apps/paxos/protocol.ts"
import type { ClusterBench } from "./Bench.ts"
import { connect, serve, writeGroup } from "./quorate.ts"

const KEYS = 1000

export const paxos: ClusterBench = {
  kind: "cluster",
  about: "apps/paxos: puts into the replicated store, durable, data folders in a temporary folder",
  transports: ["link", "unary"],
  nodes: 3,
  inflight: 64,
  payloadBytes: 16,
  prepare: (settings) => writeGroup(settings, { faults: "crash", durable: true }),
  node: (settings, id) => serve(settings, id, Paxos),
  client: (settings) => {
    const value = "a".repeat(settings.payloadBytes)
    let last = 0
    return connect(settings, KeyValue, (store) =>
      Effect.suspend(() => {
        const key = `key-${++last % KEYS}`
        return store.submit({ command: { case: "put", value: { key, value } } })
      })
    )
  }
}
