/**
 * Hover texts of the main doors, asked of the compiler as an editor asks. `ACCEPT=1 npx vitest run
 * test/types` rewrites hover.txt.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"
import { ROOT } from "../support/repo.ts"
import { LanguageServer } from "./lsp.ts"

const FILE = "test/types/hover.ts"
const MARK = /^\s*\/\/\? /

/** The words of each mark, in the line of code above it. */
const places = (lines: ReadonlyArray<string>) =>
  lines.flatMap((mark, i) =>
    (MARK.test(mark) ? mark.replace(MARK, "").split(" ") : []).map((word) => {
      const code = lines[i - 1]!
      const character = code.search(new RegExp(`\\b${word}\\b`))
      assert.isAtLeast(character, 0, `line ${i} has no ${word}`)
      return { code: code.trim(), word, line: i - 1, character }
    })
  )

it("the main doors explain themselves", async () => {
  const text = readFileSync(ROOT + FILE, "utf8")
  const server = new LanguageServer()
  await server.start()
  server.open(FILE, text)
  const shown: Array<string> = []
  for (const place of places(text.split("\n"))) {
    const hover = await server.hover(FILE, place)
    shown.push(`${place.code}\n${place.word}:\n${hover.replaceAll(/^/gm, "  ")}`)
  }
  server.stop()
  const golden = `${ROOT}test/types/hover.txt`
  const all = `${shown.join("\n\n").replaceAll(/ +$/gm, "")}\n`
  if (process.env["ACCEPT"] === "1") writeFileSync(golden, all)
  assert.equal(all, readFileSync(golden, "utf8"))
})
