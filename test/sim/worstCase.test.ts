/** P8: how full the tables of a node become, where limits are small and somebody floods. */
import { expect, it } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { encodeMessage } from "../../src/link/envelope.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import { methodId } from "../../src/server/Message.ts"
import { boundsOf, worstGroupOf } from "../../src/testing/checkBounds.ts"
import { choicesOf, type SimulationParts, simulate } from "../../src/testing/index.ts"
import { EPOCH_MS } from "../../src/testing/world.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { PROTOCOLS } from "../../tools/protocols.ts"

const SMALL: Partial<Limits> = {
  ...{ bodyBytesMax: 512, batchBytesMax: 2048, batchBytesTarget: 512, linkBytes: 8192 },
  ...{ fragmentBytes: 256, creditBytes: 3584 },
  ...{ cursorBytesMax: 1024, tailBytesMax: 2048, logSegmentBytes: 4096 },
  ...{ sessionsMax: 8, sessionsPerClientMax: 4, sessionEvictAgeMs: 200, windowCalls: 8 },
  ...{ clientBytesMax: 2048, clientsBytesMax: 8192, earlyVotesMax: 8, parkedMax: 4, runsMax: 4 },
  ...{ callsPerClientMax: 16, callsMax: 32, unfinishedMax: 64, applyAheadMax: 8, readsMax: 4 }
}
const FLOODER = 120_000

/** A client that sends each node hundreds of calls in sessions without end, from 100 ms to 3 s. */
const flood =
  (methods: ReadonlyArray<string>, bodies: ReadonlyArray<Uint8Array>) =>
  ({ world: { network, time }, hosts }: SimulationParts): void => {
    network.attach(FLOODER, {
      hello: () => ({ storeId: "", horizonMs: 0 }),
      ...{ opened: () => {}, closed: () => {}, receive: () => {} }
    })
    const nodes = new Set(hosts.map(({ node }) => node))
    for (const node of nodes) network.join(FLOODER, node)
    let sent = 0
    const more = (): void => {
      for (let left = 10; left > 0; left--) {
        const number = sent++
        const id = new Uint8Array(16).fill(number % 251)
        const session = sessionKey(EPOCH_MS + time.nowMs - (time.nowMs % 100), id)
        const method = methodId(methods[number % methods.length]!)
        const body = bodies[number % bodies.length]!
        const call = { session, index: 1 + (number % 16), ackedBelow: 1, method, deadlineMs: 0 }
        const bytes = encodeMessage({ kind: "request", ...call, body })
        for (const node of nodes) network.send(FLOODER, node, bytes)
      }
      if (time.nowMs < 3_000) time.after(20, more)
    }
    time.after(100, more)
  }

it.each(Object.keys(PROTOCOLS))(
  "no adversary exceeds a bound, small as they are: %s",
  SLOW,
  (name) => {
    const { spec, model, nodes, calls, promises, leader } = PROTOCOLS[name]!
    const choices = choicesOf(spec, calls)
    const methods = spec.methods.filter(({ call }) => call === "multiparty")
    const script = flood(
      methods.map(({ fullName }) => fullName),
      choices.map(({ body }) => body)
    )
    const highest: { [table: string]: number } = {}
    for (let seed = 1; seed <= seedsOf(5); seed++) {
      const run = simulate({
        ...{ spec, model, nodes, choices, leader, seed, script, limits: SMALL },
        ...{ byzantine: model === "byzantine" ? 1 : 0, faults: "all", crash: true },
        ...{ clients: 4, promises: { ...promises, totality: false } }
      })
      // Calls of others may be refused for as long as it lasts, and that is all.
      expect(run.failure ?? "", `seed ${seed}`).not.toMatch(/P8|threw|halted/)
      for (const [table, count] of Object.entries(run.checkers.highest)) {
        highest[table] = Math.max(count, highest[table] ?? 0)
      }
    }
    const bounds = boundsOf({ ...LIMITS, ...SMALL }, worstGroupOf(spec, nodes))
    const rows = Object.entries(bounds).map(
      ([table, most]) => `  ${table}: at most ${most}, highest seen ${highest[table]}`
    )
    console.log(`${name}, limits as small as may be, flooded:\n${rows.join("\n")}`)
    // It was a flood.
    expect(highest["sessions"]).toBe(SMALL.sessionsMax)
  }
)
