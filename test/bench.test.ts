/** Every benchmark runs, for a moment: its fields are there, nothing fails. No figure is judged. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { Load } from "../bench/load.ts"
import { COMPARISONS } from "../bench/options.ts"
import { NAMES } from "../bench/registry.ts"
import { ROOT } from "./support/repo.ts"

const MOMENT = ["--seconds", "0.2", "--warmup", "0.1"]

interface Ended {
  readonly code: number
  readonly lines: ReadonlyArray<string>
  readonly errors: string
}
const bench = async (...args: ReadonlyArray<string>): Promise<Ended> => {
  const command = ["--conditions=quorate-source", "bench/main.ts", ...args]
  const run = promisify(execFile)(process.execPath, command, { cwd: ROOT })
  const { stdout, stderr, code } = await run.then(
    (ended) => ({ ...ended, code: 0 }),
    (failed: { stdout: string; stderr: string; code: number }) => failed
  )
  return { code, lines: stdout.split("\n").filter((line) => line !== ""), errors: stderr }
}
const measure = async (...args: ReadonlyArray<string>): Promise<Record<string, unknown>> => {
  const { code, lines, errors } = await bench(...args, ...MOMENT, "--json")
  expect({ code, errors }).toEqual({ code: 0, errors: "" })
  expect(lines).toHaveLength(1)
  return JSON.parse(lines[0]!)
}
const POSITIVE = ["opsPerSec", "p50Us", "p99Us", "cpuUsPerOp", "rssMiB"]

it("a window in which nothing ended waits for the first operation that does", async () => {
  const ends: Array<(failed: boolean) => void> = []
  const settings = {
    bench: "raw",
    transport: "link",
    links: "plaintext",
    nodes: 1,
    inflight: 2,
    seconds: 1
  } as const
  const load = new Load(
    { ...settings, ratePerSec: undefined, warmupSeconds: 1, payloadBytes: 0 },
    (done) => void ends.push(done)
  )
  load.start()
  load.measure()
  let waited = true
  const some = load.some().then(() => (waited = false))
  await Promise.resolve()
  expect([ends.length, waited]).toEqual([2, true])
  ends[0]!(false)
  await some
  await load.some()
  expect(load.measured()).toMatchObject({ operations: 1, errors: 0 })
})

describe("npm run bench", () => {
  it.each([
    ["unary", "unary", 3],
    ["quorum-call", "link", 3],
    ["quorum-call", "unary", 3],
    ["all-to-all", "link", 4],
    ["paxos", "link", 3],
    ["raw", "link", 3],
    ["link", "link", 1],
    ["engine", "link", 4],
    ["proofs", "link", 1],
    ["observe", "link", 3]
  ])("%s on %s", async (name, transport, nodes) => {
    const result = await measure(name, "--transport", transport, "--inflight", "8")
    expect(result).toMatchObject({ bench: name, transport, nodes, inflight: 8, errors: 0 })
    expect(result["payloadBytes"]).toBe(16)
    for (const field of POSITIVE) expect(result[field], field).toBeGreaterThan(0)
  })

  it("compare runs three, and prints how they compare", async () => {
    const { code, lines, errors } = await bench("compare", ...MOMENT, "--json")
    expect({ code, errors }).toEqual({ code: 0, errors: "" })
    const found = lines.map((line) => JSON.parse(line))
    expect(found.slice(0, 3).map((result) => result.bench)).toEqual(
      COMPARISONS["compare"]!.runs.map((run) => run.bench)
    )
    expect(found.slice(3)).toEqual([
      expect.objectContaining({ ratio: "quorum-call/unary", opsPerSec: expect.any(Number) }),
      expect.objectContaining({ ratio: "quorum-call/raw", cpuUsPerOp: expect.any(Number) })
    ])
  })

  it.each(["authenticated", "encrypted"])("a quorum call over %s links", async (links) => {
    const result = await measure("quorum-call", "--links", links, "--inflight", "8")
    expect(result).toMatchObject({ links, errors: 0 })
  })

  it("an open loop measures from when an operation was due", async () => {
    const result = await measure("raw", "--rate", "500", "--payload", "100")
    expect(result).toMatchObject({ ratePerSec: 500, payloadBytes: 100, errors: 0 })
    expect(result["operations"]).toBeGreaterThan(0)
  })

  it("a table without --json, with machine, Node and commit beside it", async () => {
    const { code, lines, errors } = await bench("raw", ...MOMENT)
    expect(code).toBe(0)
    expect(lines).toHaveLength(2)
    expect(lines[0]).toMatch(/^bench +transport +links +nodes .* errors$/)
    expect(errors).toMatch(/ x .*, Node [\d.]+, commit \w+/)
  })

  it("--help names every benchmark", async () => {
    const { code, lines } = await bench("--help")
    expect(code).toBe(0)
    for (const name of NAMES) expect(lines.some((line) => line.startsWith(`  ${name} `))).toBe(true)
  })

  it.each([
    [[], "which benchmark?"],
    [["rwa"], 'no benchmark "rwa"'],
    [["raw", "unary"], "one benchmark a run"],
    [["raw", "--nodes", "0"], "--nodes is a whole number"],
    [["raw", "--seconds", "soon"], "--seconds is a number of seconds"],
    [["raw", "--transport", "unary"], "raw runs on --transport link"],
    [["raw", "--links", "encrypted"], "raw runs on --links plaintext"],
    [["compare-link", "--links", "encrypted"], "leave --links out"],
    [["raw", "--speed", "9"], "bench: Unknown option '--speed'; npm run bench -- --help lists"]
  ])("refuses %j with one line and exit code 2", async (args, what) => {
    const { code, lines, errors } = await bench(...args)
    expect({ code, lines }).toEqual({ code: 2, lines: [] })
    expect(errors).toContain(what)
    expect(errors).toMatch(/^.*\n$/)
  })
})
