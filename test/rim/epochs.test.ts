/** The members of a running group change, on real hosts: files, HTTP/2, a client that calls on. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { vi } from "vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { CounterNode } from "../../examples/counter/counter.ts"
import type { EpochState } from "../../src/server/epoch.ts"
import type { GroupConfig } from "../../src/runtime/Group.ts"
import { Member } from "../../src/runtime/Member.ts"
import type { Operator } from "../../src/runtime/Operator.ts"
import * as NodeGroup from "../../src/runtime/platform-node/NodeGroup.ts"
import type { Protocol } from "../../src/runtime/Service.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { freePorts, runSource, temporaryFolder } from "../support/processes.ts"
import { ReliableBroadcast } from "./support/services.ts"

const EPOCHS = [
  [1, 2, 3, 4],
  [1, 2, 3, 4, 5, 6, 7],
  [4, 5, 6, 7]
]
const LINGER_MS = 2_000

interface Place {
  readonly folder: string
  readonly files: ReadonlyArray<GroupConfig>
}

const place = Effect.promise(async (): Promise<Place> => {
  const ports = await freePorts(7)
  const keys = ports.map(() => NodeGroup.generateKey())
  const folder = temporaryFolder()
  const files = EPOCHS.map((members, i): GroupConfig => {
    const nodes = members.map((id) => ({
      id,
      address: `127.0.0.1:${ports[id - 1]}`,
      key: keys[id - 1]!.publicKey
    }))
    const shape = { group: "rb", epoch: i + 1, faults: "byzantine", durable: true } as const
    return { ...shape, links: "authenticated", nodes }
  })
  for (const file of files) writeFileSync(fileOf(folder, file.epoch!), JSON.stringify(file))
  for (const [i, { privateKey }] of keys.entries()) {
    writeFileSync(join(folder, `${i + 1}.pem`), privateKey, { mode: 0o600 })
  }
  return { folder, files }
})
const fileOf = (folder: string, epoch: number): string => join(folder, `epoch-${epoch}.json`)

/** Texts that a node answered, with all repetitions. */
const answered = new Map<number, Array<string>>()
const bracha = (id: number) =>
  ReliableBroadcast.protocol({
    broadcast: ({ message, forward }) => forward.echo(message),
    echo: {
      agreeOn: (m) => m.text,
      quorum: ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
    },
    ready: {
      agreeOn: (m) => m.text,
      quorum: ({ votes, system, reply, wait }) => {
        if (!votes.agreed(system.quorum)) return wait
        answered.set(id, [...(answered.get(id) ?? []), votes.value])
        return reply({ text: votes.value })
      }
    }
  })

/** A process, until its scope closes. */
const node = (
  { folder }: Place,
  id: number,
  epoch: number,
  protocol: Protocol<any, never> = bracha(id)
) =>
  Effect.gen(function* () {
    const scope = yield* Scope.make()
    let operator: Operator | undefined
    const options = {
      dataFolder: join(folder, `data-${id}`),
      init: true,
      key: join(folder, `${id}.pem`),
      operator: (it: Operator) => (operator = it)
    }
    const member = NodeGroup.layerMember(fileOf(folder, epoch), id, options)
    const hasty = Layer.effect(
      Member,
      Effect.map(Member, (it) => ({ ...it, epochLingerMs: LINGER_MS }))
    )
    const layer = Replica.layer(protocol).pipe(Layer.provide(hasty), Layer.provide(member))
    yield* Layer.buildWithScope(Layer.fresh(layer), scope)
    yield* Effect.addFinalizer(() => Scope.close(scope, Exit.void))
    return { operator: operator!, stop: Scope.close(scope, Exit.void) }
  })
type Running = Effect.Success<ReturnType<typeof node>>

const until = (holds: () => boolean) =>
  Effect.promise(() => vi.waitFor(() => assert.isTrue(holds()), { timeout: 20_000, interval: 5 }))
const stateOf = ({ operator }: Running, epoch: number) =>
  operator.epochs().find((it) => it.epoch === epoch)
const say = (text: string) =>
  ReliableBroadcast.use((rb) => rb.broadcast({ text }, undefined, { timeoutMs: 10_000 }))

const announce = (nodes: ReadonlyArray<Running>, file: GroupConfig) =>
  Effect.all(nodes.map(({ operator }) => operator.announce(file)))

describe("a group whose members change", () => {
  it.live("goes from four to seven to four while a client calls: each call is answered once", () =>
    Effect.gen(function* () {
      answered.clear()
      const at = yield* place
      const nodes = new Map<number, Running>()
      for (const id of EPOCHS[0]!) nodes.set(id, yield* node(at, id, 1))
      const client = ReliableBroadcast.layer.pipe(
        Layer.provide(NodeGroup.layerFile(fileOf(at.folder, 1)))
      )
      yield* Effect.gen(function* () {
        let [calls, over] = [0, false]
        const calling = yield* Effect.forkScoped(
          Effect.gen(function* () {
            while (!over) {
              const text = `call ${++calls}`
              assert.strictEqual((yield* say(text)).text, text)
            }
          })
        )
        for (const epoch of [2, 3]) {
          const members = EPOCHS[epoch - 1]!
          for (const id of members) if (!nodes.has(id)) nodes.set(id, yield* node(at, id, epoch))
          const all = [...nodes.values()]
          yield* announce(all, at.files[epoch - 1]!)
          const inIt = members.map((id) => nodes.get(id)!)
          // Its channels are open before anybody activates it, and each member knows so.
          yield* until(() =>
            inIt.every((it) => stateOf(it, epoch)?.linked.length === members.length - 1)
          )
          assert.deepEqual(
            inIt.map((it) => stateOf(it, epoch)?.state),
            inIt.map((): EpochState => "announced")
          )
          const before = calls
          yield* until(() => calls > before + 3)
          const deciding = EPOCHS[epoch - 2]!.slice(-3).map((id) => nodes.get(id)!)
          yield* Effect.all(deciding.map(({ operator }) => operator.activate(epoch)))
          yield* until(() => inIt.every((it) => stateOf(it, epoch)?.state === "active"))
          yield* until(() => all.every((it) => stateOf(it, epoch - 1) === undefined))
          const since = calls
          yield* until(() => calls > since + 3)
        }
        over = true
        yield* Fiber.join(calling)
        for (const [id, texts] of answered) {
          assert.strictEqual(new Set(texts).size, texts.length, `node ${id}`)
        }
        assert.isAtLeast(calls, 10)
      }).pipe(Effect.provide(client))
    }).pipe(Effect.scoped)
  )

  it.live(
    "a node that was started anew stays out of an epoch that ended, and in those that live",
    () =>
      Effect.gen(function* () {
        const at = yield* place
        const nodes = yield* Effect.all(EPOCHS[0]!.map((id) => node(at, id, 1)))
        // The second epoch of this group is the third of the other: node 4 alone is in both.
        const next = { ...at.files[2]!, epoch: 2 }
        writeFileSync(fileOf(at.folder, 2), JSON.stringify(next))
        const others = yield* Effect.all([5, 6, 7].map((id) => node(at, id, 2)))
        yield* announce(nodes, next)
        // In both epochs for a while: a life that ends there goes on with both.
        yield* nodes[3]!.stop
        const both = yield* node(at, 4, 1)
        assert.deepEqual(
          both.operator.epochs().map(({ epoch, state }) => [epoch, state]),
          [
            [1, "active"],
            [2, "announced"]
          ]
        )
        for (const { operator } of [...nodes.slice(0, 3), both, others[0]!])
          yield* operator.activate(2)
        yield* until(() => [both, ...others].every((it) => stateOf(it, 2)?.state === "active"))
        yield* until(() => [both, nodes[0]!].every((it) => stateOf(it, 1) === undefined))

        yield* nodes[0]!.stop
        const left = yield* Effect.flip(node(at, 1, 1))
        assert.include(String(left), "epoch 1 has ended here")
        yield* both.stop
        const again = yield* node(at, 4, 1)
        assert.deepEqual(
          again.operator.epochs().map(({ epoch, state }) => [epoch, state]),
          [[2, "active"]]
        )
        yield* until(() => stateOf(again, 2)?.linked.length === 3)
        const client = ReliableBroadcast.layer.pipe(
          Layer.provide(NodeGroup.layerFile(fileOf(at.folder, 2)))
        )
        const { text } = yield* say("a").pipe(Effect.provide(client))
        assert.strictEqual(text, "a")
        yield* nodes[1]!.stop
      }).pipe(Effect.scoped)
  )

  it.live("refuses to announce what cannot be a next epoch of it, with one line", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { operator } = yield* node(at, 4, 1)
      const next = at.files[1]!
      const moved = next.nodes.map((it) => ({ ...it, address: `127.0.0.9:${it.id}` }))
      const wrong: ReadonlyArray<readonly [object, string]> = [
        [{ group: "other" }, 'the file is of group "other"'],
        [{ epoch: 0 }, "0 is no epoch"],
        [{ epoch: 1 }, "its file differs from the one before"],
        [{ durable: false }, "a group that keeps nothing has one epoch"],
        [{ transport: "unary" }, 'members that use transport "unary" have one epoch'],
        [{ nodes: moved }, "it has this node at 127.0.0.9:4"]
      ]
      for (const [change, what] of wrong) {
        const { message } = yield* Effect.flip(operator.announce({ ...next, ...change }))
        assert.include(message, what)
      }
      const { message } = yield* Effect.flip(operator.activate(2))
      assert.include(message, "it is not announced; announce it first")
      assert.deepEqual(operator.epochs(), [{ epoch: 1, state: "active", linked: [] }])
    }).pipe(Effect.scoped)
  )

  it.live.each([{ durable: false }, { transport: "unary" }])(
    "refuses to start in a later epoch of a group whose members cannot change: %j",
    (change) =>
      Effect.gen(function* () {
        const at = yield* place
        writeFileSync(fileOf(at.folder, 2), JSON.stringify({ ...at.files[1]!, ...change }))
        const failure = yield* Effect.flip(node(at, 5, 2))
        assert.include(String(failure), "it is epoch 2, and its members cannot change; leave")
      }).pipe(Effect.scoped)
  )

  it.live("refuses to announce where a service has lanes of its own", () =>
    Effect.gen(function* () {
      const at = yield* place
      const { operator } = yield* node(at, 1, 1, CounterNode)
      const { message } = yield* Effect.flip(operator.announce(at.files[1]!))
      assert.include(message, "Counter has lanes, which stay with their members in this release")
    }).pipe(Effect.scoped)
  )
})

it.live("the example goes from epoch to epoch as its operator signals", () =>
  Effect.promise(async () => {
    const folder = temporaryFolder()
    const nodes = [{ id: 1, address: `127.0.0.1:${(await freePorts(1))[0]}` }]
    const shape = { group: "rb", faults: "byzantine", f: 0, durable: true, nodes }
    writeFileSync(fileOf(folder, 1), JSON.stringify(shape))
    writeFileSync(join(folder, "next.json"), JSON.stringify({ ...shape, epoch: 2 }))
    const args = ["epoch-1.json", "1", "data", "next.json"]
    const program = runSource("examples/reliable-broadcast/operated.ts", args, { cwd: folder })
    await program.prints(/node 1: group rb, address/)
    program.child.kill("SIGUSR2")
    await program.prints(/epoch 2: it is not announced; announce it first/)
    program.child.kill("SIGHUP")
    await program.prints(/epoch 2 is announced here/)
    program.child.kill("SIGUSR2")
    await program.prints(/epoch 2 is active here/)
    await program.prints(/epoch 1 is closing here/)
  })
)
