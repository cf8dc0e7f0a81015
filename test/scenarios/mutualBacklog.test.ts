/** Two halves of a group that owe each other all they can. */
import { describe, expect, it } from "vitest"
import { type Limits, LIMITS } from "../../src/base/limits.ts"
import { trafficByKind, trafficSince, type Traffic } from "../../src/testing/index.ts"
import { BRACHA, type Group, PAXOS, watched } from "../sim/watched.ts"

const [PARTED_MS, HEALED_MS] = [1_500, 8_000]
const LOAD = {
  clients: 16,
  callsPerClient: 60,
  habits: { ...BRACHA.habits, gapMsMax: 60, openMax: 60 },
  scriptMs: HEALED_MS
} as const
const NODES_BELOW = 1_000

/** @param clientsToo each client sees one half alone, so that words come before their calls */
const parted = (group: Group, limits: Partial<Limits>, clientsToo: boolean) => {
  let [before, backlog]: [ReadonlyArray<Traffic>, number] = [[], 0]
  let [saidBefore, saidAfter] = [0, 0]
  const result = watched(
    { ...group, ...LOAD, seed: 2, limits: { ...LIMITS, ...limits } },
    ({ world, hosts, clients }) => {
      const { time, network } = world
      const ends = [...hosts.map(({ node }) => node), ...clients.map(({ endpoint }) => endpoint)]
      time.after(PARTED_MS, () => {
        for (const a of ends) {
          for (const b of ends) {
            const apart = a < b && (a - b) % 2 !== 0 && (clientsToo || b < NODES_BELOW)
            if (apart) network.cut(a, b, HEALED_MS - PARTED_MS)
          }
        }
      })
      time.after(HEALED_MS - 1, () => {
        before = network.traffic()
        saidBefore = said()
        backlog = hosts.reduce((sum, { core }) => sum + core!.engine.size().tail!, 0)
      })
      const said = (): number =>
        hosts.reduce((sum, { core }) => {
          const first = core!.engine.checkpoint().entries[0]
          return sum + (first?.kind === "checkpoint" ? first.last : 0)
        }, 0)
      const look = (): void => {
        saidAfter = said() - saidBefore
        time.after(100, look)
      }
      time.after(HEALED_MS, look)
    }
  )
  const after = trafficSince(before, result.run.traffic).filter(
    ({ from, to }) => from < NODES_BELOW && to < NODES_BELOW
  )
  return { ...result, backlog, saidAfter, after: trafficByKind(after) }
}

describe.each<[string, Group, Partial<Limits>, boolean]>([
  ["reliable broadcast", BRACHA, {}, false],
  ["reliable broadcast and its clients", BRACHA, { earlyVotesMax: 64, windowCalls: 64 }, true],
  ["paxos", { ...PAXOS, nodes: 4 }, {}, false]
])("mutual backlog: a partition of %s with a full backlog", (name, group, limits, clientsToo) => {
  it("heals without deadlock or storm", { timeout: 120_000 }, () => {
    const { run, after, backlog, saidAfter } = parted(group, limits, clientsToo)
    expect(run.failure).toBeUndefined()
    const { calls } = run.checkers
    expect(calls.every((call) => call.result?.ok)).toBe(true)
    expect(calls.length).toBe(LOAD.clients * LOAD.callsPerClient)
    expect(backlog).toBeGreaterThan(2_000)
    const { word, ...others } = after
    const control = Object.values(others).reduce((sum, { messages }) => sum + messages, 0)
    console.log(
      `${name}: a backlog of ${backlog} words, ${saidAfter} said after; ` +
        `${word!.messages} words went over links, beside ${control} other messages`
    )
    // Nobody is sent a word twice: what was said before goes to the other half, the rest to all.
    const owed = 2 * backlog + 3 * saidAfter
    expect(word!.messages).toBeLessThan(owed * (clientsToo ? 2 : 1))
    expect(control).toBeLessThan(word!.messages / 10)
    expect(run.virtualMs).toBeLessThan(HEALED_MS + 20_000)
  })
})
