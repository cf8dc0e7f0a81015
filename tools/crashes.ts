/** `npm run sim:crashes`: lets a node die at every step there is, one run for each. */
import { parseArgs } from "node:util"
import { crashAt, crashPoints } from "quorate/testing"
import { naturalOf, parsed, type Usage, usageOf } from "./options.ts"
import { SCENARIOS } from "./scenarios.ts"

const NAMES = Object.keys(SCENARIOS)
  .map((name) => `                      ${name}\n`)
  .join("")

const HELP = `Kills a node after each step of its engine and operation of its disk, one run each.

  npm run sim:crashes -- [options]

  --scenario NAME   default: each in turn. One of
${NAMES}  --seed S          of the scenario; default 1
  --again A         it dies once more, A steps or operations after the first time; default 0: not
  --every K         only every K-th crash point; default 1
  --first I         the first of them, from 0; default 0
  --help            this text

Exit code: 0; 1 when a run broke a promise, with a line that repeats it; 2 for wrong options.
`
const FAILURES_SHOWN = 10

const usage: Usage = usageOf("sim:crashes")
const natural = naturalOf(usage)

const readOptions = () => {
  const values = parsed(usage, () =>
    parseArgs({
      options: {
        scenario: { type: "string" },
        seed: { type: "string", default: "1" },
        again: { type: "string", default: "0" },
        every: { type: "string", default: "1" },
        first: { type: "string", default: "0" },
        help: { type: "boolean", default: false }
      }
    })
  )
  const { scenario, help } = values
  const names = Object.keys(SCENARIOS)
  if (scenario !== undefined && !names.includes(scenario)) {
    return usage(`--scenario ${scenario} is none of ${names.join(", ")}`)
  }
  return {
    help,
    names: scenario === undefined ? names : [scenario],
    seed: natural("seed", values.seed, 0, 2 ** 52),
    again: natural("again", values.again, 0, 1_000_000),
    every: natural("every", values.every, 1, 1_000_000),
    first: natural("first", values.first, 0, 1_000_000)
  }
}

const main = (): void => {
  const { help, names, seed, again, every, first } = readOptions()
  if (help) return void process.stdout.write(HELP)
  let failures = 0
  let tried = 0
  for (const name of names) {
    const options = SCENARIOS[name]!(seed)
    const all = crashPoints(options)
    const points = all.filter((_, i) => i >= first && (i - first) % every === 0)
    tried += points.length
    const startMs = performance.now()
    for (const point of points) {
      const { failure } = crashAt(options, point, again)
      if (failure === undefined || ++failures > FAILURES_SHOWN) continue
      const where = `node ${point.node} dies after ${point.what} ${point.after}`
      const at = all.indexOf(point)
      const line =
        `--scenario "${name}" --seed ${seed} --again ${again} ` +
        `--every ${all.length} --first ${at}`
      process.stderr.write(`${where}: ${failure}\n  repeat: npm run sim:crashes -- ${line}\n`)
    }
    const seconds = Math.round(performance.now() - startMs) / 1000
    process.stdout.write(`${name}: ${points.length} of ${all.length} crash points, ${seconds} s\n`)
  }
  if (tried === 0) return usage(`--first ${first} is behind the last crash point`)
  process.stdout.write(`${failures} failures\n`)
  process.exitCode = failures > 0 ? 1 : 0
}

main()
