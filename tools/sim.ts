/** `npm run sim`: runs a protocol in the simulator, seed after seed. */
import { parseArgs } from "node:util"
import {
  choicesOf,
  EventHash,
  type SimulateOptions,
  type SimulationRun,
  shrink,
  simulate
} from "quorate/testing"
import { PROTOCOLS } from "./protocols.ts"

const HELP = `Runs a protocol under random schedules in virtual time, and checks every run.

  npm run sim -- --protocol NAME [options]

  --protocol NAME   ${Object.keys(PROTOCOLS).join(" | ")} | all
                    all: each in turn, with its own number of nodes
  --nodes N         members of the group; default: 4 (Byzantine) or 3 (crash)
  --seed S          seed of the first run; default 1. Run i has seed S + i
  --runs R          default 100
  --faults all      partitions, links cut one way, nodes that crash and restart from their disks,
                    disks that stall, fail and are lost, clocks that jump, clients that die;
                    in a Byzantine group also (N-1)/3 lying nodes and equivocating clients.
                    Default: none, delays only
  --drop 2,5        leaves out the 2nd and the 5th fault that were planned
  --shrink          of a run that fails, leaves out faults while it still fails, and prints the rest
  --json            one JSON object on stdout: protocol, runs, failures, decided (calls
                    answered), steps, stepsPerSec, seconds, logHash (over all runs)
  --trace           prints the events of each run on stderr
  --help            this text

Exit code: 0; 1 when a run broke a promise, with a line that repeats it; 2 for wrong options.
`
const FAILURES_SHOWN = 10
const PROGRESS_MS = 5_000

const usage = (what: string): never => {
  process.stderr.write(`sim: ${what}; --help lists the options\n`)
  process.exit(2)
}

const readOptions = () => {
  try {
    const { values } = parseArgs({
      options: {
        protocol: { type: "string" },
        nodes: { type: "string" },
        seed: { type: "string", default: "1" },
        runs: { type: "string", default: "100" },
        faults: { type: "string", default: "none" },
        drop: { type: "string", default: "" },
        shrink: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        trace: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    })
    return values
  } catch (error) {
    // Node's first sentence; the rest is about arguments that begin with a dash.
    return usage((error as Error).message.split(/\.\s/)[0]!)
  }
}

const natural = (name: string, text: string, least: number, most: number): number => {
  const value = Number(text)
  if (/^[0-9]+$/.test(text) && value >= least && value <= most) return value
  return usage(`--${name} ${text} is no number from ${least} to ${most}`)
}

const numbers = (text: string): ReadonlySet<number> =>
  new Set(text === "" ? [] : text.split(",").map((one) => natural("drop", one, 1, 1_000_000)))

/** The failure, the faults that led to it, and the line that repeats it. */
const failed = (options: SimulateOptions, run: SimulationRun, line: string, shrinks: boolean) => {
  const shrunk = shrinks ? shrink(options) : undefined
  const drop = shrunk?.drop ?? options.drop ?? new Set()
  const left = shrunk?.run.faults.flatMap(({ atMs, fault }, i) =>
    drop.has(i + 1) ? [] : [`  at ${atMs} ms: ${JSON.stringify(fault)}\n`]
  )
  const repeat =
    line +
    (options.faults === "all" ? " --faults all" : "") +
    (drop.size > 0 ? ` --drop ${[...drop].sort((a, b) => a - b).join(",")}` : "")
  const why = shrunk?.run.failure ?? run.failure
  process.stderr.write(`seed ${run.seed}: ${why}\n${left?.join("") ?? ""}  repeat: ${repeat}\n`)
}

interface Totals {
  failures: number
  decided: number
  steps: number
}

/** Runs one protocol; returns the number of runs that failed. */
const simulateAll = (protocol: string, values: ReturnType<typeof readOptions>): number => {
  const entry = PROTOCOLS[protocol]!
  const faults = values.faults === "all" ? "all" : "none"
  const nodes = natural("nodes", values.nodes ?? String(entry.nodes), 1, 64)
  const first = natural("seed", values.seed, 0, 2 ** 52)
  const runs = natural("runs", values.runs, 1, 10_000_000)
  const byzantine = entry.model === "byzantine" ? Math.floor((nodes - 1) / 3) : 0
  const trace = values.trace ? (line: string) => void process.stderr.write(`${line}\n`) : undefined
  const choices = choicesOf(entry.spec, entry.calls)
  const drop = numbers(values.drop)

  const totals: Totals = { failures: 0, decided: 0, steps: 0 }
  const hash = new EventHash()
  const startMs = performance.now()
  let saidMs = startMs
  for (let seed = first; seed < first + runs; seed++) {
    const { spec, model, promises, leader } = entry
    const options: SimulateOptions = {
      ...{ spec, model, promises, leader, nodes, byzantine, seed, choices, faults, crash: true },
      ...{ drop, ...(trace && { trace }) }
    }
    const run = simulate(options)
    totals.decided += run.checkers.answered
    totals.steps += run.steps
    hash.text(run.hash)
    if (run.failure !== undefined && ++totals.failures <= FAILURES_SHOWN) {
      const line = `npm run sim -- --protocol ${protocol} --nodes ${nodes} --seed ${seed} --runs 1`
      failed(options, run, line, values.shrink)
    }
    if (performance.now() < saidMs + PROGRESS_MS) continue
    saidMs = performance.now()
    const done = seed - first + 1
    process.stderr.write(`${done} of ${runs} runs, ${totals.failures} failures\n`)
  }
  const seconds = Math.round(performance.now() - startMs) / 1000
  print(values.json, { protocol, runs, ...totals, seconds, logHash: hash.digest() })
  return totals.failures
}

const print = (
  json: boolean,
  result: Totals & { protocol: string; runs: number; seconds: number; logHash: string }
): void => {
  const { protocol, runs, failures, decided, steps, seconds, logHash } = result
  const stepsPerSec = Math.round(steps / Math.max(seconds, 0.001))
  const line = { protocol, runs, failures, decided, steps, stepsPerSec, seconds, logHash }
  if (json) return void process.stdout.write(`${JSON.stringify(line)}\n`)
  process.stdout.write(
    `${protocol}: ${runs} runs, ${failures} failures, ${decided} calls answered, ` +
      `${steps} steps in ${seconds} s (${stepsPerSec}/s), log ${logHash}\n`
  )
}

const main = (): void => {
  const values = readOptions()
  if (values.help) return void process.stdout.write(HELP)
  const { protocol, faults } = values
  const names = [...Object.keys(PROTOCOLS), "all"]
  if (protocol === undefined) return usage(`--protocol is missing, one of ${names.join(", ")}`)
  if (!names.includes(protocol))
    return usage(`--protocol ${protocol} is none of ${names.join(", ")}`)
  if (faults !== "all" && faults !== "none")
    return usage(`--faults ${faults} is neither all nor none`)
  const chosen = protocol === "all" ? Object.keys(PROTOCOLS) : [protocol]
  const failures = chosen.map((name) => simulateAll(name, values))
  process.exitCode = failures.some((count) => count > 0) ? 1 : 0
}

main()
