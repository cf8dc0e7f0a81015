/** What is wrong with a file, a folder or a port: one line, and the process ends with 1. */
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { join } from "node:path"
import { assert, it, onTestFinished } from "vitest"
import { temporaryFolder } from "../support/processes.ts"
import { CLIENT, groupFolder, PAXOS_SERVER, SERVER, start } from "./support/spawn.ts"

/** What the program said before it ended: one line and no stack. */
const refusal = async (
  program: string,
  args: ReadonlyArray<string>,
  cwd: string
): Promise<string> => {
  const { code, stdout, stderr } = await start(program, args, cwd).ended
  assert.strictEqual(code, 1, stderr)
  assert.strictEqual(stdout, "")
  const lines = stderr.split("\n")
  assert.deepEqual(lines.slice(1), [""], stderr)
  return lines[0]!
}
const paxosArgs = (data: string, ...more: ReadonlyArray<string>) => [
  "--group",
  "group.json",
  "--id",
  "1",
  "--data",
  data,
  ...more
]

it("a group file that is not there", async () => {
  const folder = temporaryFolder()
  const line = await refusal(SERVER, ["1"], folder)
  assert.include(
    line,
    `${join(realpathSync(folder), "group.json")}: it cannot be read: no such file`
  )
  assert.match(line, / \(ENOENT\); /)
})

it("a group file that is no JSON, for a client", async () => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, "group.json"), '{\n  "group": "demo",\n}')
  assert.match(await refusal(CLIENT, [], folder), /^group\.json: it is no JSON: .*; correct it$/)
})

it("a duplicate node id", async () => {
  const { folder } = await groupFolder({
    nodes: [1, 2, 2, 3].map((id, i) => ({ id, address: `127.0.0.1:${7001 + i}` }))
  })
  const line = await refusal(SERVER, ["1"], folder)
  assert.strictEqual(
    line,
    "group.json: nodes[2]: node id 2 is used twice; give each node an id of its own"
  )
})

it("a node that is not in the group file", async () => {
  const { folder } = await groupFolder()
  const line = await refusal(SERVER, ["9"], folder)
  assert.strictEqual(line, 'group.json: group "demo" has no node 9; its nodes are 1, 2, 3, 4')
})

it.each([[[]], [["abc"]], [["1.5"]]])("a node id that is none: %j", async (args) => {
  const { folder } = await groupFolder()
  const line = await refusal(SERVER, args, folder)
  assert.match(
    line,
    /^group\.json: the node id given to this process is missing or no whole number \((NaN|1\.5)\); /
  )
  assert.match(line, /; give one of 1, 2, 3, 4$/)
})

it("a port in use", async () => {
  const { folder, ports } = await groupFolder()
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(ports[0], "127.0.0.1", resolve))
  onTestFinished(() => void other.close())
  const line = await refusal(SERVER, ["1"], folder)
  assert.match(line, /^node 1, address 127\.0\.0\.1:[0-9]+: the address is in use; stop what uses/)
})

it("a durable group without a data folder", async () => {
  const { folder } = await groupFolder({ durable: true })
  const line = await refusal(SERVER, ["1"], folder)
  assert.match(line, /^group\.json: group "demo" is durable, and node 1 was given no data folder; /)
})

it("a group that is not durable, under a protocol that must remember", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash" })
  const line = await refusal(PAXOS_SERVER, paxosArgs("data", "--init"), folder)
  assert.match(line, /^node 1 of group "demo": paxos\.v1\.\w+ has lanes, .*; write "durable": true/)
})

it("a data folder that was never made", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash", durable: true })
  const line = await refusal(PAXOS_SERVER, paxosArgs("data"), folder)
  assert.include(line, join(folder, "data"))
  assert.include(line, "init")
})

it("a data folder that is a file", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash", durable: true })
  writeFileSync(join(folder, "data"), "")
  const line = await refusal(PAXOS_SERVER, paxosArgs("data", "--init"), folder)
  assert.match(line, /data: a file stands where the data folder should be; /)
})

it("a data folder that holds other things", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash", durable: true })
  const line = await refusal(PAXOS_SERVER, paxosArgs(".", "--init"), folder)
  assert.include(
    line,
    `${folder}: it holds no store, and something else: group.json; name a folder`
  )
  assert.deepEqual(readdirSync(folder), ["group.json"])
})

it("a data folder with a corrupt log", async () => {
  const { folder } = await groupFolder({ size: 3, faults: "crash", durable: true })
  const data = join(folder, "data")
  mkdirSync(data)
  const first = start(PAXOS_SERVER, paxosArgs("data", "--init"), folder)
  const name = /store (\S+)/.exec(await first.started)![1]!
  assert.strictEqual(name, data)
  first.child.kill("SIGTERM")
  assert.strictEqual((await first.ended).code, 0)
  for (const file of readdirSync(data)) {
    const bytes = readFileSync(join(data, file))
    bytes.fill(0x5a, 0, 16)
    writeFileSync(join(data, file), bytes)
  }
  const line = await refusal(PAXOS_SERVER, paxosArgs("data"), folder)
  assert.include(line, data)
})

it("a client of another group learns of both digests", async () => {
  const { folder } = await groupFolder()
  const servers = ["1", "2", "3", "4"].map((id) => start(SERVER, [id], folder))
  await Promise.all(servers.map(({ started }) => started))
  const other = await groupFolder({ f: 0 })
  const config = JSON.parse(readFileSync(join(folder, "group.json"), "utf8"))
  writeFileSync(join(other.folder, "group.json"), JSON.stringify({ ...config, f: 0 }))
  const line = await refusal(CLIENT, [], other.folder)
  assert.match(
    line,
    /wrong_group: group "demo" has digest \w+ at (node 1|a client), \w+ at (node|a client)/
  )
  servers[0]!.child.kill("SIGTERM")
  const { stdout, stderr, code } = await servers[0]!.ended
  assert.strictEqual(code, 0)
  assert.match(stdout + stderr, /link refused .*: wrong_group: /)
})
