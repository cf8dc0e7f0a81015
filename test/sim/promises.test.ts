/** The judges of P1, P6, P8, each on a planted fault; P12 and P14 as runs show them. */
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { LIMITS } from "../../src/base/limits.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import type { Word } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { boundsOf, overfull, worstGroupOf } from "../../src/testing/checkBounds.ts"
import { seenOnce } from "../../src/testing/checkHandlers.ts"
import { OrderCheck } from "../../src/testing/checkOrder.ts"
import {
  choicesOf,
  type SimulateOptions,
  type SimulationParts,
  type SimulationRun,
  simulate
} from "../../src/testing/index.ts"
import { calmOf, PROTOCOLS } from "../../tools/protocols.ts"
import { protocolOf } from "../support/engines.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"

describe("the judge of handlers (P1)", () => {
  const show = (contexts: ReadonlyArray<object>, step: unknown = []): ReadonlyArray<string> => {
    const told: Array<string> = []
    const spec: ProtocolSpec = protocolOf("p", {
      hear: ["phase", () => step as never],
      count: ["phase", { lane: "slots", index: () => 1, quorum: () => step as never }]
    })
    const [hear, count] = seenOnce((what) => told.push(what), spec, 1).methods
    for (const context of contexts) {
      const { handler } = "votes" in context ? count! : hear!
      ;(typeof handler === "function" ? handler : handler.quorum!)(context)
    }
    return told
  }
  const heard = { index: 1, round: 0, author: 2, call: { key: "s/1" } }

  it("takes each message once, per call, index, phase, round and author", () => {
    const others = [
      { ...heard, author: 3 },
      { ...heard, round: 1 },
      { ...heard, call: { key: "t" } }
    ]
    const votes = { index: 1, round: 0, votes: { author: 2 } }
    expect(show([heard, ...others, votes, { ...votes, index: 2 }])).toEqual([])
    expect(show([heard, heard])[0]).toContain("P1: node 1 was shown the message of node 2 twice")
    expect(show([votes, votes])[0]).toContain("count of slots/1 round 0")
  })

  it("takes a parked one again, once it is woken", () => {
    expect(show([heard, heard], { kind: "park", key: "k" })).toEqual([])
  })
})

describe("the judge of order (P6)", () => {
  const word = (position: number, to?: ReadonlyArray<number>): Word => ({
    ...{ kind: "word", position, lane: sessionKey(1000, new Uint8Array(16)), index: 1 },
    ...{ method: 1, round: 0, ackedBelow: 1, body: new Uint8Array(), ...(to && { to }) }
  })
  const said = [word(1), word(2), word(3, [3]), word(4)]
  const told = (...came: ReadonlyArray<number | "resume 1" | "resume 2">): string => {
    const failures: Array<string> = []
    const order = new OrderCheck(
      (what) => failures.push(what),
      () => said,
      () => false
    )
    order.linkUp(1, 2)
    for (const one of came) {
      if (typeof one === "number") order.came(1, 2, said[one - 1]!)
      else order.came(1, 2, { kind: "resume", position: Number(one.slice(-1)) })
    }
    return failures.join()
  }

  it("takes words in order, again, and without those that are for others", () => {
    expect(told("resume 1", 1, 2, 4)).toBe("")
    expect(told("resume 1", 1, 2, 1, 4, 2)).toBe("")
    expect(told("resume 2", 2, "resume 1", 1, 2)).toBe("")
  })

  it("takes it that words are left out which a higher round has taken the place of", () => {
    const heard = (outdated: number): ReadonlyArray<string> => {
      const failures: Array<string> = []
      const order = new OrderCheck(
        (what) => failures.push(what),
        () => said,
        (_, word) => word.position === outdated
      )
      order.linkUp(1, 2)
      order.came(1, 2, { kind: "resume", position: 1 })
      order.came(1, 2, said[1]!)
      return failures
    }
    expect(heard(1)).toEqual([])
    expect(heard(2)).toHaveLength(1)
  })

  it("takes it that words are gone which the receiver has told as done", () => {
    const failures: Array<string> = []
    const order = new OrderCheck(
      (what) => failures.push(what),
      () => said,
      () => false
    )
    order.linkUp(1, 2)
    order.came(2, 1, { kind: "taken", taken: 2, done: 1 })
    order.came(1, 2, { kind: "resume", position: 1 })
    order.came(1, 2, said[1]!)
    expect(failures).toEqual([])
  })

  it("finds one left out, and one that comes before it is told where words go on", () => {
    expect(told("resume 1", 1, 4)).toBe("P6: word 4 of node 2 came to node 1 before word 2")
    expect(told("resume 1", 2)).toContain("before word 1")
    expect(told(1)).toContain("unasked")
  })
})

it("the judge of bounds (P8) names the table that is too full, or not there", () => {
  const bounds = boundsOf({ ...LIMITS, runsMax: 2 }, worstGroupOf(Bracha.spec, 4))
  const empty = Object.fromEntries(Object.keys(bounds).map((table) => [table, 0]))
  expect(overfull(empty, bounds)).toBeUndefined()
  expect(overfull({ ...empty, runs: 3 }, bounds)).toBe("table runs holds 3, at most 2 may be")
  expect(overfull({ ...empty, sessions: 5000 }, bounds)).toContain("sessions holds 5000")
  expect(overfull({}, bounds)).toContain("is not there")
})

describe("P12: a handler that throws", () => {
  const broken = (spec: ProtocolSpec, throws: (text: string) => boolean): ProtocolSpec => ({
    ...spec,
    methods: spec.methods.map((method) => {
      if (method.name !== "echo") return method
      const { handler } = method
      const run = typeof handler === "function" ? handler : (handler.quorum ?? handler.each)!
      const quorum = (context: any): unknown => {
        if (throws((context.votes?.message ?? context.message).text)) throw new Error("planted")
        return run(context)
      }
      return { ...method, handler: typeof handler === "function" ? quorum : { ...handler, quorum } }
    })
  })
  const options: Omit<SimulateOptions, "seed"> = {
    spec: Bracha.spec,
    nodes: 4,
    byzantine: 0,
    model: "byzantine",
    choices: choicesOf(Bracha.spec, { broadcast: [{ text: "a" }, { text: "b" }] }),
    faults: "all",
    crash: true,
    promises: { totality: true, quorums: true },
    mayPoison: true
  }

  it("at one node hurts no call: three others answer it", SLOW, () => {
    const decorate = {
      spec: (spec: ProtocolSpec, node: number) =>
        node === 2 ? broken(spec, (text) => text === "b") : spec
    }
    for (let seed = 1; seed <= seedsOf(30); seed++) {
      // Together with a node that lost its disk these would be two that fail.
      const run = simulate({ ...options, leader: 0, crash: seed % 2 === 0, seed, decorate })
      if (run.correct.length < 4) continue
      expect(run.failure, `seed ${seed}`).toBeUndefined()
    }
  })

  it("at all nodes hurts the calls that it throws for, and no other", SLOW, () => {
    const decorate = { spec: (spec: ProtocolSpec) => broken(spec, (text) => text === "b") }
    let [answered, failed] = [0, 0]
    for (let seed = 1; seed <= 30; seed++) {
      const run = simulate({ ...options, faults: "none", seed, decorate })
      expect(run.failure).toMatch(/call \d+ failed: poisoned/)
      const calls = run.checkers.calls.filter(({ result }) => result !== undefined)
      answered += calls.filter(({ result }) => result!.ok).length
      failed += calls.filter(({ result }) => !result!.ok).length
    }
    expect(failed).toBe(30)
    expect(answered).toBeGreaterThan(10)
  })
})

describe.each(Object.keys(PROTOCOLS))("P14 in %s: of one member that is stuck", (name) => {
  const slowest = (run: SimulationRun): number =>
    Math.max(...run.checkers.calls.map(({ calledMs, endedMs }) => endedMs - calledMs))
  const stuck: ReadonlyArray<readonly [string, (parts: SimulationParts) => void]> = [
    ["the disk answers no more", ({ hosts }) => hosts[1]!.stallDisk(8000)],
    ["the process is gone", ({ hosts }) => hosts[1]!.crash()],
    [
      "the links swallow what it says",
      ({ hosts, world }) => {
        for (const { node } of hosts) if (node !== 2) world.network.mute(2, node, 8000)
      }
    ]
  ]
  it.each(stuck)("the others notice nothing: %s", SLOW, (_, happens) => {
    for (let seed = 1; seed <= seedsOf(6); seed++) {
      const options = { ...calmOf(name, seed), clients: 3, callsPerClient: 6 }
      const well = simulate(options)
      const run = simulate({
        ...options,
        script: (parts) => {
          parts.world.time.after(400, () => happens(parts))
          parts.world.time.after(9000, () => parts.hosts[1]!.boot())
        }
      })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      // A call takes what it takes without the fastest quorum, not the seconds that one is stuck.
      expect(slowest(run), `seed ${seed}`).toBeLessThan(1000 + 2 * slowest(well))
    }
  })
})
