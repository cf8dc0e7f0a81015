/** `npm run bench -- NAME`: runs a benchmark, prints what it found. */
import { mkdirSync } from "node:fs"
import { runCluster } from "./cluster.ts"
import { type Command, helpText, readCommand, Usage } from "./options.ts"
import { machineText, type Ratio, ratioOf, type Result, resultOf, tableOf } from "./report.ts"

/** Ctrl-C: the processes are ended, the folder is removed. */
const interrupt = new AbortController()
process.once("SIGINT", () => interrupt.abort(new Error("interrupted")))

const run = async ({ runs, compare, json, profileFolder }: Command): Promise<number> => {
  if (profileFolder !== undefined) mkdirSync(profileFolder, { recursive: true })
  if (!json) process.stderr.write(`${machineText()}\n`)
  const results: Array<Result> = []
  for (const { bench, settings } of runs) {
    if (!json) process.stderr.write(`${settings.bench}: ${bench.about}\n`)
    const measured =
      bench.kind === "local"
        ? await bench.run(settings)
        : await runCluster(bench, settings, { profileFolder, signal: interrupt.signal })
    const result = resultOf(settings, measured)
    results.push(result)
    if (json) process.stdout.write(`${JSON.stringify(result)}\n`)
  }
  const ratios = compare ? ratiosOf(results) : []
  if (json) for (const ratio of ratios) process.stdout.write(`${JSON.stringify(ratio)}\n`)
  else process.stdout.write(`${[tableOf(results), ...ratios.map(ratioText)].join("\n")}\n`)
  const errors = results.reduce((sum, result) => sum + result.errors, 0)
  if (errors > 0) process.stderr.write(`bench: ${errors} operations failed\n`)
  return errors > 0 ? 1 : 0
}

const ratiosOf = (results: ReadonlyArray<Result>): ReadonlyArray<Ratio> => {
  const [first, ...others] = results
  return first === undefined ? [] : others.map((other) => ratioOf(first, other))
}

const ratioText = ({ ratio, opsPerSec, cpuUsPerOp }: Ratio): string =>
  `${ratio}: ${opsPerSec} times the operations per second, ${cpuUsPerOp} times the CPU of one`

const main = async (): Promise<number> => {
  try {
    const command = await readCommand(process.argv.slice(2))
    if (command !== undefined) return await run(command)
    process.stdout.write(await helpText())
    return 0
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    const wrong = error instanceof Usage
    const remedy = wrong ? "; npm run bench -- --help lists names and options" : ""
    process.stderr.write(`bench: ${text}${remedy}\n`)
    return wrong ? 2 : 1
  }
}

process.exitCode = await main()
