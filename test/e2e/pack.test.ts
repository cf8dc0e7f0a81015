/**
 * Both packages as their users get them: packed, installed outside of the repository, and used with
 * what docs/guide/set-up.md says, word by word, and nothing else.
 */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { delimiter, dirname, join } from "node:path"
import { afterAll, assert, it } from "vitest"
import { execute, freePorts, outsidePath, Program } from "../support/processes.ts"
import { SET_UP, setUpOf } from "../support/readme.ts"
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
  readdirSync(app).flatMap((name) => (name.endsWith(".tgz") ? [join(app, name)] : []))

const setUp = (name: string): string => setUpOf(readSource(SET_UP).text, name)
/** The commands of a block of the set-up, one a line, as words. */
const commandsOf = (name: string): ReadonlyArray<readonly [string, ...ReadonlyArray<string>]> =>
  setUp(name)
    .split("\n")
    .map((line) => line.split(" ") as [string, ...Array<string>])
const follow = async (name: string, ...more: ReadonlyArray<string>): Promise<void> => {
  for (const [command, ...args] of commandsOf(name)) await inApp(command, ...args, ...more)
}

const packAndInstall = async (): Promise<void> => {
  mkdirSync(app)
  const packing = ["pack", "--workspaces", "--include-workspace-root", "--silent"]
  await execute("npm", [...packing, "--pack-destination", app], { env: { PATH } })
  assert.lengthOf(tarballs(), 2)
  for (const file of ["package.json", "buf.yaml", "buf.gen.yaml", "tsconfig.json"]) {
    write(file, `${setUp(file)}\n`)
  }
  await follow("install", "--prefer-offline", "--no-audit", "--no-fund", "--silent")
}

const lint = async (tarball: string): Promise<void> => {
  const bin = (name: string): string => join(ROOT, "node_modules/.bin", name)
  assert.include(await execute(bin("publint"), [tarball, "--strict"]), "All good!")
  await execute(bin("attw"), [tarball, "--profile", "esm-only"])
}

const EXAMPLE = "examples/reliable-broadcast"
const PROTO = "rb/v1/broadcast.proto"
const FILES = ["bracha.ts", "bracha.test.ts", "server.ts", "client.ts", `proto/${PROTO}`]

const generateAndCheck = async (): Promise<void> => {
  for (const file of FILES) write(file, readSource(`${EXAMPLE}/${file}`).text)
  await follow("check")
  assert.deepEqual(readdirSync(join(app, "gen/rb/v1")), ["broadcast_pb.ts", "broadcast_quorate.ts"])
}

/** The group file of the example, on ports of this test's own. */
const writeGroup = async (): Promise<void> => {
  const group = JSON.parse(readSource(`${EXAMPLE}/group.json`).text)
  const ports = await freePorts(group.nodes.length)
  const nodes = ports.map((port, i) => ({ id: i + 1, address: `127.0.0.1:${port}` }))
  write("group.json", JSON.stringify({ ...group, nodes }))
}

/** As the set-up says, or with what it compiles to. */
const broadcast = async (fileOf: (file: string) => string): Promise<void> => {
  await writeGroup()
  const run = ([command, file, ...args]: ReadonlyArray<string>): Program =>
    new Program(command!, [fileOf(file!), ...args], { cwd: app, env: { PATH } })
  const commands = commandsOf("run")
  const servers = commands.slice(0, -1).map(run)
  assert.lengthOf(servers, 4)
  const started = /^node \d: group reliable-broadcast, /m
  await Promise.all(servers.map((server) => server.prints(started)))
  const { code, stdout, stderr } = await run(commands.at(-1)!).ended
  assert.match(stdout, /hello\n/)
  assert.strictEqual(stderr, "")
  assert.strictEqual(code, 0)
  for (const server of servers) assert.strictEqual((await server.stop("SIGTERM")).code, 0)
}

/** The command, by its name, as npx finds it. */
const makeKeys = async (): Promise<void> => {
  await inApp("quorate", "keygen", "--group", "demo", "--nodes", "4", "--out", "keys")
  assert.lengthOf(readdirSync(join(app, "keys")), 5)
}

it("installed elsewhere as the set-up says, a proto generates, compiles and runs", async () => {
  await packAndInstall()
  for (const tarball of tarballs()) await lint(tarball)
  await makeKeys()
  await generateAndCheck()
  await broadcast((file) => file)
  await follow("compile")
  await broadcast((file) => `build/${file.replace(/ts$/, "js")}`)
}, 240_000)
