/**
 * A replica that was away for longer than the others keep words takes a state of 34 MB from them,
 * process by process.
 */
import { readdirSync, statSync } from "node:fs"
import { join } from "node:path"
import { assert, it, vi } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { LogCore } from "../../src/link/logCore.ts"
import { decodeRecord } from "../../src/link/recordCodec.ts"
import { FileDisk, openFileDisk } from "../../src/runtime/platform-node/fileDisk.ts"
import { PaxosCluster } from "../support/paxosCluster.ts"

vi.setConfig({ testTimeout: 180_000 })

const VALUES = 130
const CHARS = 262_000

const logBytes = (cluster: PaxosCluster, id: number): number => {
  const folder = cluster.dataFolder(id)
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
}

/** Indexes after which the stopped replica has installed a state, or kept one in a checkpoint. */
const installed = (cluster: PaxosCluster, id: number): ReadonlyArray<number> => {
  const disk = openFileDisk({ folder: cluster.dataFolder(id), init: false })
  if (!(disk instanceof FileDisk)) throw new Error(disk.what)
  const log = LogCore.open({
    ...{ disk, limits: LIMITS, init: false, storeId: new Uint8Array(16) },
    owner: `node ${id} of group "paxos-kv"`
  })
  if (!(log instanceof LogCore)) throw new Error(log.what)
  const indexes: Array<number> = []
  log.replay((bytes) => {
    for (const entry of decodeRecord(bytes)?.entries ?? []) {
      if (entry.kind === "installed") indexes.push(entry.index)
    }
  })
  disk.close()
  return indexes
}

it("it then answers as the others do, also after a restart", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  await cluster.kill(3)
  const client = cluster.client()
  for (let i = 0; i < VALUES; i++) {
    const value = String.fromCharCode(97 + (i % 26)).repeat(CHARS)
    assert.strictEqual(await client.execute(`put k${i} ${value}`), "ok")
  }
  await cluster.start(3)
  // A call that is in the state already it does not answer: the others do.
  await vi.waitFor(() => assert.isAbove(logBytes(cluster, 3), VALUES * CHARS), {
    timeout: 60_000,
    interval: 50
  })
  const answers = await client.everywhere("get k0")
  assert.deepEqual(
    answers.map((answer) => answer.length),
    [CHARS, CHARS, CHARS]
  )
  await cluster.kill(3)
  assert.isTrue(installed(cluster, 3).some((index) => index >= VALUES))
  await cluster.start(3)
  assert.strictEqual((await client.everywhere("get k1"))[2], "b".repeat(CHARS))
})
