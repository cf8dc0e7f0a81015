/**
 * `npm run fuzz -- [--target NAME] [--inputs N] [--seed S] [--json]`: decoders against mutated
 * bytes. Without a target all of them share the inputs, the dear ones fewer. What breaks one is
 * kept in test/fuzz/findings, and the command ends with 1.
 */
import { parseArgs } from "node:util"
import { fuzz, type Outcome } from "./fuzz.ts"
import { TARGETS } from "./targets.ts"

const INPUTS = 1_000_000
/** Memory that a target may keep, whatever it was given: caches, compiled code. */
const GROWTH_BYTES_MAX = 4 * 2 ** 20

const { values } = parseArgs({
  options: {
    target: { type: "string" },
    inputs: { type: "string", default: String(INPUTS) },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false }
  }
})
const chosen = (values.target ?? "").split(",").filter((name) => name !== "")
const targets = TARGETS.filter(({ name }) => chosen.length === 0 || chosen.includes(name))
const unknown = chosen.filter((name) => TARGETS.every((it) => it.name !== name))
if (unknown.length > 0) {
  console.error(`no target ${unknown}; there are: ${TARGETS.map(({ name }) => name).join(", ")}`)
  process.exit(2)
}

const shares = targets.reduce((sum, { cost }) => sum + 1 / cost, 0)
const grown = ({ memory: [early, late] }: Outcome): boolean => late - early > GROWTH_BYTES_MAX

const line = (it: Outcome): string => {
  const [early, late] = it.memory
  const memory = early === 0 ? "" : `, memory ${((late - early) / 1024).toFixed(0)} KiB more`
  const found = it.finding ? `\n  ${it.finding.what}\n  ${it.finding.file}` : ""
  const perInput = ((1e6 * it.seconds) / it.inputs).toFixed(1)
  const taken = `${it.taken} of ${it.inputs} taken`
  const worst = `${perInput} µs each, worst ${it.worstMs.toFixed(1)} ms`
  return `${it.target}: ${taken}, ${worst}${memory}${found}`
}

const outcomes = targets.map((target) => {
  const inputs = Math.ceil(Number(values.inputs) / target.cost / shares)
  const outcome = fuzz(target, { inputs, seed: Number(values.seed) })
  if (!values.json) console.log(line(outcome))
  return outcome
})
if (values.json) console.log(JSON.stringify(outcomes))
const failed = outcomes.some((it) => it.finding !== undefined || grown(it))
process.exitCode = failed ? 1 : 0
