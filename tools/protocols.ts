/** The protocols that `npm run sim` knows; one line each. */
import { choicesOf, type SimulateOptions } from "quorate/testing"
import { Paxos } from "../apps/paxos/protocol.ts"
import { CounterNode } from "../examples/counter/counter.ts"
import { Bracha } from "../examples/reliable-broadcast/bracha.ts"
import { Meet } from "./meet.ts"
import { Sum } from "./sum.ts"

export interface SimulatedProtocol
  extends Pick<SimulateOptions, "spec" | "model" | "promises" | "leader"> {
  readonly nodes: number
  readonly calls: Parameters<typeof choicesOf>[1]
}
const texts = ["a", "b", "c"].map((text) => ({ text }))
const [key, value] = ["k", "v"]
const commands = [
  { command: { case: "put", value: { key, value } } },
  { command: { case: "get", value: { key } } },
  { command: { case: "compareAndSet", value: { key, expected: value, value: "w" } } },
  { command: { case: "delete", value: { key } } }
] as const
const promises = { totality: true, quorums: true }

export const PROTOCOLS: { readonly [name: string]: SimulatedProtocol } = {
  "reliable-broadcast": {
    ...{ spec: Bracha.spec, model: "byzantine", promises, nodes: 4, calls: { broadcast: texts } }
  },
  counter: {
    ...{ spec: CounterNode.spec, model: "crash", promises, nodes: 3 },
    calls: { add: [{ amount: 1 }, { amount: 20 }, { amount: -3 }] }
  },
  sum: {
    ...{ spec: Sum, model: "crash", promises, nodes: 3, leader: 1 },
    calls: { add: [{ by: 1 }, { by: 20 }, { by: 300 }] }
  },
  meet: {
    ...{ spec: Meet, model: "crash", nodes: 3, calls: { ask: texts } },
    // A node that its client never reached knows nothing of the call.
    promises: { totality: false, quorums: true }
  },
  paxos: {
    ...{ spec: Paxos.spec, model: "crash", promises, nodes: 3, leader: 1 },
    calls: { submit: commands }
  }
}

/** Three calls of one client, and nothing goes wrong: what a crash is put into. */
export const calmOf = (name: string, seed: number): SimulateOptions => {
  const { spec, model, promises, nodes, calls } = PROTOCOLS[name]!
  const choices = choicesOf(spec, calls)
  const calm = {
    faults: "none",
    crash: false,
    byzantine: 0,
    clients: 1,
    callsPerClient: 3
  } as const
  return { spec, model, promises, nodes, seed, choices, ...calm }
}
