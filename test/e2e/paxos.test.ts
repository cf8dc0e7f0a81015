/** The store as real processes that are killed: what was acknowledged stays, and ran once. */
import { assert, it } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import { type Client, PaxosCluster } from "../support/paxosCluster.ts"
import { Writers } from "../support/paxosWriter.ts"

const WRITERS = 4

const clientsOf = (cluster: PaxosCluster): ReadonlyArray<Client> =>
  Array.from({ length: WRITERS }, () => cluster.client())

/** Every replica has run every command, and holds what the writers were told. */
const assertHeld = async (cluster: PaxosCluster, writers: Writers): Promise<void> => {
  const client = cluster.client()
  for (const { key, value } of await writers.stop()) {
    const held = await client.everywhere(`get ${key}`)
    assert.deepEqual(
      held,
      cluster.ids.map(() => value)
    )
  }
}

it("a follower is killed while clients write: all later writes succeed", async () => {
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  const writers = await Writers.start(clientsOf(cluster))
  await writers.more(50)
  await cluster.kill(3)
  await writers.more(300)
  assert.match(await cluster.start(3), /^node 3: group paxos-kv, address .*, store .*node-3/)
  await writers.more(50)
  await assertHeld(cluster, writers)
}, 60_000)

const SEED = 20_261_121
const ROUNDS = 6

it("all are killed at random moments and started again, round after round: nothing that was \
acknowledged is lost, nothing ran twice", async () => {
  const random = new Prng(SEED)
  const cluster = await PaxosCluster.make()
  await cluster.startAll("--init")
  const writers = await Writers.start(clientsOf(cluster))
  for (let round = 1; round <= ROUNDS; round++) {
    await writers.more(random.below(120))
    const left = [...cluster.ids]
    const killed: Array<Promise<void>> = []
    while (left.length > 0) {
      const [id] = left.splice(random.below(left.length), 1)
      killed.push(cluster.kill(id!))
      // Only while the leader and one more live can there be more answers to wait for.
      if (left.length === 2 && left.includes(1)) await writers.more(1 + random.below(20))
    }
    await Promise.all(killed)
    await cluster.startAll()
  }
  await writers.more(50)
  await assertHeld(cluster, writers)
}, 120_000)
