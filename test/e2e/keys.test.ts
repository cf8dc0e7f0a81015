/** From no keys to a store of proven nodes: keygen, three processes, clients with and without. */
import { join } from "node:path"
import { assert, it } from "vitest"
import { freePorts, runSource, temporaryFolder } from "../support/processes.ts"

it("a group that keygen made runs, for the clients it lists", async () => {
  const out = join(temporaryFolder(), "store")
  const group = join(out, "group.json")
  const keyOf = (owner: string): ReadonlyArray<string> => ["--key", join(out, `${owner}.pem`)]
  const ids = [1, 2, 3]
  const addresses = (await freePorts(ids.length)).flatMap((port) => [
    ...["--address", `127.0.0.1:${port}`]
  ])
  const shape = ["--group", "store", "--nodes", "3", "--faults", "crash", "--durable"]
  const more = ["--links", "encrypted", "--clients", "1", "--out", out]
  const keygen = ["keygen", ...shape, ...more, ...addresses]
  const made = await runSource("src/runtime/platform-node/main.ts", keygen).ended
  assert.strictEqual(made.code, 0, made.stderr)

  const start = (id: number, key: ReadonlyArray<string>, ...init: ReadonlyArray<string>) => {
    const data = join(out, `data-${id}`)
    const options = ["--group", group, "--id", String(id), "--data", data, ...key, ...init]
    return runSource("apps/paxos/server.ts", options)
  }
  const run = (input: string, ...key: ReadonlyArray<string>) =>
    runSource("apps/paxos/client.ts", ["--group", group, ...key], { input }).ended

  const keyless = await start(1, [], "--init").ended
  assert.strictEqual(keyless.code, 1)
  assert.match(keyless.stderr, /links are encrypted, and this node was given no private key; name/)

  const servers = ids.map((id) => start(id, keyOf(`node-${id}`), "--init"))
  await Promise.all(servers.map((server) => server.prints(/^node \d: group store, /m)))
  const put = await run("put a 1\n", ...keyOf("client-1"))
  assert.strictEqual(put.code, 0, put.stderr)
  const stranger = await run("put a 2\n")
  assert.strictEqual(stranger.code, 1)
  assert.match(stranger.stdout + stranger.stderr, /unauthenticated/)

  await servers[0]!.stop("SIGKILL")
  servers[0] = start(1, keyOf("node-1"))
  await servers[0].prints(/^node 1: group store, /m)
  const { stdout } = await run("get a\n", ...keyOf("client-1"))
  assert.match(stdout, /^1$/m)
  for (const server of servers) assert.strictEqual((await server.stop("SIGTERM")).code, 0)
}, 60_000)
