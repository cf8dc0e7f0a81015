/** Reliable broadcast under everything the simulator has, and the bugs it must find. */
import { Context, Effect } from "effect"
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import {
  choicesOf,
  type Decorate,
  type SimulateOptions,
  Simulation,
  simulate
} from "../../src/testing/index.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import {
  deafToWants,
  firstFailure,
  forgetting,
  quorumOneShort,
  replyBeforeDurable
} from "./support.ts"

const calls = { broadcast: [{ text: "a" }, { text: "b" }, { text: "c" }] }
const OPTIONS: Omit<SimulateOptions, "seed"> = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 1,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, calls),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
}

describe("reliable broadcast with one Byzantine node of four", () => {
  it("keeps every promise in 60 seeds with all faults, liars and bad clients", SLOW, () => {
    const totals = { decided: 0, crashes: 0, breaks: 0, steps: 0 }
    for (let seed = 1; seed <= seedsOf(60); seed++) {
      const run = simulate({ ...OPTIONS, seed })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      totals.decided += run.checkers.answered
      totals.crashes += run.crashes
      totals.breaks += run.breaks
      totals.steps += run.steps
    }
    // The runs are worth something: calls were answered, and things did go wrong.
    expect(totals.decided).toBeGreaterThan(seedsOf(450))
    expect(totals.crashes).toBeGreaterThan(seedsOf(90))
    expect(totals.breaks).toBeGreaterThan(seedsOf(900))
    expect(totals.steps).toBeGreaterThan(seedsOf(90_000))
  })

  it("answers everything when nothing goes wrong", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const run = simulate({ ...OPTIONS, seed, faults: "none" })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      expect(run.checkers.answered).toBe(run.checkers.calls.length)
      expect([run.crashes, run.breaks, run.correct.length]).toEqual([0, 0, 4])
    }
  })

  it.each([5, 7])("works with %i nodes", (nodes) => {
    const byzantine = Math.floor((nodes - 1) / 3)
    expect(firstFailure({ ...OPTIONS, nodes, byzantine }, seedsOf(20))?.failure).toBeUndefined()
  })
})

describe("a planted bug", () => {
  const bugs: ReadonlyArray<readonly [string, Decorate, RegExp]> = [
    ["a quorum one short", quorumOneShort, /agreement|no correct node gave|totality/],
    ["a reply before it is durable", replyBeforeDurable, /P11/],
    ["a restart that forgets what was said", forgetting("word"), /numbers its word|P4|P5/],
    ["a restart that forgets what was answered", forgetting("final"), /at most once/],
    ["words that are not repeated after a break", deafToWants, /P5|no answer/]
  ]
  it.each(bugs)("is found within 500 seeds: %s", (_, decorate, what) => {
    // Judged by what comes of it alone, not by counting who spoke.
    const promises = { totality: true, quorums: false }
    expect(firstFailure({ ...OPTIONS, promises, decorate }, 500)?.failure).toMatch(what)
  })

  it("in a protocol is found too: delivering at one honest ready", () => {
    const Hasty = ReliableBroadcast.protocol({
      broadcast: ({ message, forward }) => forward.echo(message),
      echo: ({ message, forward }) => forward.ready(message),
      ready: ({ message, reply }) => reply({ text: message.text })
    })
    const promises = { totality: true, quorums: false }
    expect(firstFailure({ ...OPTIONS, promises, spec: Hasty.spec }, 500)?.failure).toMatch(
      /agreement|totality/
    )
  })
})

describe("Simulation.check", () => {
  const options = { nodes: 4, byzantine: 1, runs: 20, calls }
  const failureOf = (check: Effect.Effect<unknown, Simulation.SimulationFailed>) =>
    Effect.runPromise(Effect.flip(check))

  it("passes what holds, and says what it ran", async () => {
    const simulated = await Effect.runPromise(
      Simulation.check(Bracha, options, (run) => [
        run.agreement("broadcast", (d) => d.text),
        run.answered("broadcast", 3),
        run.totality("broadcast")
      ])
    )
    expect(simulated.runs).toBe(20)
    expect(simulated.decided).toBeGreaterThan(50)
  })

  it("shows each correct node's answer to each call", async () => {
    await Effect.runPromise(
      Simulation.check(Bracha, { ...options, faults: "none" }, (run) => {
        const replies = run.replies("broadcast")
        expect(new Set(replies.map((reply) => reply.from))).toEqual(new Set([1, 2, 3, 4]))
        expect(new Set(replies.map((reply) => reply.message.text))).toEqual(new Set("abc"))
        return []
      })
    )
  })

  it("fails with the property that does not hold, and the line that repeats the run", async () => {
    const never = Simulation.check(Bracha, options, () => ({ holds: false, why: "never" }))
    const failure = await failureOf(never)
    expect(failure.message).toBe(
      "never\n  repeat: Simulation.check(rb.v1.ReliableBroadcast, { …, seed: 1, runs: 1 })"
    )
    const five = Simulation.check(Bracha, options, (run) => run.answered("broadcast", 5))
    expect((await failureOf(five)).why).toMatch(/^answered: call \d+ .* has \d of 5 answers$/)
    let keys = 0
    const unlike = Simulation.check(Bracha, options, (run) =>
      run.agreement("broadcast", () => keys++)
    )
    expect((await failureOf(unlike)).why).toMatch(/^agreement: nodes \d and \d answered call \d+/)
  })

  it("runs entry handlers' Effects, and refuses those that wait for real time", async () => {
    const handlers = (entry: Effect.Effect<void>) =>
      ReliableBroadcast.protocol({
        broadcast: ({ message, reply }) => Effect.as(entry, reply({ text: message.text })),
        echo: ({ wait }) => wait,
        ready: ({ wait }) => wait
      })
    const calm = { nodes: 3, runs: 3, calls, faults: "none" } as const
    await Effect.runPromise(Simulation.check(handlers(Effect.void), calm))
    const waiting = Simulation.check(handlers(Effect.promise(() => new Promise(() => {}))), calm)
    expect((await failureOf(waiting)).why).toContain("asynchronous")
  })

  it("gives entry handlers the services of its context", async () => {
    class Shout extends Context.Service<Shout, { readonly loud: (text: string) => string }>()(
      "test/Shout"
    ) {}
    const Loud = ReliableBroadcast.protocol({
      broadcast: ({ message, reply }) =>
        Effect.map(Shout, ({ loud }) => reply({ text: loud(message.text) })),
      echo: ({ wait }) => wait,
      ready: ({ wait }) => wait
    })
    const check = Simulation.check(Loud, { ...options, faults: "none" }, (run) => {
      const texts = new Set(run.replies("broadcast").map((reply) => reply.message.text))
      return texts.has("a") ? { holds: false, why: "not loud" } : []
    })
    const loud = (text: string): string => text.toUpperCase()
    await Effect.runPromise(Effect.provideService(check, Shout, { loud }))
  })

  it("refuses a request of no method, and no request at all", async () => {
    const none = Simulation.check(Bracha, { ...options, calls: {} })
    await expect(Effect.runPromise(none)).rejects.toThrow("name at least one request")
    expect(() => choicesOf(Bracha.spec, { shout: [{ text: "a" }] })).toThrow("has no method shout")
  })
})
