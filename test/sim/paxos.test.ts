/** Paxos with crashes in the simulator, and the bugs it must find. */
import { describe, expect, it } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import {
  choicesOf,
  type Decorate,
  type SimulateOptions,
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

const [key, value] = ["k", "v"]
const submit = [
  { command: { case: "put", value: { key, value } } },
  { command: { case: "get", value: { key } } },
  { command: { case: "compareAndSet", value: { key, expected: value, value: "w" } } },
  { command: { case: "delete", value: { key } } }
]
const OPTIONS: Omit<SimulateOptions, "seed"> = {
  spec: Paxos.spec,
  nodes: 3,
  byzantine: 0,
  model: "crash",
  leader: 1,
  choices: choicesOf(Paxos.spec, { submit }),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
}

describe("paxos with a fixed leader and durable memory", () => {
  it("keeps every promise in 60 seeds with crashes, breaks and dying clients", SLOW, () => {
    const totals = { decided: 0, crashes: 0 }
    for (let seed = 1; seed <= seedsOf(60); seed++) {
      const run = simulate({ ...OPTIONS, seed })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      totals.decided += run.checkers.answered
      totals.crashes += run.crashes
    }
    expect(totals.decided).toBeGreaterThan(seedsOf(450))
    expect(totals.crashes).toBeGreaterThan(seedsOf(150))
  })

  it("works with 5 nodes", () => {
    expect(firstFailure({ ...OPTIONS, nodes: 5 }, seedsOf(15))?.failure).toBeUndefined()
  })

  const bugs: ReadonlyArray<readonly [string, Decorate, RegExp]> = [
    ["a quorum one short", quorumOneShort, /quorum: node \d finished slots/],
    ["a reply before it is durable", replyBeforeDurable, /P11/],
    ["a restart that forgets what was said", forgetting("word"), /numbers its word|P4|P5/],
    ["a restart that forgets what was decided", forgetting("decided"), /at most once/],
    ["words that are not repeated after a break", deafToWants, /P5|no answer/],
    ["a command that runs for each of its slots", runsTwice(), /sequential|state: node/]
  ]
  it.each(bugs)("is held against: %s, within 500 seeds", (_, decorate, what) => {
    expect(firstFailure({ ...OPTIONS, decorate }, 500)?.failure).toMatch(what)
  })
})

/** A state machine that takes every slot for a call of its own. */
function runsTwice(): Decorate {
  return {
    spec: (spec) => {
      const { application, ...world } = spec.world!
      const apply: NonNullable<typeof application>["apply"] = (state, entry, context) => {
        const session = new Uint8Array(22).fill(context.index)
        return application!.apply(state, { ...entry, call: { ...entry.call, session } }, context)
      }
      return { ...spec, world: { ...world, application: { ...application!, apply } } }
    }
  }
}
