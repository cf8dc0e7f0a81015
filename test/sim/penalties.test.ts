/**
 * Penalties in the simulator, with limits so small that honest load meets them: no correct member
 * is ever cut off (the checkers see to it), and what clients ask is answered all the same.
 */
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import type { Limits } from "../../src/base/limits.ts"
import { encodeMessage } from "../../src/link/envelope.ts"
import type { PenaltyPolicy } from "../../src/link/penalties.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import { type ClientMessage, methodId, type PeerMessage } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import {
  choicesOf,
  type SimulateOptions,
  type SimulationParts,
  type SimulationRun,
  simulate
} from "../../src/testing/index.ts"
import { EPOCH_MS } from "../../src/testing/world.ts"
import { PROTOCOLS } from "../../tools/protocols.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"

const STRICT: PenaltyPolicy = { onSpam: "disconnect", onFault: "disconnect", onProof: "ban" }
/** One fault is one too many. */
const NO_FAULT: Partial<Limits> = { faultsMax: 0, penaltyMsMin: 200, penaltyMsMax: 2_000 }
/** Rates that a backlog exceeds, and so do a few calls at once. */
const SLOWLY: Partial<Limits> = {
  ...{ memberMessagesPerSecond: 300, memberBytesPerSecond: 2 ** 30, rateBurstMs: 100 },
  ...{ clientMessagesPerSecond: 640, clientBytesPerSecond: 2 ** 30, callsOpenMax: 32 }
}

const signedBracha: ProtocolSpec = {
  ...Bracha.spec,
  methods: Bracha.spec.methods.map((m) => (m.call === "phase" ? { ...m, signed: true } : m))
}

const cutOf = (run: SimulationRun): ReadonlyArray<string> =>
  run.hosts.flatMap(({ node, penalties }) => penalties.cut.map((other) => `${node}>${other}`))
const slowedMs = (run: SimulationRun): number =>
  Math.max(0, ...run.hosts.flatMap(({ penalties }) => [...penalties.slowedMs.values()]))

const optionsOf = (name: string): Omit<SimulateOptions, "seed"> => {
  const { spec, model, promises, nodes, calls, leader } = PROTOCOLS[name]!
  return {
    ...{ spec, model, nodes, promises, leader, choices: choicesOf(spec, calls) },
    ...{ byzantine: model === "byzantine" ? 1 : 0, faults: "all", crash: true, policy: STRICT }
  }
}

describe("with every fault on, and penalties at their strictest", () => {
  it.each(Object.keys(PROTOCOLS))("no correct member of %s is cut off or banned", SLOW, (name) => {
    let cut = 0
    for (let seed = 1; seed <= seedsOf(20); seed++) {
      const run = simulate({ ...optionsOf(name), seed, limits: NO_FAULT })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      cut += cutOf(run).length
    }
    expect(cut > 0).toBe(PROTOCOLS[name]!.model === "byzantine")
  })

  it("those whose signatures prove that they lied are banned, and they alone", SLOW, () => {
    let banned = 0
    for (let seed = 1; seed <= seedsOf(40); seed++) {
      const options = { ...optionsOf("reliable-broadcast"), spec: signedBracha, seed }
      const run = simulate({ ...options, limits: { faultsMax: 1_000 } })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      banned += cutOf(run).length
    }
    expect(banned).toBeGreaterThan(0)
  })

  it.each(Object.keys(PROTOCOLS))(
    "members of %s that are slowed down, also after a partition, get through",
    SLOW,
    (name) => {
      let most = 0
      for (let seed = 1; seed <= seedsOf(20); seed++) {
        const run = simulate({ ...optionsOf(name), seed, limits: SLOWLY })
        expect(run.failure, `seed ${seed}`).toBeUndefined()
        most = Math.max(most, slowedMs(run) / run.virtualMs)
      }
      console.log(
        `${name}: a member was slowed down for at most ${Math.round(most * 100)} % of a run`
      )
      expect(most).toBeLessThan(0.5)
    }
  )
})

const SPAMMER = 120_000

/** From 100 ms to 3 s: each millisecond so many messages, to each node. */
const spam =
  (from: number, perMs: number, messages: (n: number) => PeerMessage | ClientMessage) =>
  ({ world: { network, time }, hosts }: SimulationParts): void => {
    const nodes = new Set(hosts.map(({ node }) => node).filter((node) => node !== from))
    if (from === SPAMMER) {
      network.attach(from, {
        hello: () => ({ storeId: "", horizonMs: 0 }),
        ...{ opened: () => {}, closed: () => {}, receive: () => {} }
      })
      for (const node of nodes) network.join(from, node)
    }
    let sent = 0
    const more = (): void => {
      for (let left = perMs; left > 0; left--) {
        const bytes = encodeMessage(messages(sent++))
        for (const node of nodes) network.send(from, node, bytes)
      }
      if (time.nowMs < 3_000) time.after(1, more)
    }
    time.after(100, more)
  }

const [{ body: text } = { body: new Uint8Array() }] = optionsOf("reliable-broadcast").choices
const place = (n: number) => ({
  session: sessionKey(EPOCH_MS, new Uint8Array(16).fill(n % 251)),
  index: 1 + (n % 64)
})
const words = (n: number): PeerMessage => {
  const { session: lane, index } = place(n)
  const method = methodId(Bracha.spec.methods.find(({ call }) => call === "phase")!.fullName)
  const word = { kind: "word", position: n + 1, round: 0, ackedBelow: 1, body: text } as const
  return n % 3 === 0 ? { kind: "want", position: 1 } : { ...word, lane, index, method }
}
const calls = (n: number): ClientMessage => ({
  ...{ kind: "request", ...place(n), ackedBelow: 1, deadlineMs: 0, body: text },
  method: methodId(Bracha.spec.methods.find(({ call }) => call === "multiparty")!.fullName)
})

describe("spam", () => {
  const rates = { ...SLOWLY, clientMessagesPerSecond: 1_000 }
  const options = { ...optionsOf("reliable-broadcast"), crash: false, limits: rates }
  const liarOf = (seed: number): number | undefined => {
    const { correct, hosts } = simulate({ ...options, seed })
    return hosts.find(({ node }) => !correct.includes(node))?.node
  }

  it("of a faulty member slows itself down, and others' calls are answered", SLOW, () => {
    let slowed = 0
    for (let seed = 1; seed <= seedsOf(6); seed++) {
      const liar = liarOf(seed)
      if (liar === undefined) continue
      const run = simulate({ ...options, seed, script: spam(liar, 2, words) })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      for (const { node, penalties } of run.hosts) {
        if (node !== liar) slowed += penalties.slowedMs.get(liar) ?? 0
      }
    }
    expect(slowed).toBeGreaterThan(1_000)
  })

  it("of a client is refused and then cut, counted, and others' calls are answered", SLOW, () => {
    const total = { refused: 0, clientsCut: 0 }
    for (let seed = 1; seed <= seedsOf(6); seed++) {
      const run = simulate({ ...options, seed, script: spam(SPAMMER, 4, calls) })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      for (const { core, node } of run.hosts) {
        if (!run.correct.includes(node)) continue
        total.refused += core!.penalties.counters.refused
        total.clientsCut += core!.penalties.counters.clientsCut
      }
      expect(run.hosts.flatMap(({ penalties }) => penalties.clientsCut)).toContain(SPAMMER)
    }
    expect(total.refused).toBeGreaterThan(1_000)
  })
})
