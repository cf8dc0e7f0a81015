/** The command line: options, checked, and the text of `--help`. */
import { parseArgs } from "node:util"
import type { Bench, Links, Settings, Transport } from "./Bench.ts"
import { loadBench, NAMES } from "./registry.ts"

/** A run of several: the ratios are the first one's to the others. */
interface Comparison {
  readonly about: string
  readonly runs: ReadonlyArray<Partial<Settings> & { readonly bench: string }>
}
const LIMIT = { nodes: 1, inflight: 1024 }
export const COMPARISONS: { readonly [name: string]: Comparison } = {
  compare: {
    about: "a quorum call, beside plain Connect and beside bare HTTP/2",
    runs: [{ bench: "quorum-call" }, { bench: "unary" }, { bench: "raw" }]
  },
  "compare-link": {
    about: "an envelope echoed through a link, beside bare HTTP/2 and beside proven links",
    runs: [
      { bench: "link", ...LIMIT },
      { bench: "raw", ...LIMIT },
      { bench: "link", ...LIMIT, links: "authenticated" },
      { bench: "link", ...LIMIT, links: "encrypted" }
    ]
  }
}

const SECONDS = 5
const WARMUP_SECONDS = 2
const INFLIGHT_MAX = 32_768
const PAYLOAD_BYTES_MAX = 1_000_000
const NODES_MAX = 1024

/** A mistake on the command line: one line, then exit code 2. */
export class Usage extends Error {}

export interface Command {
  /** In the order in which they run. */
  readonly runs: ReadonlyArray<{ readonly bench: Bench; readonly settings: Settings }>
  readonly compare: boolean
  readonly json: boolean
  readonly profileFolder: string | undefined
}

const OPTIONS = {
  nodes: { type: "string" },
  inflight: { type: "string" },
  seconds: { type: "string" },
  warmup: { type: "string" },
  payload: { type: "string" },
  rate: { type: "string" },
  transport: { type: "string" },
  links: { type: "string" },
  profile: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false }
} as const

type Values = ReturnType<typeof parse>["values"]
const parse = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({ args: [...args], options: OPTIONS, allowPositionals: true })
  } catch (error) {
    // Node's first sentence; the rest is about arguments that begin with a dash.
    throw new Usage((error as Error).message.split(/\.\s/)[0]!)
  }
}

/** `undefined`: help was asked for. @throws Usage */
export const readCommand = async (args: ReadonlyArray<string>): Promise<Command | undefined> => {
  const { values, positionals } = parse(args)
  if (values.help) return undefined
  const [name, ...more] = positionals
  const known = `benchmarks: ${[...NAMES, ...Object.keys(COMPARISONS)].join(", ")}`
  if (name === undefined) throw new Usage(`which benchmark? ${known}`)
  if (more.length > 0) throw new Usage(`one benchmark a run, not "${positionals.join(" ")}"`)
  const comparison = COMPARISONS[name]
  const compare = comparison !== undefined
  if (!compare && !NAMES.includes(name)) throw new Usage(`no benchmark "${name}"; ${known}`)
  if (compare && (values.transport ?? values.links) !== undefined) {
    const option = values.transport === undefined ? "--links" : "--transport"
    throw new Usage(`${name} says itself how each benchmark is linked: leave ${option} out`)
  }
  const runs = await Promise.all(
    (comparison?.runs ?? [{ bench: name }]).map(async ({ bench: each, ...own }) => {
      const bench = await loadBench(each)
      const asked = Object.keys(values).filter((key) => values[key as keyof Values] !== undefined)
      const kept = Object.fromEntries(Object.entries(own).filter(([key]) => !asked.includes(key)))
      return { bench, settings: { ...settingsOf(each, bench, values), ...kept } }
    })
  )
  return { runs, compare, json: values.json, profileFolder: values.profile }
}

const settingsOf = (name: string, bench: Bench, values: Values): Settings => ({
  bench: name,
  transport: transportOf(name, bench, values.transport),
  links: linksOf(name, bench, values.links),
  nodes: whole("nodes", values.nodes, 1, NODES_MAX) ?? bench.nodes,
  inflight: whole("inflight", values.inflight, 1, INFLIGHT_MAX) ?? bench.inflight,
  ratePerSec: whole("rate", values.rate, 1, 10_000_000),
  seconds: seconds("seconds", values.seconds, SECONDS),
  warmupSeconds: seconds("warmup", values.warmup, WARMUP_SECONDS),
  payloadBytes: whole("payload", values.payload, 0, PAYLOAD_BYTES_MAX) ?? bench.payloadBytes
})

const transportOf = (name: string, bench: Bench, given: string | undefined): Transport => {
  const transport = bench.transports.find((each) => each === (given ?? bench.transports[0]))
  if (transport !== undefined) return transport
  throw new Usage(`${name} runs on --transport ${bench.transports.join(" or ")}, not "${given}"`)
}

const linksOf = (name: string, bench: Bench, given = "plaintext"): Links => {
  const known = bench.links ?? ["plaintext"]
  const links = known.find((each) => each === given)
  if (links !== undefined) return links
  throw new Usage(`${name} runs on --links ${known.join(" or ")}, not "${given}"`)
}

const whole = (
  option: string,
  given: string | undefined,
  min: number,
  max: number
): number | undefined => {
  if (given === undefined) return undefined
  const value = Number(given)
  if (given.trim() !== "" && Number.isSafeInteger(value) && value >= min && value <= max) {
    return value
  }
  throw new Usage(`--${option} is a whole number from ${min} to ${max}, not "${given}"`)
}

const seconds = (option: string, given: string | undefined, otherwise: number): number => {
  const value = given === undefined ? otherwise : Number(given)
  if (given?.trim() !== "" && value > 0 && value <= 3600) return value
  throw new Usage(`--${option} is a number of seconds above 0, at most 3600, not "${given}"`)
}

export const helpText = async (): Promise<string> => {
  const names = await Promise.all(
    NAMES.map(async (name) => {
      const { about, nodes, transports } = await loadBench(name)
      const defaults = `${nodes} nodes; ${transports.join(" or ")}`
      return `  ${name.padEnd(13)} ${about} (${defaults})`
    })
  )
  const comparisons = Object.entries(COMPARISONS)
    .map(([name, { about }]) => `  ${name.padEnd(13)} ${about}`)
    .join("\n")
  return `npm run bench -- NAME [options]

Measures one benchmark, each node and the client in a process of its own on this machine.

${names.join("\n")}
${comparisons}

Options
  --nodes N         nodes of the group
  --inflight K      operations under way at once (closed loop)
  --rate R          begin R operations a second instead (open loop)
  --payload BYTES   bytes of one request, or of one text
  --seconds S       measured time, default ${SECONDS}
  --warmup S        time before it, default ${WARMUP_SECONDS}
  --transport T     one of those that the benchmark has
  --links L         plaintext (default), authenticated or encrypted, where a benchmark has links
  --profile DIR     writes a CPU profile of each process to DIR
  --json            one JSON object a line, instead of a table
  --help            this text

Exit code: 0 measured without an error, 1 an operation or a process failed, 2 wrong command line.
CPU per operation counts all processes together. Absolute figures depend on the machine and on
what else it does: compare what was measured in one run.
`
}
