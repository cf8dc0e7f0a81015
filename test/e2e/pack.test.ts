/**
 * Both packages as their users get them: packed, installed outside of the repository, and used with
 * what their READMEs say and nothing else.
 */
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { afterAll, assert, it } from "vitest"
import { execute, freePorts, outsidePath, Program } from "../support/processes.ts"
import { blocksOf } from "../support/readme.ts"
import { ROOT, readSource } from "../support/repo.ts"

const folder = mkdtempSync(join(tmpdir(), "quorate-pack-"))
const app = join(folder, "app")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** No program of the repository is found by its name but the Node that it pins. */
const PATH = [join(app, "node_modules/.bin"), dirname(process.execPath), outsidePath()].join(
  delimiter
)
const inApp = (command: string, ...args: ReadonlyArray<string>): Promise<string> =>
  execute(command, args, { cwd: app, env: { PATH } })

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(app, path)), { recursive: true })
  writeFileSync(join(app, path), text)
}

const tarballs = (): ReadonlyArray<string> =>
  readdirSync(folder).flatMap((name) => (name.endsWith(".tgz") ? [join(folder, name)] : []))

const versionOf = (name: string): string => {
  const manifest = JSON.parse(readSource("package.json").text)
  return `${name}@${manifest.devDependencies[name]}`
}
const BESIDE = [
  "effect",
  "@bufbuild/protobuf",
  "@bufbuild/protoc-gen-es",
  "@bufbuild/buf",
  "typescript",
  "@types/node"
]

const packAndInstall = async (): Promise<void> => {
  mkdirSync(app)
  const packing = ["pack", "--workspaces", "--include-workspace-root", "--silent"]
  await execute("npm", [...packing, "--pack-destination", folder], { env: { PATH } })
  assert.lengthOf(tarballs(), 2)
  write("package.json", JSON.stringify({ private: true, type: "module" }))
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--silent"]
  await inApp("npm", "install", ...quiet, ...tarballs(), ...BESIDE.map(versionOf))
}

const lint = async (tarball: string): Promise<void> => {
  const bin = (name: string): string => join(ROOT, "node_modules/.bin", name)
  assert.include(await execute(bin("publint"), [tarball, "--strict"]), "All good!")
  await execute(bin("attw"), [tarball, "--profile", "esm-only"])
}

const EXAMPLE = "examples/reliable-broadcast"
const PROTO = "rb/v1/broadcast.proto"

/** Strict, and with the declarations of what is installed checked too. */
const TSCONFIG = {
  compilerOptions: {
    target: "es2022",
    // The declarations of effect name types of it.
    lib: ["es2023", "dom"],
    module: "nodenext",
    strict: true,
    exactOptionalPropertyTypes: true,
    verbatimModuleSyntax: true,
    erasableSyntaxOnly: true,
    rewriteRelativeImportExtensions: true,
    skipLibCheck: false,
    declaration: true,
    types: ["node"],
    rootDir: ".",
    outDir: "build"
  },
  include: ["*.ts", "gen"]
}

const SIMULATION = `
import { Effect } from "effect"
import { Simulation } from "quorate/testing"
import { Bracha } from "./bracha.ts"

const held = Simulation.check(
  Bracha,
  { nodes: 4, byzantine: 1, runs: 20, calls: { broadcast: [{ text: "a" }, { text: "b" }] } },
  (run) => [run.agreement("broadcast", (d) => d.text), run.answered("broadcast", 3)]
)
await Effect.runPromise(held)
console.log("held")
`

const generateAndCompile = async (): Promise<void> => {
  const [template] = blocksOf(readSource("plugin/README.md").text)
  assert.strictEqual(template?.language, "yaml")
  write("buf.gen.yaml", template!.code)
  write(
    "buf.yaml",
    "version: v2\nmodules:\n  - path: proto\n  - path: node_modules/quorate/proto\n"
  )
  write(`proto/${PROTO}`, readSource(`${EXAMPLE}/proto/${PROTO}`).text)
  for (const file of ["bracha.ts", "server.ts", "client.ts"]) {
    copyFileSync(join(ROOT, EXAMPLE, file), join(app, file))
  }
  write("simulation.ts", SIMULATION)
  write("tsconfig.json", JSON.stringify(TSCONFIG))
  await inApp("buf", "generate")
  assert.deepEqual(readdirSync(join(app, "gen/rb/v1")), ["broadcast_pb.ts", "broadcast_quorate.ts"])
  assert.strictEqual(await inApp("tsc"), "")
}

const broadcast = async (): Promise<void> => {
  const ports = await freePorts(4)
  const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
  const group = { group: "rb", faults: "byzantine", durable: false, nodes }
  write("group.json", JSON.stringify(group))
  const run = (program: string, ...args: ReadonlyArray<string>): Program =>
    new Program(process.execPath, [`build/${program}.js`, ...args], { cwd: app, env: { PATH } })
  const servers = nodes.map(({ id }) => run("server", String(id)))
  await Promise.all(servers.map((server) => server.prints(/^node \d: group rb, /m)))
  const { code, stdout, stderr } = await run("client").ended
  assert.match(stdout, /hello\n/)
  assert.strictEqual(stderr, "")
  assert.strictEqual(code, 0)
  for (const server of servers) assert.strictEqual((await server.stop("SIGTERM")).code, 0)
  assert.strictEqual(await inApp("node", "build/simulation.js"), "held\n")
}

it("installed elsewhere, a proto generates, compiles and runs reliable broadcast", async () => {
  await packAndInstall()
  for (const tarball of tarballs()) await lint(tarball)
  await generateAndCompile()
  await broadcast()
}, 240_000)
