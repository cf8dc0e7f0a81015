/** `npm run sim:crashes`: lets a node die at every step there is, one run for each. */
import { parseArgs } from "node:util"
import { crashAt, crashPoints } from "quorate/testing"
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

Exit code: 0; 1 when a run broke a promise.
`
const FAILURES_SHOWN = 10

const main = (): void => {
  const { values } = parseArgs({
    options: {
      scenario: { type: "string" },
      seed: { type: "string", default: "1" },
      again: { type: "string", default: "0" },
      every: { type: "string", default: "1" },
      first: { type: "string", default: "0" },
      help: { type: "boolean", default: false }
    }
  })
  if (values.help) return void process.stdout.write(HELP)
  let failures = 0
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    if (values.scenario !== undefined && values.scenario !== name) continue
    const options = scenario(Number(values.seed))
    const all = crashPoints(options)
    const again = Number(values.again)
    const [every, first] = [Number(values.every), Number(values.first)]
    const points = all.filter((_, i) => i % every === first)
    const startMs = performance.now()
    for (const point of points) {
      const { failure } = crashAt(options, point, again)
      if (failure === undefined || ++failures > FAILURES_SHOWN) continue
      const where = `node ${point.node} dies after ${point.what} ${point.after}`
      const at = all.indexOf(point)
      const line =
        `--scenario "${name}" --seed ${values.seed} --again ${again} ` +
        `--every ${all.length} --first ${at}`
      process.stderr.write(`${where}: ${failure}\n  repeat: npm run sim:crashes -- ${line}\n`)
    }
    const seconds = Math.round(performance.now() - startMs) / 1000
    process.stdout.write(`${name}: ${points.length} of ${all.length} crash points, ${seconds} s\n`)
  }
  process.stdout.write(`${failures} failures\n`)
  process.exitCode = failures > 0 ? 1 : 0
}

main()
