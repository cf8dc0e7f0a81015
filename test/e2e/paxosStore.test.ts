/** What keeps a replica from starting is one line; a torn end is repaired, and told. */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync
} from "node:fs"
import { join } from "node:path"
import { assert, it, vi } from "vitest"
import { PaxosCluster } from "../support/paxosCluster.ts"
import { type Program, runSource, temporaryFolder } from "../support/processes.ts"

vi.setConfig({ testTimeout: 60_000 })

/** What it said: one line on standard error. */
const refusal = async (program: Program): Promise<string> => {
  const { code, stdout, stderr } = await program.ended
  assert.strictEqual(stdout, "")
  assert.match(stderr, /^[^\n]+\n$/)
  assert.strictEqual(code, 1)
  return stderr.trimEnd()
}

const KEYS = "group, faults, f, durable, links, transport, clients, epoch, nodes"
const GOOD = {
  group: "kv",
  faults: "crash",
  durable: true,
  nodes: [1, 2, 3].map((id) => ({ id, address: `127.0.0.1:${7000 + id}` }))
}
const [first, second, third] = GOOD.nodes

it.each([
  [
    "a duplicate id",
    { ...GOOD, nodes: [first, second, { ...third, id: 2 }] },
    "nodes[2]: node id 2 is used twice; give each node an id of its own"
  ],
  [
    "a duplicate address",
    { ...GOOD, nodes: [first, second, { ...first, id: 3 }] },
    "nodes[2]: address 127.0.0.1:7001 is node 1's already; give each node an address of its own"
  ],
  [
    "a missing field",
    { ...GOOD, nodes: [first, second, { id: 3 }] },
    'nodes[2]: "address" is missing; write "address": "127.0.0.1:7001"'
  ],
  ["an unknown key", { ...GOOD, fault: "crash" }, `unknown key "fault"; known keys: ${KEYS}`],
  [
    "too few nodes",
    { ...GOOD, nodes: [first, second] },
    "2 nodes are too few to survive a fault in a crash group; " +
      'list at least 3 nodes, or write "f": 0'
  ],
  [
    "an address elsewhere",
    { ...GOOD, nodes: [first, second, { id: 3, address: "10.0.0.1:7003" }] },
    "node 3's address 10.0.0.1:7003 is not on this machine, and nodes have no keys; " +
      "make keys with npx quorate keygen, and write each node's public one as its key"
  ]
])("refuses a group file with %s", async (_, group, line) => {
  const folder = temporaryFolder()
  writeFileSync(join(folder, "group.json"), JSON.stringify(group))
  const args = ["--group", "group.json", "--id", "1", "--data", "data", "--init"]
  const program = runSource("apps/paxos/server.ts", args, { cwd: folder })
  assert.strictEqual(await refusal(program), `group.json: ${line}`)
  assert.deepEqual(readdirSync(folder), ["group.json"])
})

it("refuses what is no node id, before anything is made", async () => {
  const cluster = await PaxosCluster.make()
  const line = await refusal(cluster.run(4, "--init"))
  assert.strictEqual(
    line,
    `${cluster.groupFile}: group "paxos-kv" has no node 4; its nodes are 1, 2, 3`
  )
  assert.deepEqual(readdirSync(cluster.folder), ["group.json"])
})

it("refuses wrong options with a line and the usage", async () => {
  const program = runSource("apps/paxos/server.ts", ["--group", "group.json"])
  const { code, stderr } = await program.ended
  assert.strictEqual(
    stderr,
    "--id and --data are missing; usage: node --conditions=quorate-source apps/paxos/server.ts " +
      "--group FILE --id N --data FOLDER [--init] [--key FILE]\n"
  )
  assert.strictEqual(code, 2)
})

it("refuses a data folder that is missing or empty, unless told that it never spoke", async () => {
  const cluster = await PaxosCluster.make()
  const data = cluster.dataFolder(1)
  const empty =
    `${data}: the folder is empty or missing; check that the disk is mounted and the path is ` +
    "right; start with init only if this member never spoke"
  assert.strictEqual(await refusal(cluster.run(1)), empty)
  assert.deepEqual(readdirSync(cluster.folder), ["group.json"])
  mkdirSync(data)
  assert.strictEqual(await refusal(cluster.run(1)), empty)
  assert.deepEqual(readdirSync(data), [])
  assert.match(await cluster.start(1, "--init"), /\(made\)$/)
  const twice = await refusal(cluster.run(1))
  assert.match(twice, /: process \d+ has it open; stop that process first, or give every node /)
})

it("refuses a port in use", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.start(1, "--init")
  const args = ["--group", cluster.groupFile, "--id", "1", "--data", join(cluster.folder, "more")]
  const line = await refusal(runSource("apps/paxos/server.ts", [...args, "--init"]))
  assert.match(
    line,
    /^node 1, address 127\.0\.0\.1:\d+: the address is in use; stop what uses the address, or /
  )
})

it("refuses the data folder of another node, by name", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.start(3, "--init")
  await cluster.program(3).stop("SIGTERM")
  cpSync(cluster.dataFolder(3), cluster.dataFolder(2), { recursive: true })
  const wrong =
    `${cluster.dataFolder(2)}: this is the store of node 3 of group "paxos-kv", not of node 2 of ` +
    'group "paxos-kv"; name the data folder of node 2 of group "paxos-kv"'
  assert.strictEqual(await refusal(cluster.run(2)), wrong)
  assert.strictEqual(await refusal(cluster.run(2, "--init")), wrong)
  assert.match(await cluster.start(3), /^node 3: group paxos-kv, /)
})

it("refuses a member that spoke and comes back with an empty store, on both sides", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  // Node 3 answers only once it has heard the leader, which has then seen its store. When it
  // answers the second put, its words on the first are with the others.
  for (const value of [0, 1])
    assert.deepEqual(await cluster.client().everywhere(`put a ${value}`), ["ok", "ok", "ok"])
  await cluster.kill(3)
  rmSync(cluster.dataFolder(3), { recursive: true })
  // What node 3 showed is in the others' logs: they know it in their next lives too.
  for (const id of [1, 2]) await cluster.program(id).stop("SIGTERM")
  for (const id of [1, 2]) await cluster.start(id)
  assert.match(await cluster.start(3, "--init"), /\(made\)$/)
  const line =
    /wrong_store: node 3 shows another store than before \([0-9a-f]{16}, first [0-9a-f]{16}\): /
  await cluster.program(1).prints(new RegExp(`link refused .*${line.source}`))
  await cluster.program(3).prints(new RegExp(`link refused by .*${line.source}`))
  assert.strictEqual(await cluster.client().execute("get a"), "1")
})

/** The only segment of node 3 in a cluster that executed commands, one write after another. */
const writtenStore = async (): Promise<{ cluster: PaxosCluster; segment: string }> => {
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  const client = cluster.client()
  for (let i = 1; i <= 20; i++) assert.strictEqual(await client.execute(`put a ${i}`), "ok")
  assert.deepEqual(await client.everywhere("get a"), ["20", "20", "20"])
  for (const id of cluster.ids) {
    const startMs = performance.now()
    const { code } = await cluster.program(id).stop("SIGTERM")
    assert.strictEqual(code, 0)
    // With the streams of two replicas and of the client open.
    assert.isBelow(performance.now() - startMs, 2_000)
  }
  const data = cluster.dataFolder(3)
  const [name, ...more] = readdirSync(data)
  assert.deepEqual(more, [])
  return { cluster, segment: join(data, name!) }
}

it("stops with open streams; repairs a torn end and tells; refuses damage inside", async () => {
  const { cluster, segment } = await writtenStore()
  const whole = readFileSync(segment)
  const copy = join(cluster.folder, "copy")
  cpSync(segment, copy)

  const middle = Math.floor(whole.length / 2)
  const damaged = Buffer.from(whole)
  damaged[middle] = damaged[middle]! ^ 1
  writeFileSync(segment, damaged)
  const line = await refusal(cluster.run(3))
  assert.isTrue(line.startsWith(`${segment} at byte `), line)
  assert.match(line, /: the log is damaged: block \d+ does not read, and more was written at byte /)
  assert.match(
    line,
    /; delete nothing; restore this folder exactly as it last was \(a copy from before lost words /
  )
  assert.deepEqual(readFileSync(segment), damaged)

  cpSync(copy, segment)
  truncateSync(segment, whole.length - 3)
  assert.match(await cluster.start(3), /, store .*node-3, repaired: .*$/)
  await Promise.all([cluster.start(1), cluster.start(2)])
  const client = cluster.client()
  assert.strictEqual(await client.execute("cas a 20 21"), "ok")
  assert.deepEqual(await client.everywhere("get a"), ["21", "21", "21"])
})
