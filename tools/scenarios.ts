/** Runs in which nothing goes wrong, one of each kind: what a crash is put into, at every step. */
import { choicesOf, type SimulateOptions } from "quorate/testing"
import { calmOf, PROTOCOLS } from "./protocols.ts"

/** As small as limits may be: a log is cut every few calls. */
const SMALL = {
  bodyBytesMax: 512,
  batchBytesMax: 2048,
  batchBytesTarget: 512,
  fragmentBytes: 256,
  creditBytes: 3584,
  linkBytes: 8192,
  cursorBytesMax: 1024,
  logSegmentBytes: 4096
} as const
const text = "a".repeat(200)
const puts = choicesOf(PROTOCOLS["paxos"]!.spec, {
  submit: [{ command: { case: "put", value: { key: "k", value: text } } }]
})
/** A key of its own for each, so that the state grows. */
const manyPuts = choicesOf(PROTOCOLS["paxos"]!.spec, {
  submit: Array.from({ length: 20 }, (_, i) => ({
    command: { case: "put", value: { key: `k${i}`, value: text } }
  }))
})
const FETCHES = {
  fetchBytesMax: 16_384,
  fetchChunkBytes: 128,
  fetchAsksMax: 2,
  fetchBytesPerSecond: 5_000,
  fetchTimeoutMs: 500,
  fetchStallMs: 2_000
} as const

type Scenario = (seed: number) => SimulateOptions

export const SCENARIOS: { readonly [name: string]: Scenario } = {
  ...Object.fromEntries(
    Object.keys(PROTOCOLS).map((name): [string, Scenario] => [name, (seed) => calmOf(name, seed)])
  ),
  /** Each node writes checkpoints, deletes segments, and boots from what is left. */
  "checkpoints of reliable-broadcast": (seed) => ({
    ...calmOf("reliable-broadcast", seed),
    ...{ limits: SMALL, callsPerClient: 6 },
    choices: choicesOf(PROTOCOLS["reliable-broadcast"]!.spec, { broadcast: [{ text }] })
  }),
  "checkpoints of paxos": (seed) => ({
    ...calmOf("paxos", seed),
    ...{ limits: SMALL, callsPerClient: 8 },
    choices: puts
  }),
  /** There is room for two clients' sessions, and more of them come. */
  evictions: (seed) => ({
    ...calmOf("reliable-broadcast", seed),
    // Totality is promised of sessions that are open everywhere.
    promises: { totality: false, quorums: true },
    ...{ clients: 4, callsPerClient: 1, limits: { sessionsMax: 2, sessionEvictAgeMs: 50 } }
  }),
  /** Node 1 is away while calls come: another takes its slots over, and it comes back. */
  "leader change": (seed) => ({
    ...calmOf("counter", seed),
    script: ({ world, hosts }) => {
      world.time.after(150, () => hosts[0]!.crash())
      world.time.after(3_500, () => hosts[0]!.boot())
    }
  }),
  /**
   * Node 3 is away until what it missed has left the others' tails, and fetches their state. Then
   * node 2 is away, so that nothing goes on without it.
   */
  "state transfer": (seed) => ({
    ...calmOf("paxos", seed),
    ...{ limits: { ...SMALL, tailBytesMax: 2048 }, callsPerClient: 10 },
    ...{ habits: { openMax: 1, gapMsMax: 600 }, choices: puts, scriptMs: 5_000 },
    script: ({ world: { time, network }, hosts }) => {
      const apart = (away: number, ms: number): void => {
        for (const { node } of hosts) if (node !== away) network.cut(node, away, ms)
      }
      time.after(150, () => apart(3, 3_350))
      time.after(3_600, () => apart(2, 1_000))
    }
  }),
  /** The same with a state of several messages, which node 3 fetches from both others. */
  "large state": (seed) => ({
    ...calmOf("paxos", seed),
    ...{ limits: { ...SMALL, ...FETCHES, tailBytesMax: 2048 }, callsPerClient: 20 },
    ...{ habits: { openMax: 1, gapMsMax: 300 }, choices: manyPuts, scriptMs: 6_500 },
    script: ({ world: { time, network }, hosts }) => {
      const apart = (away: number, ms: number): void => {
        for (const { node } of hosts) if (node !== away) network.cut(node, away, ms)
      }
      time.after(150, () => apart(3, 3_350))
      time.after(5_500, () => apart(2, 1_000))
    }
  }),
  /** Members forget all, and keep out of what they may have spoken in. */
  "without disks": (seed) => ({ ...calmOf("reliable-broadcast", seed), durable: false })
}
