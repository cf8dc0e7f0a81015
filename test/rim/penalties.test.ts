/** Penalties where they bite: what a host does to the links of members, in one process. */
import { randomBytes } from "node:crypto"
import { Effect } from "effect"
import { assert, describe, it, onTestFinished, vi } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { hexOf } from "../../src/base/bytes.ts"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import { wordPreimage } from "../../src/link/proofs.ts"
import type { Signer } from "../../src/link/ports.ts"
import { parseGroup } from "../../src/runtime/Group.ts"
import { GroupNode } from "../../src/runtime/GroupNode.ts"
import { Host, STOPPING } from "../../src/runtime/Host.ts"
import { makeClock } from "../../src/runtime/internal/random.ts"
import { makeMemoryNetwork } from "../../src/runtime/memoryCarrier.ts"
import { type Ban, type Penalties, penaltyOptions } from "../../src/runtime/Penalties.ts"
import { makeSigner, nodeVerifier, verify } from "../../src/runtime/platform-node/nodeKeys.ts"
import { type Evidence, verifyEvidence } from "../../src/runtime/Proof.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import { methodId, type Word } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"

const signed: ProtocolSpec = {
  ...Bracha.spec,
  methods: Bracha.spec.methods.map((m) => (m.call === "phase" ? { ...m, signed: true } : m))
}
const BROADCAST = Bracha.spec.methods.find(({ call }) => call === "multiparty")!
const PHASE = signed.methods.find(({ call }) => call === "phase")!
/** A node without a log keeps out of sessions opened before this time after its start. */
const AHEAD_MS = 50
const HASTY = { redialMsMin: 5, redialMsMax: 20, redialRefusedMsMax: 20 }

const open = async (
  penalties: (id: number) => Penalties,
  change: Partial<Limits> = {},
  spec: ProtocolSpec = Bracha.spec
) => {
  const signers = new Map<number, Signer>([1, 2, 3, 4].map((id) => [id, makeSigner()]))
  const nodes = [...signers].map(([id, { publicKey }]) => {
    return { id, address: `127.0.0.1:${7000 + id}`, key: hexOf(publicKey) }
  })
  const group = parseGroup({ group: "p", faults: "byzantine", durable: false, nodes }, "test")
  if (!("system" in group)) throw group
  const { carrier } = makeMemoryNetwork()
  const printed: Array<string> = []
  const hosts: Array<GroupNode> = []
  for (const [id, signer] of signers) {
    const scope = { digest: group.digest, epoch: 0 }
    const name = `node ${id}`
    const all = { ...LIMITS, ...HASTY, sessionAheadMsMax: AHEAD_MS, ...change }
    const print = (_level: string, line: string) => void printed.push(line)
    const process = new Host({ limits: all, clock: makeClock(), carrier, name, print })
    const host = new GroupNode({
      host: process,
      ...{ group, self: id, protocols: [spec], carrier, log: undefined },
      limits: all,
      clock: makeClock(),
      storeId: randomBytes(16),
      isEffect: Effect.isEffect,
      run: () => {},
      interrupt: () => {},
      proofs: { scope, keys: group.keys, signer, verifier: nodeVerifier },
      penalties: penaltyOptions(penalties(id), true),
      halted: () => {}
    })
    host.boot()
    const listener = await Effect.runPromise(
      carrier.listen(group.addresses.get(id)!, {
        accept: (connection) => process.accept(connection),
        services: [],
        unary: () => () => {},
        greet: () => host.hello(),
        garbage: () => {}
      })
    )
    onTestFinished(async () => {
      host.stop()
      process.close(STOPPING)
      await Effect.runPromise(listener.close)
    })
    hosts.push(host)
  }
  for (const host of hosts) host.start()
  return { hosts, group, signers, printed }
}

const until = (condition: () => boolean): Promise<void> =>
  vi.waitFor(() => assert.isTrue(condition()), { timeout: 20_000, interval: 5 })

/** Makes so many calls at each of these hosts; waits until all are answered. */
const broadcast = async (hosts: ReadonlyArray<GroupNode>, count: number): Promise<void> => {
  const sinceMs = Date.now()
  await until(() => Date.now() > sinceMs + 2 * AHEAD_MS)
  const session = sessionKey(Date.now(), new Uint8Array(randomBytes(16)))
  const body = BROADCAST.input.encode({ text: "x".repeat(50) })
  let missing = hosts.length * count
  for (const host of hosts) {
    const answer = (code: string | undefined): void => {
      assert.isUndefined(code)
      missing--
    }
    const route = host.openRoute({ send: ({ code }) => answer(code) })
    for (let index = 1; index <= count; index++) {
      const call = { session, index, ackedBelow: 1, deadlineMs: 0, body }
      const method = methodId(BROADCAST.fullName)
      host.fromRoute(route, { kind: "request", ...call, method })
    }
  }
  await until(() => missing === 0)
}

it("members above their rate get no credit for a while, and all is said in the end", async () => {
  const slow = { memberMessagesPerSecond: 500, rateBurstMs: 20, creditBytes: 40_000 }
  const narrow = { batchBytesTarget: 1024, fragmentBytes: 4096 }
  const { hosts } = await open(() => ({ onSpam: "throttle" }), { ...slow, ...narrow })
  await broadcast(hosts, 200)
  const slowed = hosts.map(({ core }) => core.penalties.counters.slowed)
  assert.isAbove(Math.max(...slowed), 0)
  assert.deepStrictEqual(
    hosts.map(({ counters }) => counters.linksCut),
    [0, 0, 0, 0]
  )
})

it("a member that an operator bans is refused, and told to ask; the others go on", async () => {
  const { hosts, printed } = await open((id) => (id === 1 ? { banned: [4] } : {}))
  await until(() => printed.some((line) => line.includes("banned: node 4 is banned here")))
  await broadcast(hosts.slice(0, 3), 3)
  assert.isTrue(printed.some((line) => line.startsWith("node 1: ")))
})

describe("a member whose key signed two values", () => {
  const lie = (group: { digest: Uint8Array }, signer: Signer, session: string) =>
    ["a", "b"].map((text, i): Word => {
      const place = { lane: session, index: 1, method: methodId(PHASE.fullName), round: 0 }
      const word = { ...place, body: PHASE.input.encode({ text }) }
      const preimage = wordPreimage({ digest: group.digest, epoch: 0 }, { ...word, author: 2 })
      const position = 1_000 + i
      return { kind: "word", ...word, position, ackedBelow: 1, signature: signer.signNow(preimage) }
    })

  it("is banned where the policy says so: anybody can tell why, and it comes back", async () => {
    const bans: Array<Ban> = []
    const shown: Array<Evidence> = []
    const strict: Penalties = {
      onProof: "ban",
      onBan: (ban) => bans.push(ban),
      onEvidence: (evidence) => shown.push(evidence)
    }
    const { hosts, group, signers } = await open((id) => (id === 1 ? strict : {}), {}, signed)
    const [first] = hosts
    await broadcast(hosts, 1)
    const session = sessionKey(Date.now(), new Uint8Array(randomBytes(16)))
    // A call that nobody else hears of.
    const body = BROADCAST.input.encode({ text: "c" })
    const call = { session, index: 1, ackedBelow: 1, deadlineMs: 0, body }
    const route = first!.openRoute({ send: () => {} })
    first!.fromRoute(route, { kind: "request", ...call, method: methodId(BROADCAST.fullName) })
    for (const word of lie(group, signers.get(2)!, session)) first!.core.receive(2, word)
    await until(() => bans.length === 1)
    assert.deepStrictEqual([bans[0]!.member, shown[0]!.proven], [2, true])
    const verdict = verifyEvidence(group, shown[0]!, { verify })
    assert.deepStrictEqual(verdict, { holds: true, author: 2 })
    assert.isTrue(first!.core.refuses(2)!.banned)
    await until(() => hosts[1]!.counters.linksCut > 0)
    bans[0]!.lift()
    assert.isUndefined(first!.core.refuses(2))
    await broadcast(hosts, 1)
  })
})
