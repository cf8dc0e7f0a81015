/** The store as real processes that are killed: what was acknowledged stays, and ran once. */
import { assert, it } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import { PaxosCluster } from "../support/paxosCluster.ts"
import { Writers } from "../support/paxosWriter.ts"

/** Every replica has run every command, and holds what the writers were told. */
const assertHeld = async (cluster: PaxosCluster, writers: Writers): Promise<void> => {
  const client = cluster.client()
  for (const { key, value } of await writers.stop()) {
    const held = await client.everywhere(`get ${key}`)
    assert.deepEqual(
      held,
      cluster.ids.map(() => value),
      key
    )
  }
}

it("a follower is killed while clients write: all later writes succeed", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  const writers = await Writers.start(() => cluster.client())
  await writers.more(200)
  await cluster.kill(3)
  await writers.more(1_000)
  assert.match(await cluster.start(3), /^node 3: group paxos-kv, address .*, store .*node-3/)
  await writers.more(200)
  await assertHeld(cluster, writers)
}, 60_000)

const SEED = 20_261_121
const ROUNDS = 6

/** In an order drawn by chance; the leader lives a while longer or not. */
const killAll = async (cluster: PaxosCluster, writers: Writers, random: Prng): Promise<void> => {
  const left = [...cluster.ids]
  const killed: Array<Promise<void>> = []
  while (left.length > 0) {
    const [id] = left.splice(random.below(left.length), 1)
    killed.push(cluster.kill(id!))
    // Only while the leader and one more live can there be more answers to wait for.
    if (left.length === 2 && left.includes(1)) await writers.more(1 + random.below(50))
  }
  await Promise.all(killed)
}

/**
 * The leader dies with proposals that nobody else has, and is back long before the others: it is
 * asked again about every call before it can know what became of its proposal.
 */
const killLeaderAmidProposals = async (cluster: PaxosCluster): Promise<void> => {
  await Promise.all([cluster.kill(2), cluster.kill(3)])
  await cluster.kill(1)
  await cluster.start(1)
  await Promise.all([cluster.start(2), cluster.start(3)])
}

it("all are killed at random moments and started again, round after round: nothing that was \
acknowledged is lost, nothing ran twice", async () => {
  const random = new Prng(SEED)
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  const writers = await Writers.start(() => cluster.client())
  for (let round = 1; round <= ROUNDS; round++) {
    await writers.more(random.below(400))
    if (round % 2 === 0) await killLeaderAmidProposals(cluster)
    else {
      await killAll(cluster, writers, random)
      await cluster.startAll()
    }
  }
  await writers.more(200)
  await assertHeld(cluster, writers)
}, 120_000)
