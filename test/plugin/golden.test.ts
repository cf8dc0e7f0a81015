/**
 * Proto text in, output compared with test/plugin/golden, which is compiled with the repo and run
 * by run.test.ts. `ACCEPT=1 npx vitest run test/plugin` takes what is printed now as right.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { compileProtos, es, quorate, requestFor } from "./generate.ts"

const golden = new URL("golden", import.meta.url).pathname
const protos = join(golden, "proto")
const files = readdirSync(protos, { recursive: true, encoding: "utf8" })
  .filter((path) => path.endsWith(".proto"))
  .sort()
const set = compileProtos(
  Object.fromEntries(files.map((path) => [path, readFileSync(join(protos, path), "utf8")]))
)

const check = (target: string, printed: Record<string, string>): void => {
  for (const [name, text] of Object.entries(printed)) {
    const path = join(golden, target, name)
    if (process.env["ACCEPT"] === "1") {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, text)
    }
    assert.equal(text, readFileSync(path, "utf8"), path)
  }
}

const MAPPED = "map_imports=quorate/v1/:quorate/gen"
const TARGETS = [
  { target: "ts", ours: "target=ts,import_extension=ts", theirs: "erasable_syntax=true" },
  { target: "js", ours: "target=js+dts,import_extension=js", theirs: "" }
]

describe("golden output", () => {
  for (const { target, ours, theirs } of TARGETS) {
    it(`${target}: what protoc-gen-quorate prints is what is checked in`, () => {
      const printed = quorate(requestFor(set, files, `${ours},${MAPPED}`))
      check(target, printed)
      const services = files.filter((path) => !path.endsWith("types.proto")).length
      assert.equal(Object.keys(printed).length, target === "ts" ? services : 2 * services)
    })
    it(`${target}: the messages beside it are those of protoc-gen-es`, () => {
      const options = [ours, MAPPED, theirs].filter((option) => option !== "").join()
      check(target, es(requestFor(set, files, options)))
    })
  }
  it("a file without a service of ours prints nothing", () => {
    assert.deepEqual(quorate(requestFor(set, ["quorate/v1/link.proto"], "target=ts")), {})
  })
})
