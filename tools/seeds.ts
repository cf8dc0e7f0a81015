/** Runs one protocol with some seeds in a row, in this thread: what `npm run sim` repeats. */
import {
  choicesOf,
  type NetworkKind,
  type SimulateOptions,
  type SimulationRun,
  shrink,
  simulate,
  spaceTime,
  Tap,
  type Traffic,
  trafficByKind
} from "quorate/testing"
import { PROTOCOLS } from "./protocols.ts"

/** Plain data: it is posted to workers. */
export interface Seeds {
  readonly protocol: string
  readonly nodes: number
  readonly first: number
  readonly count: number
  readonly faults: "none" | "all"
  readonly network: NetworkKind
  readonly drop: ReadonlySet<number>
  readonly shrink: boolean
  readonly trace: boolean
  /** Draws what happened; of one run. */
  readonly diagram: boolean
}

export interface SeedsDone {
  /** What went wrong, with the line that repeats it. */
  readonly failures: ReadonlyArray<string>
  readonly answered: number
  readonly steps: number
  readonly virtualMs: number
  /** Of each run, in order. */
  readonly hashes: ReadonlyArray<string>
  readonly traffic: ReturnType<typeof trafficByKind>
  /** SVG, where it was asked for. */
  readonly diagram?: string
}

export const runSeeds = (seeds: Seeds): SeedsDone => {
  const { first, count } = seeds
  const failures: Array<string> = []
  const hashes: Array<string> = []
  const traffic: Array<ReadonlyArray<Traffic>> = []
  let [answered, steps, virtualMs] = [0, 0, 0]
  const tap = seeds.diagram ? new Tap(DIAGRAM_EVENTS) : undefined
  for (let seed = first; seed < first + count; seed++) {
    const options = { ...optionsOf(seeds, seed), ...(tap && { tap }) }
    const run = simulate(options)
    answered += run.checkers.answered
    steps += run.steps
    virtualMs += run.virtualMs
    hashes.push(run.hash)
    traffic.push(run.traffic)
    if (run.failure !== undefined) failures.push(failed(seeds, options, run))
  }
  const sums = { answered, steps, virtualMs, hashes, traffic: trafficByKind(...traffic) }
  if (tap === undefined) return { failures, ...sums }
  const title = `${seeds.protocol}, ${seeds.nodes} nodes, seed ${first}`
  return { failures, ...sums, diagram: spaceTime(tap.events(), { title }) }
}
/** A run has some ten thousand. */
const DIAGRAM_EVENTS = 1_000_000

const optionsOf = (seeds: Seeds, seed: number): SimulateOptions => {
  const { protocol, nodes, faults, network, drop } = seeds
  const { spec, model, promises, leader, calls } = PROTOCOLS[protocol]!
  const byzantine = model === "byzantine" ? Math.floor((nodes - 1) / 3) : 0
  const choices = choicesOf(spec, calls)
  const trace = seeds.trace && { trace: (line: string) => void process.stderr.write(`${line}\n`) }
  return {
    ...{ spec, model, promises, leader, nodes, byzantine, seed, choices, faults, crash: true },
    ...{ network, drop, ...trace }
  }
}

/** The failure, the faults that led to it, and the line that repeats it. */
const failed = (seeds: Seeds, options: SimulateOptions, run: SimulationRun): string => {
  const { protocol, nodes, faults, network } = seeds
  const shrunk = seeds.shrink ? shrink(options) : undefined
  const drop = shrunk?.drop ?? seeds.drop
  const left = shrunk?.run.faults.flatMap(({ atMs, fault }, i) =>
    drop.has(i + 1) ? [] : [`  at ${atMs} ms: ${JSON.stringify(fault)}\n`]
  )
  const repeat =
    `npm run sim -- --protocol ${protocol} --nodes ${nodes} --seed ${run.seed} --runs 1` +
    (faults === "all" ? " --faults all" : "") +
    (network === "links" ? " --network links" : "") +
    (drop.size > 0 ? ` --drop ${[...drop].sort((a, b) => a - b).join(",")}` : "")
  const why = shrunk?.run.failure ?? run.failure
  return `seed ${run.seed}: ${why}\n${left?.join("") ?? ""}  repeat: ${repeat}\n`
}
