/** Runs of the simulator that say what nodes told each other, and how full their tails were. */
import type { Engine } from "../../src/server/engine.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { Paxos } from "../../apps/paxos/protocol.ts"
import {
  choicesOf,
  type Decorate,
  type SimulateOptions,
  type SimulationParts,
  type SimulationRun,
  simulate
} from "../../src/testing/index.ts"
import type { SimHost } from "../../src/testing/simHost.ts"
import { overEngine } from "./support.ts"

const calm = {
  byzantine: 0,
  faults: "none",
  crash: false,
  promises: { totality: true, quorums: true },
  habits: { duplicates: 0, cancels: 0, shortDeadlines: 0, equivocates: false }
} as const
const text = "a".repeat(150)
export type Group = Omit<SimulateOptions, "seed" | "script">

export const BRACHA: Group = {
  ...calm,
  spec: Bracha.spec,
  nodes: 4,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast: [{ text }] })
}
export const PAXOS: Group = {
  ...calm,
  spec: Paxos.spec,
  nodes: 3,
  model: "crash",
  leader: 1,
  choices: choicesOf(Paxos.spec, {
    submit: [{ command: { case: "put", value: { key: "k", value: text } } }]
  })
}

/** Such that tails of a few dozen words are cut. */
export const TINY = {
  bodyBytesMax: 8192,
  batchBytesMax: 16_384,
  batchBytesTarget: 1024,
  fragmentBytes: 4096,
  creditBytes: 32_768,
  linkBytes: 131_072,
  cursorBytesMax: 8192,
  tailBytesMax: 16_384,
  logSegmentBytes: 32_768
} as const

export interface Watched {
  readonly run: SimulationRun
  /** By node: how often it was told, took a state, or gave a call up. */
  readonly saw: ReadonlyMap<
    NodeId,
    { cut: number; behind: number; installed: number; lost: number }
  >
  /** The largest tail, by node. */
  readonly tailBytes: ReadonlyMap<NodeId, number>
}

/** @param plant a bug of every node */
export const watched = (
  options: Group & { readonly seed: number },
  script: (parts: SimulationParts) => void,
  plant: (engine: Engine) => void = () => {}
): Watched => {
  const saw = new Map<NodeId, { cut: number; behind: number; installed: number; lost: number }>()
  const tailBytes = new Map<NodeId, number>()
  const engine: Decorate["engine"] = (engine, node) => {
    plant(engine)
    const seen = saw.get(node) ?? { cut: 0, behind: 0, installed: 0, lost: 0 }
    saw.set(node, seen)
    return overEngine(engine, {
      step: (input) => {
        const outputs = engine.step(input)
        tailBytes.set(node, Math.max(engine.size().tailBytes!, tailBytes.get(node) ?? 0))
        if (input.kind === "message" && input.message.kind === "behind") seen.behind++
        for (const output of outputs) {
          if (output.kind === "report" && output.what === "cut") seen.cut++
          if (output.kind === "report" && output.what === "lost") seen.lost++
          if (output.kind !== "store") continue
          if (output.record.entries.some(({ kind }) => kind === "installed")) seen.installed++
        }
        return outputs
      }
    })
  }
  const run = simulate({ ...options, script, decorate: { engine } })
  return { run, saw, tailBytes }
}

/** Keeps a node from all others, from now on, for so long. */
export const apart = ({ world, hosts }: SimulationParts, node: NodeId, ms: number): void => {
  for (const other of hosts) if (other.node !== node) world.network.cut(node, other.node, ms)
}

/** The application's state, as the node would take it over a restart. */
export const stateOf = ({ core }: SimHost): Uint8Array | undefined =>
  core!.engine.checkpoint().entries.flatMap((e) => (e.kind === "installed" ? [e.body] : []))[0]

/** Milliseconds from call to answer, on average, of those called in [fromMs, toMs). */
export const latencyMs = ({ checkers }: SimulationRun, fromMs: number, toMs: number): number => {
  const calls = checkers.calls.filter((c) => c.calledMs >= fromMs && c.calledMs < toMs)
  const answered = calls.filter((call) => call.result?.ok === true)
  return answered.reduce((sum, call) => sum + call.endedMs - call.calledMs, 0) / answered.length
}
