/**
 * `npm run generate:check`: generates anew and fails where the checked-in files differ from it.
 * The new files stay, so the remedy is to look at them and commit them.
 */
import { spawnSync } from "node:child_process"
import { globSync, readFileSync } from "node:fs"

const FILES = "{gen,plugin/src/gen,examples/*/gen,apps/*/gen,bench/gen,test/**/gen}/**/*.ts"

const read = (): ReadonlyMap<string, string> =>
  new Map(globSync(FILES).map((path) => [path, readFileSync(path, "utf8")]))

const before = read()
const { status } = spawnSync("npm", ["run", "--silent", "generate"], { stdio: "inherit" })
if (status !== 0) process.exit(status ?? 1)
const after = read()

const changed = [...new Set([...before.keys(), ...after.keys()])]
  .filter((path) => before.get(path) !== after.get(path))
  .toSorted()
if (after.size === 0) {
  process.stderr.write("`npm run generate` made no file\n")
  process.exit(1)
}
if (changed.length > 0) {
  const list = changed.map((path) => `  ${path}\n`).join("")
  process.stderr.write(`generated files were not up to date; they are now, commit them:\n${list}`)
  process.exit(1)
}
process.stdout.write(`${after.size} generated files are up to date\n`)
