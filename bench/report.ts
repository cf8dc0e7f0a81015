/** Results as people and programs read them. */
import { execFileSync } from "node:child_process"
import { cpus } from "node:os"
import type { Measured, Settings } from "./Bench.ts"

/** One line of `--json`. */
export interface Result {
  readonly bench: string
  readonly transport: string
  readonly links: string
  readonly nodes: number
  readonly inflight: number
  readonly payloadBytes: number
  readonly seconds: number
  readonly opsPerSec: number
  readonly p50Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** CPU of all processes together, user and system, over the measured window. */
  readonly cpuUsPerOp: number
  readonly cpuUsPerOpClient: number
  readonly cpuUsPerOpNodes: number
  /** All processes together, at the end of the window. */
  readonly rssMiB: number
  readonly operations: number
  readonly errors: number
  readonly [more: string]: string | number
}

const round = (value: number, digits: number): number => {
  const factor = 10 ** digits
  return Math.round(value * factor) / factor
}

export const resultOf = (settings: Settings, measured: Measured): Result => {
  const { operations, errors, elapsedUs, cpuUs, rssBytes } = measured
  const perOp = (us: number) => round(us / Math.max(1, operations), 3)
  return {
    bench: settings.bench,
    transport: settings.transport,
    links: settings.links,
    nodes: settings.nodes,
    inflight: settings.inflight,
    ...(settings.ratePerSec !== undefined && { ratePerSec: settings.ratePerSec }),
    payloadBytes: settings.payloadBytes,
    seconds: round(elapsedUs / 1e6, 3),
    opsPerSec: round((operations * 1e6) / elapsedUs, 1),
    p50Us: round(measured.p50Us, 3),
    p99Us: round(measured.p99Us, 3),
    p999Us: round(measured.p999Us, 3),
    maxUs: round(measured.maxUs, 3),
    cpuUsPerOp: perOp(cpuUs.client + cpuUs.nodes),
    cpuUsPerOpClient: perOp(cpuUs.client),
    cpuUsPerOpNodes: perOp(cpuUs.nodes),
    rssMiB: round(rssBytes / 2 ** 20, 1),
    operations,
    errors,
    ...measured.more
  }
}

/** How `name` compares with `to`, both in this run. */
export interface Ratio {
  readonly ratio: string
  readonly opsPerSec: number
  /** Below 1: `name` costs less. */
  readonly cpuUsPerOp: number
}

const nameOf = ({ bench, links }: Result): string =>
  links === "plaintext" ? bench : `${bench} ${links}`

export const ratioOf = (one: Result, other: Result): Ratio => ({
  ratio: `${nameOf(one)}/${nameOf(other)}`,
  opsPerSec: round(one.opsPerSec / other.opsPerSec, 3),
  cpuUsPerOp: round(one.cpuUsPerOp / other.cpuUsPerOp, 4)
})

const COLUMNS: ReadonlyArray<
  readonly [title: string, field: keyof Result & string, digits: number]
> = [
  ["bench", "bench", 0],
  ["transport", "transport", 0],
  ["links", "links", 0],
  ["nodes", "nodes", 0],
  ["in flight", "inflight", 0],
  ["payload B", "payloadBytes", 0],
  ["op/s", "opsPerSec", 0],
  ["p50 µs", "p50Us", 1],
  ["p99 µs", "p99Us", 1],
  ["CPU µs/op", "cpuUsPerOp", 2],
  ["client", "cpuUsPerOpClient", 2],
  ["nodes", "cpuUsPerOpNodes", 2],
  ["RSS MiB", "rssMiB", 0],
  ["errors", "errors", 0]
]
const SHOWN = new Set(["seconds", "p999Us", "maxUs", "operations", ...COLUMNS.map(([, f]) => f)])

const cell = (value: string | number, digits: number): string =>
  typeof value === "string"
    ? value
    : value.toLocaleString("en-US", {
        minimumFractionDigits: digits,
        maximumFractionDigits: digits
      })

export const tableOf = (results: ReadonlyArray<Result>): string => {
  const rows = [
    COLUMNS.map(([title]) => title),
    ...results.map((result) => COLUMNS.map(([, field, digits]) => cell(result[field]!, digits)))
  ]
  const widths = COLUMNS.map((_, i) => Math.max(...rows.map((row) => row[i]!.length)))
  const lines = rows.map((row) =>
    row.map((text, i) => (i < 3 ? text.padEnd(widths[i]!) : text.padStart(widths[i]!))).join("  ")
  )
  const more = results.flatMap((result) => {
    const extra = Object.entries(result).filter(([field]) => !SHOWN.has(field))
    if (extra.length === 0) return []
    const texts = extra.map(([field, value]) => `${field} ${cell(value, 1)}`)
    return [`${result.bench}: ${texts.join(", ")}`]
  })
  return [...lines, ...more].join("\n")
}

/** Where and with what: figures without it mean nothing. */
export const machineText = (): string => {
  const [cpu] = cpus()
  const model = cpu?.model.trim() ?? "unknown CPU"
  return `${cpus().length} x ${model}, Node ${process.versions.node}, commit ${commit()}`
}

const git = (...args: ReadonlyArray<string>): string =>
  execFileSync("git", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim()

const commit = (): string => {
  try {
    const changed = git("status", "--porcelain", "--untracked-files=no") !== ""
    return `${git("rev-parse", "--short", "HEAD")}${changed ? " with changes" : ""}`
  } catch {
    return "unknown"
  }
}
