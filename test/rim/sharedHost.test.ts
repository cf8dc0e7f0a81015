/** Several groups in one process: one address, one link a pair of hosts, and each its own fate. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import * as Quorum from "../../src/quorum/Policy.ts"
import type { Disk } from "../../src/link/ports.ts"
import { Member } from "../../src/runtime/Member.ts"
import * as NodeGroup from "../../src/runtime/platform-node/NodeGroup.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { SharedHost } from "../../src/runtime/SharedHost.ts"
import { freePorts, runSource, temporaryFolder } from "../support/processes.ts"
import { Bracha, Kv, kv, ReliableBroadcast } from "./support/services.ts"

const IDS = [1, 2, 3, 4]

interface Place {
  readonly folder: string
  readonly ports: ReadonlyArray<number>
  readonly keys: ReadonlyArray<NodeGroup.GeneratedKey>
}

/** Two group files, whose nodes are on the same four hosts, in another order. */
const groups = (ports: ReadonlyArray<number>, transport = "link"): Place => {
  const folder = temporaryFolder()
  const keys = ports.map(() => NodeGroup.generateKey())
  const nodes = (order: ReadonlyArray<number>) =>
    order.map((host, i) => ({
      id: i + 1,
      address: `127.0.0.1:${ports[host]}`,
      key: keys[host]!.publicKey
    }))
  const links = "authenticated"
  const shape = { group: "rb", faults: "byzantine", durable: false, links, transport }
  const rb = { ...shape, nodes: nodes([0, 1, 2, 3]) }
  const kvs = { group: "kv", faults: "crash", durable: true, links, nodes: nodes([3, 2, 1, 0]) }
  writeFileSync(join(folder, "rb.json"), JSON.stringify(rb))
  writeFileSync(join(folder, "kv.json"), JSON.stringify(kvs))
  for (const [i, { privateKey }] of keys.entries()) {
    writeFileSync(join(folder, `host-${i}.pem`), privateKey, { mode: 0o600 })
  }
  return { folder, ports, keys }
}

const hostOf = ({ folder, ports }: Place, host: number) =>
  NodeGroup.layerHost({
    listen: `127.0.0.1:${ports[host]}`,
    key: join(folder, `host-${host}.pem`)
  })

/** Host 0, 1, 2 or 3 with its node of each group. */
const process = (place: Place, host: number) => {
  const { folder } = place
  const dataFolder = join(folder, `data-${host}`)
  const member = { dataFolder, init: true }
  return Layer.mergeAll(
    Replica.layer(Bracha).pipe(
      Layer.provide(NodeGroup.layerMember(join(folder, "rb.json"), host + 1))
    ),
    Replica.layer(kv()).pipe(
      Layer.provide(
        Layer.effect(
          Member,
          Effect.map(Member, (it) => breaking(it, host))
        )
      ),
      Layer.provide(NodeGroup.layerMember(join(folder, "kv.json"), 4 - host, member))
    ),
    Layer.effectDiscard(Effect.map(SharedHost, ({ host: it }) => hosts.push(it)))
  ).pipe(Layer.provide(hostOf(place, host)))
}
/** Hosts whose disks refuse what is written, or never end a write. */
const broken = new Set<number>()
const stuck = new Set<number>()
const breaking = (member: Member["Service"], host: number): Member["Service"] => {
  const { disk } = member
  assert(disk !== undefined)
  const append = disk.append.bind(disk)
  Object.assign(disk, {
    append: (...[name, chunks, done]: Parameters<Disk["append"]>) => {
      if (stuck.has(host)) return
      if (broken.has(host)) setImmediate(done, "no space left on device")
      else append(name, chunks, done)
    }
  })
  return member
}
const hosts: Array<SharedHost["Service"]["host"]> = []

const say = (text: string) =>
  ReliableBroadcast.use((rb) =>
    rb.broadcast(
      { text },
      Quorum.matching((d) => d.text),
      { timeoutMs: 10_000 }
    )
  )
const read = (to?: ReadonlyArray<number>) =>
  Kv.use((it) => it.read({ key: "a" }, Quorum.majority(), { timeoutMs: 5_000, ...(to && { to }) }))

const clients = ({ folder }: Place) =>
  Layer.mergeAll(
    ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(join(folder, "rb.json")))),
    Kv.layer.pipe(Layer.provide(NodeGroup.layerFile(join(folder, "kv.json"))))
  )

describe("a host with nodes of two groups", () => {
  it.live.each([
    ["streams", "link", [3, 6]],
    ["a stream, and unary calls of their own", "unary", [6, 6]]
  ] as const)("that speak over %s: both answer", ([, transport, expected]) =>
    Effect.gen(function* () {
      const place = groups(yield* Effect.promise(() => freePorts(4)), transport)
      hosts.length = 0
      for (const host of [0, 1, 2, 3]) yield* Layer.build(Layer.fresh(process(place, host)))
      yield* Effect.gen(function* () {
        assert.strictEqual((yield* say("a")).text, "a")
        yield* read()
      }).pipe(Effect.provide(clients(place)))
      yield* Effect.promise(async () => {
        // The clients' links have gone; those of members stay: a stream to each host.
        const sizes = () => hosts.map(({ links }) => [links.size.links, links.size.channels])
        while (JSON.stringify(sizes()) !== JSON.stringify(IDS.map(() => expected))) {
          await new Promise(setImmediate)
        }
      })
    }).pipe(Effect.scoped)
  )

  it.live("loses one node to its disk, with the reason, and keeps the other", () =>
    Effect.gen(function* () {
      const place = groups(yield* Effect.promise(() => freePorts(4)))
      hosts.length = 0
      for (const host of [0, 1, 2, 3]) yield* Layer.build(Layer.fresh(process(place, host)))
      yield* Effect.gen(function* () {
        yield* read()
        yield* say("a")
        broken.add(3)
        const put = Kv.use((it) => it.put({ key: "a" }, Quorum.majority(), { timeoutMs: 5_000 }))
        assert.isAbove((yield* put).length, 2)
        yield* Effect.promise(async () => {
          while (hosts[3]!.size === 2) await new Promise(setImmediate)
        })
        assert.strictEqual((yield* say("b")).text, "b")
        yield* put
      }).pipe(Effect.provide(clients(place)))
      assert.deepEqual(
        hosts.map(({ size }) => size),
        [2, 2, 2, 1]
      )
    }).pipe(Effect.scoped)
  )

  it.live("does not let a group whose disk is stuck hold up the other, on the same links", () =>
    Effect.gen(function* () {
      const place = groups(yield* Effect.promise(() => freePorts(4)))
      hosts.length = 0
      for (const host of [0, 1, 2, 3]) yield* Layer.build(Layer.fresh(process(place, host)))
      yield* Effect.gen(function* () {
        yield* read()
        for (const host of [0, 1]) stuck.add(host)
        const value = "x".repeat(100_000)
        const put = Kv.use((it) => it.put({ key: value }, Quorum.majority(), { timeoutMs: 60_000 }))
        // More than credit lets pass to nodes that work nothing off: they all wait.
        const waiting = yield* Effect.forkScoped(
          Effect.all(
            Array.from({ length: 40 }, () => put),
            { concurrency: "unbounded" }
          )
        )
        const all = ReliableBroadcast.use((rb) =>
          rb.broadcast({ text: "a" }, Quorum.all(), { timeoutMs: 20_000 })
        )
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* all).length, 4)
        assert.isUndefined(waiting.pollUnsafe())
      }).pipe(Effect.provide(clients(place)))
      stuck.clear()
    }).pipe(Effect.scoped)
  )

  it.live("refuses what is the host's to say, for one of its nodes", () =>
    Effect.gen(function* () {
      const place = groups(yield* Effect.promise(() => freePorts(4)))
      const options = { listen: "127.0.0.1:1" }
      const wrong = NodeGroup.layerMember(join(place.folder, "rb.json"), 1, options)
      const failure = yield* Effect.flip(Layer.build(wrong.pipe(Layer.provide(hostOf(place, 0)))))
      assert.include(failure.message, '"listen" is the host\'s, which the node shares with others')
      const other = NodeGroup.layerMember(join(place.folder, "rb.json"), 2)
      const key = yield* Effect.flip(Layer.build(other.pipe(Layer.provide(hostOf(place, 0)))))
      assert.include(key.message, "its public key is")
    }).pipe(Effect.scoped)
  )
})

it.live("the example runs a node of each of two groups", () =>
  Effect.promise(async () => {
    const folder = temporaryFolder()
    const address = `127.0.0.1:${(await freePorts(1))[0]}`
    const { privateKey, publicKey: key } = NodeGroup.generateKey()
    writeFileSync(join(folder, "host-1.pem"), privateKey, { mode: 0o600 })
    for (const [group, id] of [
      ["news", 1],
      ["sports", 3]
    ] as const) {
      const nodes = [{ id, address, key }]
      const text = JSON.stringify({ group, faults: "byzantine", f: 0, durable: false, nodes })
      writeFileSync(join(folder, `${group}.json`), text)
    }
    const args = [address]
    const program = runSource("examples/reliable-broadcast/twoGroups.ts", args, { cwd: folder })
    await program.prints(/node 1: group news/)
    await program.prints(/node 3: group sports/)
  })
)
