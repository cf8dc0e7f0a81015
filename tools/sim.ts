/** `npm run sim`: runs a protocol in the simulator, seed after seed. */
import { writeFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { Worker } from "node:worker_threads"
import { EventHash, type NetworkKind, trafficByKind } from "quorate/testing"
import { naturalOf, parsed, type Usage, usageOf } from "./options.ts"
import { PROTOCOLS } from "./protocols.ts"
import { runSeeds, type Seeds, type SeedsDone } from "./seeds.ts"

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
  --network N       envelopes: messages over connections, fast; links: the links of production, over
                    streams that are slow, break at any byte and are meddled with; or both, one
                    after the other. Default: envelopes
  --workers W       in so many threads, or auto: one a core. What comes out is the same, but for
                    the time it takes. Default: 0, in this one
  --drop 2,5        leaves out the 2nd and the 5th fault that were planned
  --shrink          of a run that fails, leaves out faults while it still fails, and prints the rest
  --json            one JSON object on stdout: protocol, network, runs, failures, decided (calls
                    answered), steps, stepsPerSec, seconds, virtualSeconds, logHash (over all
                    runs), traffic (by kind: messages and bytes)
  --traffic         prints what was sent, by kind, below the last line
  --diagram FILE    draws the run as a space-time diagram (SVG); with --runs 1, of one protocol
  --trace           prints the events of each run on stderr
  --help            this text

Exit code: 0; 1 when a run broke a promise, with a line that repeats it; 2 for wrong options.
`
const FAILURES_SHOWN = 10
const PROGRESS_MS = 5_000
/** Runs between two looks at the clock. */
const CHUNK = 20

const NETWORKS: { readonly [name: string]: ReadonlyArray<NetworkKind> } = {
  envelopes: ["envelopes"],
  links: ["links"],
  both: ["envelopes", "links"]
}

const usage: Usage = usageOf("sim")
const natural = naturalOf(usage)

const readOptions = () =>
  parsed(usage, () =>
    parseArgs({
      options: {
        protocol: { type: "string" },
        nodes: { type: "string" },
        seed: { type: "string", default: "1" },
        runs: { type: "string", default: "100" },
        faults: { type: "string", default: "none" },
        network: { type: "string", default: "envelopes" },
        workers: { type: "string", default: "0" },
        drop: { type: "string", default: "" },
        shrink: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        traffic: { type: "boolean", default: false },
        diagram: { type: "string" },
        trace: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    })
  )

const numbers = (text: string): ReadonlySet<number> =>
  new Set(text === "" ? [] : text.split(",").map((one) => natural("drop", one, 1, 1_000_000)))

/** Something that runs seeds: this thread, or another. */
type RunSeeds = (seeds: Seeds) => SeedsDone | Promise<SeedsDone>

const workers: Array<Worker> = []
const startWorker = (): RunSeeds => {
  const worker = new Worker(new URL("./seedsWorker.ts", import.meta.url))
  workers.push(worker)
  return (seeds) =>
    new Promise((resolve, reject) => {
      worker.removeAllListeners()
      worker.once("message", resolve)
      worker.once("error", reject)
      worker.postMessage(seeds)
    })
}

/** Sums up what comes back, in the order of the seeds. */
class Totals {
  failures = 0
  decided = 0
  steps = 0
  virtualMs = 0
  runs = 0
  traffic: SeedsDone["traffic"] = {}
  diagram: string | undefined
  readonly #hash = new EventHash()
  readonly #early = new Map<number, SeedsDone>()
  #next = 0

  /** @param at its place among the chunks, from 0 */
  add(at: number, done: SeedsDone): void {
    this.#early.set(at, done)
    for (let next = this.#early.get(this.#next); next; next = this.#early.get(this.#next)) {
      this.#early.delete(this.#next++)
      for (const hash of next.hashes) this.#hash.text(hash)
    }
    for (const what of done.failures) {
      if (++this.failures <= FAILURES_SHOWN) process.stderr.write(what)
    }
    this.decided += done.answered
    this.steps += done.steps
    this.virtualMs += done.virtualMs
    this.runs += done.hashes.length
    this.diagram = done.diagram
    this.traffic = trafficByKind(rowsOf(this.traffic), rowsOf(done.traffic))
  }

  get logHash(): string {
    return this.#hash.digest()
  }
}

const rowsOf = (traffic: SeedsDone["traffic"]) =>
  Object.entries(traffic).map(([kind, amount]) => ({ kind, ...amount }))

type Values = ReturnType<typeof readOptions>

/** Runs one protocol; returns the number of runs that failed. */
const simulateAll = async (
  protocol: string,
  network: NetworkKind,
  values: Values,
  hands: ReadonlyArray<RunSeeds>
): Promise<number> => {
  const nodes = natural("nodes", values.nodes ?? String(PROTOCOLS[protocol]!.nodes), 1, 64)
  const first = natural("seed", values.seed, 0, 2 ** 52)
  const runs = natural("runs", values.runs, 1, 10_000_000)
  const faults = values.faults === "all" ? "all" : "none"
  const same = {
    protocol,
    nodes,
    faults,
    network,
    drop: numbers(values.drop),
    shrink: values.shrink,
    diagram: values.diagram !== undefined
  } as const
  const totals = new Totals()
  const startMs = performance.now()
  let saidMs = startMs
  let chunk = 0
  const work = async (run: RunSeeds): Promise<void> => {
    for (let at = chunk++; at * CHUNK < runs; at = chunk++) {
      const count = Math.min(CHUNK, runs - at * CHUNK)
      totals.add(at, await run({ ...same, first: first + at * CHUNK, count, trace: values.trace }))
      if (performance.now() < saidMs + PROGRESS_MS) continue
      saidMs = performance.now()
      const done = `${totals.runs} of ${runs} runs, ${totals.failures} failures`
      process.stderr.write(`${nameOf(protocol, network)}: ${done}\n`)
    }
  }
  await Promise.all(hands.map(work))
  print({ protocol, network }, values, totals, Math.round(performance.now() - startMs) / 1000)
  if (values.diagram !== undefined) writeFileSync(values.diagram, totals.diagram ?? "")
  return totals.failures
}

interface What {
  readonly protocol: string
  readonly network: NetworkKind
}
const nameOf = (protocol: string, network: NetworkKind): string =>
  network === "envelopes" ? protocol : `${protocol} over ${network}`

const print = (what: What, values: Values, totals: Totals, seconds: number): void => {
  const { protocol, network } = what
  const { runs, failures, decided, steps, logHash, traffic } = totals
  const stepsPerSec = Math.round(steps / Math.max(seconds, 0.001))
  const virtualSeconds = Math.round(totals.virtualMs / 1000)
  const line = {
    protocol,
    network,
    runs,
    failures,
    decided,
    steps,
    stepsPerSec,
    seconds,
    virtualSeconds
  }
  if (values.json) {
    return void process.stdout.write(`${JSON.stringify({ ...line, logHash, traffic })}\n`)
  }
  process.stdout.write(
    `${nameOf(protocol, network)}: ${runs} runs, ${failures} failures, ` +
      `${decided} calls answered, ` +
      `${steps} steps in ${seconds} s (${stepsPerSec}/s), log ${logHash}\n`
  )
  if (!values.traffic) return
  for (const [kind, { messages, bytes }] of Object.entries(traffic)) {
    process.stdout.write(`  ${kind}: ${messages} messages, ${bytes} bytes\n`)
  }
}

const main = async (): Promise<void> => {
  const values = readOptions()
  if (values.help) return void process.stdout.write(HELP)
  const { protocol, faults } = values
  const names = [...Object.keys(PROTOCOLS), "all"]
  if (protocol === undefined) return usage(`--protocol is missing, one of ${names.join(", ")}`)
  if (!names.includes(protocol))
    return usage(`--protocol ${protocol} is none of ${names.join(", ")}`)
  if (faults !== "all" && faults !== "none")
    return usage(`--faults ${faults} is neither all nor none`)
  const networks = NETWORKS[values.network]
  if (networks === undefined)
    return usage(`--network ${values.network} is none of ${Object.keys(NETWORKS).join(", ")}`)
  if (values.diagram !== undefined && (values.runs !== "1" || protocol === "all"))
    return usage("--diagram draws one run: give --runs 1 and one protocol")
  const wanted = values.workers === "auto" ? String(availableParallelism()) : values.workers
  const threads = natural("workers", wanted, 0, 64)
  const hands = threads === 0 ? [runSeeds] : Array.from({ length: threads }, startWorker)
  for (const name of protocol === "all" ? Object.keys(PROTOCOLS) : [protocol]) {
    for (const network of networks) {
      if ((await simulateAll(name, network, values, hands)) > 0) process.exitCode = 1
    }
  }
  await Promise.all(workers.map((worker) => worker.terminate()))
}

await main()
