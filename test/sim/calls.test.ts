import { expect, it } from "vitest"
import { choicesOf, simulate } from "../../src/testing/index.ts"
import { protocolOf } from "../support/engines.ts"

const echo = protocolOf("echo", {
  ask: ["quorum", ({ message, reply }) => reply(message)],
  one: ["rpc", ({ message, reply }) => reply(message)]
})

it("calls without phases run in the simulator: each node names them on its own", () => {
  const choices = choicesOf(echo, { ask: [{ text: "a" }], one: [{ text: "b" }] })
  const promises = { totality: false, quorums: false }
  const group = { nodes: 3, byzantine: 0, model: "crash" as const, crash: true }
  let answered = 0
  for (let seed = 1; seed <= 20; seed++) {
    const run = simulate({ spec: echo, ...group, seed, choices, promises, faults: "all" })
    expect(run.failure).toBeUndefined()
    answered += run.checkers.answered
  }
  expect(answered).toBeGreaterThan(20)
})
