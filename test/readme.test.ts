/** What the README shows is what the repository holds: its programs, its commands, its limits. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import {
  blocksOf,
  checkCommands,
  checkLimitsShown,
  checkPrograms,
  checkVersions,
  SET_UP,
  setUpOf
} from "./support/readme.ts"
import { PATHS, printed, readSource, type Violation } from "./support/repo.ts"

const docs = PATHS.filter((path) => /\.md$/.test(path)).map(readSource)
const readmes = docs.filter(({ path }) =>
  /^(plugin\/|examples\/[^/]+\/|apps\/[^/]+\/)?README\.md$|^docs\/guide\//.test(path)
)
const { scripts, devDependencies, engines } = JSON.parse(readSource("package.json").text) as {
  scripts: object
  devDependencies: { [name: string]: string }
  engines: { node: string }
}

describe("a README", () => {
  it("shows programs that stand in the repository, where tests run them", () => {
    const read = (path: string) => (PATHS.includes(path) ? readSource(path).text : undefined)
    expect(printed(readmes.flatMap((source) => checkPrograms(source, read)))).toEqual([])
  })

  it("names commands that exist, like every other page", () => {
    const known = new Set(Object.keys(scripts))
    expect(printed(docs.flatMap((source) => checkCommands(source, known)))).toEqual([])
  })
})

describe("the set-up", () => {
  const { text } = readSource(SET_UP)

  it("installs the versions that the tests run with, on every page", () => {
    expect(printed(docs.flatMap((source) => checkVersions(source, devDependencies)))).toEqual([])
  })

  it("asks for the Node that package.json asks for, on every page", () => {
    const node = engines.node.replace(">=", "Node ")
    expect(text).toContain(`${node} or newer`)
    for (const path of ["README.md", "plugin/README.md"]) {
      expect(readSource(path).text, path).toMatch(new RegExp(`Node (22|${node.slice(5)}) or newer`))
    }
  })

  it("installs and generates as the README does", () => {
    const shown = blocksOf(readSource("README.md").text).flatMap(({ language, code }) =>
      language === "sh" && code.includes("npm install") ? code.split("\n") : []
    )
    const followed = ["install", "check", "run"].flatMap((name) => setUpOf(text, name).split("\n"))
    expect(shown.length).toBeGreaterThan(0)
    expect(followed).toEqual(expect.arrayContaining(shown))
  })

  it("is that of the plugin's README", () => {
    const [template] = blocksOf(readSource("plugin/README.md").text)
    expect(template?.code).toBe(`# buf.gen.yaml\n${setUpOf(text, "buf.gen.yaml")}`)
  })

  it("excepts the lint rules that quorate excepts for phases", () => {
    const ours = readSource("buf.yaml").text.match(/(?<=^ {4}- )(RPC|SERVICE)_\w+/gm)
    expect(setUpOf(text, "buf.yaml").match(/(?<=^ {4}- )[A-Z]\w+/gm)).toEqual(ours)
  })
})

it("the README gives limits their values", () => {
  const shown = readSource("README.md")
  expect(shown.text).toMatch(/^\| `bodyBytesMax` \|/m)
  expect(printed(checkLimitsShown(shown, { ...LIMITS }))).toEqual([])
})

describe("the check of READMEs", () => {
  const whats = (violations: ReadonlyArray<Violation>) => violations.map(({ what }) => what)
  const programs = (text: string) =>
    whats(
      checkPrograms({ path: "README.md", text }, (path) =>
        path === "a.ts" ? "const a = 1\nconst b = 2\nconst c = 3\n" : undefined
      )
    )
  const block = (marker: string, code: string) => `${marker}\n\`\`\`ts\n${code}\n\`\`\``

  it("takes a whole file, or a run of its lines", () => {
    expect(programs(block("<!-- file: a.ts -->", "const a = 1\nconst b = 2\nconst c = 3"))).toEqual(
      []
    )
    expect(programs(block("<!-- part of: a.ts -->", "const b = 2"))).toEqual([])
  })

  it("refuses what differs, what is missing and what names no file", () => {
    expect(programs(block("<!-- file: a.ts -->", "const b = 2"))).toEqual(["differs from a.ts"])
    expect(programs(block("<!-- part of: a.ts -->", "const b = 3"))).toEqual(["differs from a.ts"])
    expect(programs(block("<!-- part of: a.ts -->", "const b"))).toEqual(["differs from a.ts"])
    expect(programs(block("<!-- file: b.ts -->", ""))).toEqual(["b.ts does not exist"])
    expect(programs(block("", "const b = 2"))).toHaveLength(1)
    expect(programs("```sh\nnpm ci\n```")).toEqual([])
  })

  it("refuses other versions than those tested with", () => {
    const versions = (code: string) =>
      whats(
        checkVersions(
          { path: "a.md", text: `\`\`\`sh\n${code}\n\`\`\`` },
          { effect: "4.1.0", "@a/b-c": "1.0.0" }
        )
      )
    expect(versions("npm install ./x-0.1.0.tgz effect@4.1.0 @a/b-c@1.0.0")).toEqual([])
    expect(versions("npm install effect@4.0.0")).toEqual(["effect is 4.1.0"])
    expect(versions("npm install @a/b-d@1.0.0")).toEqual(["@a/b-d is not used here"])
  })

  it("refuses a set-up with a block twice, or none", () => {
    const twice = block("<!-- set-up: a -->", "a")
    expect(setUpOf(twice, "a")).toBe("a")
    expect(() => setUpOf(`${twice}\n${twice}`, "a")).toThrow("2 blocks")
    expect(() => setUpOf("", "a")).toThrow("0 blocks")
    expect(programs(twice)).toHaveLength(1)
  })

  it("refuses limits of another value", () => {
    const limits = (text: string) =>
      whats(checkLimitsShown({ path: "README.md", text }, { sessionsMax: 4096 }))
    expect(limits("| `sessionsMax` | 4,096 | x |\n| `sessionsMax` | is | x |")).toEqual([])
    expect(limits("| `sessionsMax` | 4,095 | x |")).toEqual(["sessionsMax is 4096"])
    expect(limits("| `sessions` | 4,096 | x |")).toEqual(["sessions is no limit"])
  })

  it("refuses commands that are no scripts", () => {
    const commands = (text: string) =>
      whats(checkCommands({ path: "README.md", text }, new Set(["test", "sim"])))
    expect(commands("npm test, npm ci, `npm run sim -- --seed 1`, npm run --silent sim")).toEqual(
      []
    )
    expect(commands("npm start < input")).toEqual(["package.json has no script start"])
    expect(commands("npm run bench -- x")).toEqual(["package.json has no script bench"])
  })
})
