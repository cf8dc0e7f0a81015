/** `npm run soak`: many calls through a group whose connections are cut all the time. */
import { parseArgs } from "node:util"
import { LIMITS } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { boundsOf, overfull, worstGroupOf } from "../src/testing/checkBounds.ts"
import { naturalOf, parsed, type Usage, usageOf } from "./options.ts"
import { judged, type Verdict, verdictText } from "./soak/curve.ts"
import { type Cluster, startCluster, type Worker } from "./soak/processes.ts"
import { Ledger, soaked } from "./soak/protocol.ts"
import type { Failures, Sample } from "./soak/worker.ts"

const HELP = `Makes multiparty calls through nodes in processes of their own. Every way between two
of them, and from the client to each, leads through a proxy; one connection after the other is
cut. In the end each call must have been answered once, and handed to each node's program once, but
for those that a node says it was a window behind in; memory must not grow behind the first tenth;
no table may be larger than its limit.

  npm run soak -- [options]

  --calls N         default 20000
  --nodes N         default 4
  --minutes M       makes no more calls after so long; default: as long as it takes
  --open N          calls at once; default 64
  --cut-every MS    default 200; 0: never
  --seed S          of what is cut when; default 1
  --transport T     link | unary: how the client calls | unary-alone: nodes too; default link
  --links L         plaintext | authenticated | encrypted; default plaintext
  --durable         nodes write to disk what they say
  --json            one JSON object on stdout
  --help            this text

Exit code: 0; 1 when something did not hold; 2 for wrong options.
`
const PROGRESS_MS = 5_000
const POLL_MS = 500
/** Node's timers reach no further. */
const DELAY_MS_MAX = 2 ** 31 - 1
/** A sample costs every process two collections. */
const SAMPLE_MS_MIN = 4_000
/** After the last answer every node delivers all within this time. */
const DELIVER_MS_MAX = 60_000
const HEAP = { share: 0.1, floorMiB: 4 }
/** It grows in steps, as the allocator takes more: it only tells of what no collection sees. */
const RSS = { share: 0.4, floorMiB: 96 }

const usage: Usage = usageOf("soak")
const natural = naturalOf(usage)
const oneOf = <T extends string>(name: string, text: string, names: ReadonlyArray<T>): T =>
  names.find((it) => it === text) ?? usage(`--${name} ${text} is none of ${names.join(", ")}`)

const readOptions = () => {
  const values = parsed(usage, () =>
    parseArgs({
      options: {
        calls: { type: "string", default: "20000" },
        minutes: { type: "string", default: "1000000" },
        nodes: { type: "string", default: "4" },
        open: { type: "string", default: "64" },
        "cut-every": { type: "string", default: "200" },
        seed: { type: "string", default: "1" },
        transport: { type: "string", default: "link" },
        links: { type: "string", default: "plaintext" },
        durable: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        help: { type: "boolean", default: false }
      }
    })
  )
  if (values.help) {
    process.stdout.write(HELP)
    process.exit(0)
  }
  return {
    calls: natural("calls", values.calls, 100, 100_000_000),
    nodes: natural("nodes", values.nodes, 4, 31),
    minutes: natural("minutes", values.minutes, 1, 1_000_000),
    open: natural("open", values.open, 1, 512),
    cutEveryMs: natural("cut-every", values["cut-every"], 0, 3_600_000),
    seed: natural("seed", values.seed, 1, 1_000_000),
    transport: oneOf("transport", values.transport, ["link", "unary", "unary-alone"]),
    links: oneOf("links", values.links, ["plaintext", "authenticated", "encrypted"]),
    durable: values.durable,
    json: values.json
  }
}
type Options = ReturnType<typeof readOptions>

interface Curve {
  readonly heap: Array<number>
  readonly rss: Array<number>
}

interface Ended {
  readonly made: number
  readonly answered: number
  readonly failed: Failures
}

/** Of one node. */
interface Delivered {
  /** Texts that its program was handed. */
  readonly once: number
  /** Handed to it more than once. */
  readonly again: number
  /** Calls it was so far behind in that their client had gone a window further: let go of. */
  readonly lost: number
}

interface Result {
  readonly calls: number
  readonly answered: number
  readonly failed: Failures
  readonly delivered: ReadonlyArray<Delivered>
  readonly cuts: number
  readonly seconds: number
  readonly callsPerSec: number
  readonly memory: ReadonlyArray<Verdict>
  /** Most that any node's table held, and its limit. */
  readonly tables: { readonly [table: string]: readonly [number, number] }
  readonly dropped: { readonly [reason: string]: number }
  readonly wrong: ReadonlyArray<string>
}

class Soak {
  private readonly options: Options
  private readonly cluster: Cluster
  private readonly random: Prng
  private readonly curves = new Map<string, Curve>()
  private readonly tables: { [table: string]: number } = {}
  private readonly dropped: { [reason: string]: number } = {}
  private readonly wrong = new Set<string>()
  private readonly bounds: ReturnType<typeof boundsOf>
  private sampling: Promise<unknown> = Promise.resolve()
  private sampledMs = 0
  private ended = 0
  private cuts = 0

  constructor(options: Options, cluster: Cluster) {
    this.options = options
    this.cluster = cluster
    this.random = new Prng(options.seed)
    const { spec } = soaked(new Ledger(0))
    this.bounds = boundsOf(LIMITS, worstGroupOf(spec, options.nodes))
  }

  async run(): Promise<Result> {
    const { options, cluster } = this
    const { client } = cluster
    const over = new Promise<Ended>((resolve) => {
      client.on((message) => {
        if (message.kind === "ended") resolve(message)
        if (message.kind !== "at") return
        this.ended = message.ended
        if (performance.now() < this.sampledMs + SAMPLE_MS_MIN) return
        this.sampledMs = performance.now()
        this.sampling = this.sampling.then(() => this.sample())
      })
    })
    const startMs = performance.now()
    await cluster.load()
    const cutting = options.cutEveryMs === 0 ? undefined : this.cutting(options.cutEveryMs)
    const telling = setInterval(() => this.tell(startMs), PROGRESS_MS)
    const enough = setTimeout(
      () => client.tell({ kind: "enough" }),
      Math.min(options.minutes * 60_000, DELAY_MS_MAX)
    )
    const ended = await over
    clearTimeout(enough)
    const seconds = (performance.now() - startMs) / 1000
    clearInterval(cutting)
    clearInterval(telling)
    await this.sampling
    return this.judge(ended, seconds, await this.delivered(ended.made))
  }

  private cutting(everyMs: number): ReturnType<typeof setInterval> {
    return setInterval(() => {
      const there = this.cluster.proxies.filter(({ connections }) => connections > 0)
      if (there.length === 0) return
      const proxy = this.random.pick(there)
      this.cuts++
      // One in eight ends as an orderly one does.
      proxy.cut(this.random.chance(125) ? "end" : "reset")
    }, everyMs)
  }

  private tell(startMs: number): void {
    if (this.options.json) return
    const rate = this.ended / ((performance.now() - startMs) / 1000)
    const share = Math.round((100 * this.ended) / this.options.calls)
    process.stderr.write(`${share} %, ${this.cuts} cuts, ${rate.toFixed(0)} calls/s\n`)
  }

  /** All processes at once. */
  private async sample(): Promise<void> {
    const { nodes, client } = this.cluster
    globalThis.gc?.()
    const memory = process.memoryUsage()
    this.keep("proxies", memory.heapUsed + memory.arrayBuffers, memory.rss)
    await Promise.all([...nodes, client].map((worker) => this.sampleOf(worker)))
  }

  private async sampleOf(worker: Worker, keep = true): Promise<Sample> {
    const it = await worker.ask({ kind: "sample" }, "sample")
    if (keep) this.keep(worker.name, it.heapBytes, it.rssBytes)
    if (worker === this.cluster.client) return it
    const full = overfull({ ...this.zeros(), ...it.tables }, this.bounds)
    if (full !== undefined) this.wrong.add(`${worker.name}: ${full}`)
    for (const [table, count] of Object.entries(it.tables)) {
      this.tables[table] = Math.max(count, this.tables[table] ?? 0)
    }
    return it
  }

  private zeros(): { readonly [table: string]: number } {
    return Object.fromEntries(Object.keys(this.bounds).map((table) => [table, 0]))
  }

  private keep(name: string, heap: number, rss: number): void {
    const curve = this.curves.get(name) ?? { heap: [], rss: [] }
    this.curves.set(name, curve)
    curve.heap.push(heap)
    curve.rss.push(rss)
  }

  /** Once all nodes have delivered all, or time is up. */
  private async delivered(calls: number): Promise<ReadonlyArray<Delivered>> {
    const untilMs = performance.now() + DELIVER_MS_MAX
    for (;;) {
      const samples = await Promise.all(
        this.cluster.nodes.map((node) => this.sampleOf(node, false))
      )
      const told = samples.map(({ delivered: once, again, dropped }) => ({
        ...{ once, again, lost: dropped["lost"] ?? 0 }
      }))
      const all = told.every(({ once, lost }) => once + lost === calls)
      if (all || performance.now() > untilMs) {
        for (const { dropped } of samples) {
          for (const [reason, count] of Object.entries(dropped)) {
            this.dropped[reason] = (this.dropped[reason] ?? 0) + count
          }
        }
        return told
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS))
    }
  }

  private judge(
    { made: calls, answered, failed }: Ended,
    seconds: number,
    delivered: Result["delivered"]
  ): Result {
    const { wrong, cuts, dropped } = this
    if (answered !== calls) wrong.add(`${calls - answered} calls were not answered`)
    for (const [i, { once, again, lost }] of delivered.entries()) {
      if (once + lost !== calls) {
        wrong.add(`node ${i + 1} delivered ${once} of ${calls} texts, and told of ${lost} others`)
      }
      if (again > 0) wrong.add(`node ${i + 1} delivered ${again} texts more than once`)
    }
    const memory = [...this.curves].flatMap(([name, { heap, rss }]) => [
      judged(`${name} heap`, heap, HEAP),
      judged(`${name} rss`, rss, RSS)
    ])
    for (const { name, flat } of memory) if (!flat) wrong.add(`the memory of ${name} rises`)
    const tables = Object.fromEntries(
      Object.entries(this.tables).flatMap(([table, most]) =>
        this.bounds[table] === undefined ? [] : [[table, [most, this.bounds[table]] as const]]
      )
    )
    return {
      ...{ calls, answered, failed, delivered, cuts, seconds, callsPerSec: calls / seconds },
      ...{ memory, tables, dropped, wrong: [...wrong] }
    }
  }
}

const text = (it: Result): string => {
  const failed = Object.entries(it.failed).map(([code, count]) => `, ${count} ${code}`)
  const told = Object.entries(it.dropped).map(([reason, count]) => `${reason} ${count}`)
  const tables = Object.entries(it.tables).map(([table, [most, limit]]) => {
    return `${table.padEnd(14)} ${String(most).padStart(12)} of ${limit}`
  })
  return [
    `${it.calls} calls, ${it.answered} answered${failed.join("")}`,
    `delivered by node: ${it.delivered.map(({ once }) => once).join(", ")}; ` +
      `again: ${it.delivered.map(({ again }) => again).join(", ")}; ` +
      `let go of, a window behind: ${it.delivered.map(({ lost }) => lost).join(", ")}`,
    `${it.cuts} cuts in ${it.seconds.toFixed(0)} s, ${it.callsPerSec.toFixed(0)} calls/s`,
    `dropped: ${told.join(", ") || "nothing"}`,
    "memory, at most a sample for each hundredth of the calls, judged behind the first tenth:",
    ...it.memory.map(verdictText),
    "most that a node's table held, of its limit:",
    ...tables,
    ...it.wrong.map((what) => `WRONG: ${what}`),
    it.wrong.length === 0 ? "all held" : `${it.wrong.length} things did not hold`,
    ""
  ].join("\n")
}

const options = readOptions()
let cluster: Cluster | undefined
const failed = async (why: string): Promise<void> => {
  process.stderr.write(`soak: ${why}\n`)
  await cluster?.stop()
  process.exit(1)
}
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => failed(signal))
cluster = await startCluster(options, failed)
const result = await new Soak(options, cluster).run()
await cluster.stop()
process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : text(result))
process.exitCode = result.wrong.length === 0 ? 0 : 1
