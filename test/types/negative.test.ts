/**
 * The lines that must not compile, each without its `@ts-expect-error`: what the compiler says, and
 * on which token, is compared with negative.txt. `ACCEPT=1 npx vitest run test/types` rewrites it.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { ROOT } from "../support/repo.ts"
import { type Diagnostic, LanguageServer } from "./lsp.ts"

const FILES = {
  "negative.ts": 41,
  "negativeWorlds.ts": 24,
  "negativeClients.ts": 23,
  "negativeDirectives.ts": 10,
  "negativeTimers.ts": 10,
  "negativeApplications.ts": 10
}
const EXPECTED = /^\s*\/\/ @ts-expect-error (?<said>.+)$/

const show = (file: string, lines: ReadonlyArray<string>, diagnostics: ReadonlyArray<Diagnostic>) =>
  diagnostics.map(({ range: { start }, message }) => {
    const line = lines[start.line]!
    const token = /^[\w$]+|^"[^"]*"|^./.exec(line.slice(start.character))?.[0]
    // The order of phases inside is the compiler's own affair.
    const stable = message.replaceAll(/Zip<readonly \[[^\]]*\]/g, "Zip<[…]")
    const said = stable.split("\n").map((part) => part.trim())
    const cause = said.length > 1 ? `\n  … ${said.at(-1)}` : ""
    return `${file} ${line.trim()}\n  ${token}: ${said[0]}${cause}`
  })

describe("what must not compile", () => {
  it("says so on the right token, in words for people", async () => {
    const server = new LanguageServer()
    await server.start()
    const texts: Array<string> = []
    for (const [file, count] of Object.entries(FILES)) {
      const path = `test/types/${file}`
      const lines = readFileSync(ROOT + path, "utf8").split("\n")
      const expected = lines.filter((line) => EXPECTED.test(line))
      assert.equal(expected.length, count, `${file}: lines that must not compile`)
      const open = lines.map((line) => (EXPECTED.test(line) ? "" : line))
      server.open(path, open.join("\n"))
      const diagnostics = await server.diagnostics(path)
      texts.push(...show(file, lines, diagnostics))
      assert.isAtLeast(diagnostics.length, count)
    }
    server.stop()
    const golden = `${ROOT}test/types/negative.txt`
    const text = `${texts.join("\n\n")}\n`
    if (process.env["ACCEPT"] === "1") writeFileSync(golden, text)
    assert.equal(text, readFileSync(golden, "utf8"))
  })
})
