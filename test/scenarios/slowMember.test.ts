/** A member on a longer line than the others. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import type { SimulationParts } from "../../src/testing/index.ts"
import { BRACHA, type Group, latencyMs, PAXOS, watched, type Watched } from "../sim/watched.ts"

const WINDOW = 8
const LOAD = {
  clients: 3,
  callsPerClient: 200,
  habits: { ...BRACHA.habits, gapMsMax: 12, openMax: 4 },
  limits: { ...LIMITS, windowCalls: WINDOW, clientSessionsMax: 1 }
} as const

/** What goes to the last node or comes from it takes so much longer. */
const slowBy = (ms: number, group: Group, seed: number): Watched =>
  watched({ ...group, ...LOAD, seed }, ({ world, hosts }: SimulationParts) => {
    const { network, time } = world
    const send = network.send.bind(network)
    const slow = hosts.at(-1)!.node
    network.send = (from, to, bytes, kind) => {
      if (ms === 0 || (from !== slow && to !== slow)) return send(from, to, bytes, kind)
      time.after(ms, () => send(from, to, bytes, kind))
      return network.isUp(from, to)
    }
  })

const END_MS = 60_000

describe.each([
  ["reliable broadcast", BRACHA],
  ["paxos", PAXOS]
])("slow by 60 ms: a member of %s that lags a window behind", { timeout: 60_000 }, (_, group) => {
  it("is not cut off and does not set the group's speed", () => {
    const even = slowBy(0, group, 1)
    const slow = slowBy(60, group, 1)
    for (const { run } of [even, slow]) {
      expect(run.failure).toBeUndefined()
      expect(run.checkers.calls.every((call) => call.result?.ok)).toBe(true)
    }
    for (const seen of slow.saw.values()) {
      expect(seen).toMatchObject({ cut: 0, installed: 0, lost: 0 })
    }
    const [alone, together] = [latencyMs(even.run, 0, END_MS), latencyMs(slow.run, 0, END_MS)]
    // Without it a quorum is all of the others.
    expect(together).toBeLessThan(1.6 * alone)
  })
})
