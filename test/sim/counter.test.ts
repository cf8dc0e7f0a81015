/** A counter whose leader changes, and bugs that the simulator must find in it. */
import { describe, expect, it } from "vitest"
import { CounterNode } from "../../examples/counter/counter.ts"
import type { MethodSpec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { choicesOf, type SimulateOptions } from "../../src/testing/index.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"
import { firstFailure, quorumOneShort } from "./support.ts"

const { spec } = CounterNode
const optionsOf = (spec: ProtocolSpec): Omit<SimulateOptions, "seed"> => ({
  spec,
  nodes: 3,
  byzantine: 0,
  model: "crash",
  choices: choicesOf(spec, { add: [{ amount: 1 }, { amount: 10 }, { amount: -3 }] }),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
})

it.each([
  [3, 30],
  [4, 15],
  [5, 15]
])("%i nodes agree, whoever leads", SLOW, (nodes, seeds) => {
  expect(firstFailure({ ...optionsOf(spec), nodes }, seedsOf(seeds))?.failure).toBeUndefined()
})

/** The counter with one method changed. */
const changed = (
  name: string,
  change: (method: MethodSpec) => Partial<MethodSpec>
): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((m) => (m.name === name ? { ...m, ...change(m) } : m))
})
/** Its handler of every message finds one thing changed. */
const given = (name: string, key: string, value: (context: any) => unknown): ProtocolSpec =>
  changed(name, ({ handler }) => {
    const { each, ...rest } = handler as any
    const over = (context: any) => Object.create(context, { [key]: { value: value(context) } })
    return { handler: { ...rest, each: (context: any) => each(over(context)) } }
  })
/** What promises tell of proposals that were accepted. */
const adopting = (adopt: (accepted: ReadonlyArray<{ ballot: number }>) => object): ProtocolSpec =>
  changed("promise", ({ input }) => ({
    input: {
      ...input,
      decode: (bytes) => {
        const message: any = input.decode(bytes)
        return { ...message, accepted: adopt(message.accepted) }
      }
    }
  }))
const uncounted: ProtocolSpec = {
  ...spec,
  world: {
    ...spec.world!,
    application: {
      ...spec.world!.application!,
      initial: () => ({ total: 0 }),
      apply: (state, { amount }) => ({ total: (state.total += amount) })
    }
  }
}

const CONFLICT = /agreement|sequential|two commands were decided/

describe("finds a leader", SLOW, () => {
  it("that a quorum one short has chosen", () => {
    const promises = { totality: true, quorums: false }
    const options = { ...optionsOf(spec), promises, decorate: quorumOneShort }
    expect(firstFailure(options, 100)?.failure).toMatch(CONFLICT)
  })

  it.each<[string, number, ProtocolSpec]>([
    ["that adopts nothing", 30, adopting(() => [])],
    [
      "that adopts the lowest ballot",
      375,
      adopting((all) => all.map((p) => ({ ...p, ballot: 1_000_000 - p.ballot })))
    ],
    ["of nodes that forget what they accepted", 100, given("accept", "store", ({ note }) => note)],
    [
      "of nodes that accept what they promised not to",
      85,
      given("accept", "state", ({ state }) => ({ ...state, promised: 0 }))
    ]
  ])("%s", (_, first, broken) => {
    // From shortly before the first seed that shows it.
    const found = firstFailure(optionsOf(broken), 2000, first)
    expect(found?.failure).toMatch(CONFLICT)
  })
})

it("finds an application that counts a call twice", () => {
  expect(firstFailure(optionsOf(uncounted), 100)?.failure).toMatch(/sequential/)
})
