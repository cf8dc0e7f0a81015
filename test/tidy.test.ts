/** Lint as a test: what may not stand where, sizes, links, dead files. */
import { describe, expect, it } from "vitest"
import { findDead, treeOf } from "./support/imports.ts"
import {
  codePaths,
  DOORS,
  generatedPaths,
  PATHS,
  printed,
  readSource,
  type Source,
  type Violation
} from "./support/repo.ts"
import {
  checkBans,
  checkCase,
  checkFunctions,
  checkLinks,
  checkLock,
  checkMentions,
  checkSizes,
  checkText
} from "./support/tidy.ts"

const code = codePaths().map(readSource)
const docs = PATHS.filter((path) => /\.md$/.test(path)).map(readSource)
const protos = PATHS.filter((path) => /\.proto$/.test(path)).map(readSource)
const texts = [...code, ...protos, ...docs]
const paths = new Set(PATHS)

const broken = (
  sources: ReadonlyArray<Source>,
  check: (source: Source) => ReadonlyArray<Violation>
): ReadonlyArray<string> => printed(sources.flatMap(check))

/** These two name what they ban. */
const NAMES_THE_BANNED = /^test\/(tidy\.test|support\/tidyRules)\.ts$/

/** Nothing imports an entry: a command line, a test, a configuration, what is only compiled. */
const ENTRY =
  /^(apps|examples|bench|tools|test\/types)\/|\.test\.ts$|^[^/]+$|^plugin\/bin\/|\/main\.ts$/

describe("every file", () => {
  it("stands below the size caps", () => {
    expect(broken([...code, ...protos], checkSizes)).toEqual([])
  })

  it("has short functions", () => {
    expect(broken(code, checkFunctions)).toEqual([])
  })

  it("uses nothing that is banned where it stands", () => {
    expect(broken(code, checkBans)).toEqual([])
  })

  it("says nothing that a reader cannot follow", () => {
    const checked = texts.filter(({ path }) => !NAMES_THE_BANNED.test(path))
    expect(broken(checked, checkText)).toEqual([])
  })

  it("names only paths that exist", () => {
    expect(broken(texts, (source) => checkMentions(source, (path) => paths.has(path)))).toEqual([])
  })

  it("links only to what exists", () => {
    const read = (path: string): string | undefined =>
      paths.has(path)
        ? readSource(path).text
        : PATHS.some((other) => other.startsWith(path))
          ? ""
          : undefined
    expect(broken(docs, (source) => checkLinks(source, read))).toEqual([])
  })

  it("is reached from a door or an entry", () => {
    const generated = new Set(generatedPaths())
    const tree = treeOf([...code, ...[...generated].map(readSource)], DOORS)
    const roots = [...DOORS.values(), ...codePaths().filter((path) => ENTRY.test(path))]
    expect(findDead(tree, roots).filter((path) => !generated.has(path))).toEqual([])
  })

  it("has a name of its own on every file system", () => {
    expect(printed(checkCase(PATHS))).toEqual([])
  })
})

describe("package-lock.json", () => {
  it("holds every package that it asks for, so that npm ci takes it", () => {
    expect(printed(checkLock(readSource("package-lock.json")))).toEqual([])
  })
})

const whats = (violations: ReadonlyArray<Violation>) => violations.map(({ what }) => what)

describe("the check of bans", () => {
  it.each([
    ["src/server/engine.ts", "const now = Date.now()"],
    ["src/server/engine.ts", "const at = new Date()"],
    ["src/server/engine.ts", "const now = performance.now()"],
    ["src/server/engine.ts", "const x = Math.random()"],
    ["src/server/engine.ts", "setTimeout(f, 1)"],
    ["src/server/engine.ts", "setInterval(f, 1)"],
    ["src/server/engine.ts", "setImmediate(f)"],
    ["src/link/hostCore.ts", "queueMicrotask(f)"],
    ["src/link/hostCore.ts", "const f = async () => 1"],
    ["src/link/hostCore.ts", "class A { async m() {} }"],
    ["src/link/hostCore.ts", "export const x = await y"],
    ["src/link/hostCore.ts", "const f = (): Promise<number> => g()"],
    ["src/link/hostCore.ts", "for await (const x of y) f(x)"],
    ["src/base/prng.ts", 'import { Effect } from "effect"'],
    ["src/base/prng.ts", 'import type { Effect } from "effect/Effect"'],
    ["src/base/prng.ts", "console.log(1)"],
    ["src/quorum/Tally.ts", "process.exit(1)"],
    ["src/quorum/Tally.ts", "const log = globalThis.console"],
    ["src/quorum/Tally.ts", "a.localeCompare(b)"],
    ["src/testing/Simulation.ts", "const x = Math.random()"],
    ["src/testing/Simulation.ts", "const x = Math.log(2)"],
    ["apps/paxos/protocol.ts", "const x = Math.random()"],
    ["test/a.test.ts", 'it.skip("a", () => {})'],
    ["test/a.test.ts", 'it.effect.only("a", () => {})'],
    ["test/a.test.ts", 'describe.todo("a")'],
    ["test/a.test.ts", 'it("a", (ctx) => ctx.skip())'],
    ["test/a.test.ts", "await new Promise((done) => setTimeout(done, 10))"],
    ["test/a.test.ts", "yield* Effect.sleep(10)"],
    ["test/a.test.ts", 'import { setTimeout as wait } from "node:timers/promises"'],
    ["apps/paxos/test/a.test.ts", "await sleep(10)"]
  ])("refuses, in %s, %s, and names what to write instead", (path, text) => {
    const found = whats(checkBans({ path, text }))
    expect(found.length).toBeGreaterThan(0)
    for (const what of found) expect(what).toMatch(/; instead: \S/)
  })

  it("lets comments, property names and other folders say the same words", () => {
    const text = `
      // Date.now and setTimeout are not used here
      const step = { process: 1, setTimeout: 2 }
      export const taken = step.process
    `
    expect(checkBans({ path: "src/server/engine.ts", text })).toEqual([])
    expect(checkBans({ path: "src/runtime/GroupNode.ts", text: "const now = Date.now()" })).toEqual(
      []
    )
    expect(checkBans({ path: "src/quorum/client/Replies.ts", text: "await x" })).toEqual([])
  })
})

describe("the check of sizes", () => {
  const path = "src/base/a.ts"
  it("counts lines and columns", () => {
    expect(checkSizes({ path, text: "x\n".repeat(400) })).toEqual([])
    expect(whats(checkSizes({ path, text: "x\n".repeat(401) }))[0]).toContain("401 lines")
    expect(checkSizes({ path, text: "x".repeat(100) })).toEqual([])
    expect(whats(checkSizes({ path, text: "x".repeat(101) }))[0]).toContain("101 columns")
    expect(checkSizes({ path, text: `// https://${"x".repeat(101)}` })).toEqual([])
  })

  it("counts the lines of functions, but not of suites", () => {
    const long = (lines: number) => `${"\n".repeat(lines - 1)}`
    const found = (text: string) => whats(checkFunctions({ path, text }))
    expect(found(`const f = () => {${long(70)}}`)).toEqual([])
    expect(found(`const f = () => {${long(71)}}`)).toEqual(["f has 71 lines; at most 70"])
    expect(found(`class A { m(): void {${long(71)}} }`)).toEqual(["m has 71 lines; at most 70"])
    expect(found(`function* g() {${long(71)}}`)).toEqual(["g has 71 lines; at most 70"])
    expect(found(`it("a", () => {${long(71)}})`)).toHaveLength(1)
    expect(found(`describe("a", () => {${long(71)}})`)).toEqual([])
  })
})

describe("the check of texts", () => {
  const found = (text: string, path = "docs/a.md") => whats(checkText({ path, text }))

  it.each([
    "see /work/main",
    "see ../shared/research",
    "as DESIGN.md says",
    "(design/engine.md 4)",
    "comes with issue 7",
    "// TODO: later",
    "// @ts-ignore",
    "// @ts-expect-error"
  ])("refuses: %s", (text) => {
    expect(found(text)).toHaveLength(1)
  })

  it("lets type tests expect errors", () => {
    expect(found("// @ts-expect-error", "test/types/a.ts")).toEqual([])
  })

  it("follows links to files and headings", () => {
    const files = new Map([["docs/b.md", "# One word, one *meaning*\n"]])
    const links = (text: string) =>
      whats(checkLinks({ path: "docs/a.md", text }, (path) => files.get(path)))
    expect(links("[b](b.md) [c](https://example.org) [d](b.md#one-word-one-meaning)")).toEqual([])
    expect(links("[b](../b.md)")).toEqual(["a link to b.md, which does not exist"])
    expect(links("[b](b.md#two)")).toEqual(["a link to #two, which is no heading of docs/b.md"])
    expect(links("# Here\n[b](#here) [c](#there)")).toHaveLength(1)
    expect(links("```\n[b](gone.md)\n```")).toEqual([])
  })

  it("follows paths that prose and comments name", () => {
    const named = (path: string, text: string) =>
      whats(checkMentions({ path, text }, (other) => other === "src/base/prng.ts"))
    expect(
      named("docs/a.md", "see `src/base/prng.ts`, src/*.ts and https://a.org/src/x.ts")
    ).toEqual([])
    expect(named("docs/a.md", "see `src/base/gone.ts`")).toHaveLength(1)
    expect(named("src/a.ts", "// src/base/gone.ts has it")).toHaveLength(1)
    expect(named("src/a.ts", 'const path = "src/base/gone.ts"')).toEqual([])
  })
})

describe("the check of files", () => {
  it("finds what no door and no entry reaches", () => {
    const tree = treeOf([
      { path: "src/index.ts", text: 'export type { A } from "./a.ts"' },
      { path: "src/a.ts", text: "export type A = 1" },
      { path: "src/dead.ts", text: 'import "./a.ts"' }
    ])
    expect(findDead(tree, ["src/index.ts"])).toEqual(["src/dead.ts"])
    const main = { path: "test/main.ts", text: "export {}" }
    const starts = { path: "test/a.test.ts", text: 'new URL("./main.ts", import.meta.url)' }
    expect(findDead(treeOf([main, starts]), ["test/a.test.ts"])).toEqual([])
  })

  it("finds what a lock file lacks", () => {
    const found = (packages: object) =>
      whats(checkLock({ path: "package-lock.json", text: JSON.stringify({ packages }) }))
    const asks = { optionalDependencies: { b: "1.0.0" } }
    expect(found({ "node_modules/a": asks, "node_modules/b": {} })).toEqual([])
    expect(found({ "node_modules/a": asks, "node_modules/a/node_modules/b": {} })).toEqual([])
    expect(found({ "node_modules/a": asks })).toEqual(["lacks b, which node_modules/a asks for"])
  })

  it("finds names that differ only by case", () => {
    expect(whats(checkCase(["src/Tally.ts", "src/tally.ts", "src/x.ts"]))).toEqual([
      "differs from src/Tally.ts only by case"
    ])
  })
})
