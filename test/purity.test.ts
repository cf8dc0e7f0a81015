/** The pure folders compile alone, where neither Node nor a browser exists. */
import { describe, expect, it } from "vitest"
import { compile, compileText } from "./support/compile.ts"

const PURE = "tsconfig.pure.json"

describe("the pure folders", () => {
  it("compile without Node and without a browser", async () => {
    expect(await compile(PURE)).toEqual([])
  })

  it("would not compile with anything of the world", async () => {
    const planted = [
      'import { BinaryReader } from "@bufbuild/protobuf/wire"',
      "export const reader = BinaryReader",
      "setTimeout(() => {}, 1)",
      "setImmediate(() => {})",
      "queueMicrotask(() => {})",
      "process.exit(1)",
      'console.log("x")',
      "performance.now()",
      "new TextEncoder()",
      "new AbortController()",
      'fetch("x")',
      "crypto.getRandomValues(new Uint8Array(1))",
      'Buffer.from("x")',
      "structuredClone(1)",
      'import "node:fs"'
    ]
    const errors = await compileText(PURE, planted.join("\n"))
    const lines = errors.map((error) => Number(/planted\.ts\((\d+),/.exec(error)?.[1]))
    expect(lines).toEqual(planted.flatMap((_, at) => (at < 2 ? [] : [at + 1])))
  })
})
