/** A member that was away takes a large state from the others, over real sockets. */
import { assert, describe, it, onTestFinished, vi } from "vitest"
import { Paxos } from "../../apps/paxos/protocol.ts"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { HostWatch } from "../../src/link/hostWatch.ts"
import type { LinkStrength } from "../../src/link/linkHello.ts"
import * as Policy from "../../src/quorum/Policy.ts"
import { methodId } from "../../src/server/Message.ts"
import { RealGroup } from "../support/realGroup.ts"

const CALL_MS = 60_000
const submit = Paxos.spec.methods.find(({ name }) => name === "submit")!
/** Words of more than a few commands are gone for who is away. */
const limits = (more: Partial<Limits>): Partial<Limits> => ({
  tailBytesMax: 2 * LIMITS.cursorBytesMax,
  ...more
})

const open = async (more: Partial<Limits>, links: LinkStrength): Promise<RealGroup> => {
  const real = await RealGroup.open({
    transport: "link",
    links,
    nodes: 3,
    model: "crash",
    spec: Paxos.spec,
    descriptor: KeyValue.descriptor,
    limits: limits(more),
    seed: 1,
    watch: () => new HostWatch({}),
    over: (spec) => spec,
    log: (log) => log,
    synced: (done) => setImmediate(done),
    halted: (id, reason) => assert.fail(`node ${id} halted: ${reason}`)
  })
  onTestFinished(() => real.close())
  return real
}

/** Each value stands under a key of its own. */
const put = async (real: RealGroup, count: number, bytes: number): Promise<void> => {
  const client = real.client()
  for (let i = 0; i < count; i++) {
    const value = String.fromCharCode(97 + (i % 26)).repeat(bytes)
    const body = submit.input.encode({ command: { case: "put", value: { key: `k${i}`, value } } })
    await new Promise<void>((over) => {
      client.start<Uint8Array, unknown>({
        method: methodId(submit.fullName),
        call: submit.call,
        decode: (reply) => reply,
        policy: Policy.first(),
        body: () => body,
        targets: client.system.members,
        deadlineMs: CALL_MS,
        done: (result) => {
          assert.isTrue(result.ok)
          over()
        }
      })
    })
  }
}

const fetches = (real: RealGroup, id: number) => real.lives.get(id)!.host.core.fetches
const applied = (real: RealGroup, id: number): number =>
  (real.lives.get(id)!.host.core.engine as any).core.lanes.get("slots").applied
/** What the node's application would take over a restart. */
const state = (real: RealGroup, id: number): Uint8Array => {
  const { entries } = real.lives.get(id)!.host.core.engine.checkpoint()
  return entries.flatMap((e) => (e.kind === "installed" ? [e.body] : []))[0]!
}
const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => assert.isTrue(condition()), { timeout: CALL_MS, interval: 5 })

/** Nodes 1 and 2 have decided all; node 3, which was away, has just come back. */
const behind = async (
  more: Partial<Limits>,
  count: number,
  bytes: number,
  links: LinkStrength = "plaintext"
): Promise<RealGroup> => {
  const real = await open(more, links)
  for (const id of [1, 2]) await real.start(id)
  await put(real, count, bytes)
  await real.start(3)
  return real
}

describe("a member that was away", { timeout: 120_000 }, () => {
  it("takes 32 MiB from two others, of whom one is killed in the middle, at its rate", async () => {
    const bytesPerSecond = 16 * 2 ** 20
    const real = await behind({ fetchBytesPerSecond: bytesPerSecond }, 128, 262_000)
    await until(() => fetches(real, 3).counters.chunks > 0)
    const fromMs = performance.now()
    const before = fetches(real, 3).counters.chunks
    await until(() => fetches(real, 3).counters.chunks > 40)
    const gave = [1, 2].map((id) => fetches(real, id).counters.givenBytes)
    await real.kill(2)
    const whole = (): number => fetches(real, 3).counters.chunks
    const all = Math.ceil((128 * 262_000) / LIMITS.fetchChunkBytes)
    await until(() => whole() >= all)
    const seconds = (performance.now() - fromMs) / 1_000
    await until(() => applied(real, 3) >= 128)
    assert.deepEqual(state(real, 3), state(real, 1))
    for (const bytes of gave) assert.isAbove(bytes, 2 ** 20)
    // Nothing came twice, but for what was on its way from node 2.
    const fetched = (all - before) * LIMITS.fetchChunkBytes
    assert.isAtLeast(seconds, (fetched - bytesPerSecond / 10) / bytesPerSecond)
    assert.isBelow(seconds, 60)
  })

  /** Messages of 64 KiB, and a state of 4 MiB. */
  const small = (bytesPerSecond: number, links?: LinkStrength): Promise<RealGroup> =>
    behind(
      {
        bodyBytesMax: 65_536,
        cursorBytesMax: 131_072,
        tailBytesMax: 262_144,
        fetchChunkBytes: 65_536,
        fetchBytesPerSecond: bytesPerSecond,
        fetchTimeoutMs: 1_000
      },
      100,
      42_000,
      links
    )
  const ALL = Math.ceil((100 * 42_000) / 65_536)

  it("goes on with what it has where all its connections are cut", async () => {
    const real = await small(4 * 2 ** 20)
    for (const share of [0.2, 0.5, 0.8]) {
      await until(() => fetches(real, 3).counters.chunks > share * ALL)
      for (const proxy of real.around(3)) proxy.cut()
    }
    await until(() => applied(real, 3) >= 100)
    assert.deepEqual(state(real, 3), state(real, 1))
    assert.isAtMost(fetches(real, 3).counters.chunks, ALL + 4)
  })

  it("begins again where it was killed itself, and asks for the state anew", async () => {
    const real = await small(4 * 2 ** 20)
    await until(() => fetches(real, 3).counters.chunks > ALL / 2)
    await real.kill(3)
    await real.start(3)
    await until(() => applied(real, 3) >= 100)
    assert.deepEqual(state(real, 3), state(real, 1))
  })

  it("is refused without the token that its link was told", async () => {
    const real = await small(2 ** 20)
    await until(() => fetches(real, 3).counters.chunks > 0)
    const { serve } = real.lives.get(1)!.host.fetches
    const { group, self } = (real.lives.get(1)!.host as any).options
    const token = (real.lives.get(1)!.host as any).peers.get(3).ours.fetchToken as Uint8Array
    const call = { groupDigest: group.digest, node: 3, token, digest: new Uint8Array(32) }
    const range = { ...call, list: false, offset: 0, length: 1 }
    const codes = [
      range,
      { ...range, token: token.with(0, token[0]! ^ 1) },
      { ...range, token: new Uint8Array(0) },
      { ...range, node: 2 },
      { ...range, node: self },
      { ...range, node: 9 },
      { ...range, groupDigest: new Uint8Array(32) }
    ].map((one) => {
      const answer = serve(one)
      return "code" in answer ? answer.code : answer.kind
    })
    const unknown = Array.from({ length: 5 }, () => "unauthenticated")
    assert.deepEqual(codes, ["not_offered", ...unknown, "wrong_group"])
  })

  it("where links are proven, takes no member for a liar that was not", async () => {
    const real = await small(4 * 2 ** 20, "authenticated")
    await until(() => fetches(real, 3).counters.chunks > 0.2 * ALL)
    for (const proxy of real.around(3)) {
      proxy.draw = (random, connection) =>
        connection > 6 ? {} : { down: { flipAt: 30_000 + random.below(200_000) } }
      proxy.cut()
    }
    await until(() => applied(real, 3) >= 100)
    assert.deepEqual(state(real, 3), state(real, 1))
    assert.strictEqual(fetches(real, 3).counters.lied, 0)
  })
})
