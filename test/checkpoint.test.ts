/** What a checkpoint keeps: a boot from it is a boot from the whole log. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { decodeRecord, encodeRecord } from "../src/link/recordCodec.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import { ProtocolInvalid } from "../src/server/handlers.ts"
import type { LogEntry, LogRecord } from "../src/server/LogRecord.ts"
import type { ProtocolSpec } from "../src/server/Protocol.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

/** Slots are decided by a quorum; every slot stores, every call notes. */
const counting = protocolOf(
  "count",
  {
    add: [
      "multiparty",
      ({ message, call, lanes, forward, note, refuse, system, self }: any) =>
        lanes.slots.last >= message.slot
          ? [note({ noted: 1 }), forward.propose({ ...message, call: { ...call } })]
          : refuse.redirect(system.members.find((node: number) => node !== self))
    ],
    propose: [
      "phase",
      {
        lane: "slots",
        index: (m) => m.slot,
        agreeOn: (m) => JSON.stringify(m),
        quorum: ({ votes, system, apply, store, forward, wait }: any) => {
          if (votes.agreed(system.quorum)) return [store({ stored: 1 }), apply({ by: votes.value })]
          return votes.mine === undefined ? forward.propose(JSON.parse(votes.value)) : wait
        }
      }
    ]
  },
  {
    state: () => ({ stored: 0, noted: 0, order: new Map([["stored", 0]]) }),
    record: json,
    evolve: (state, { stored = 0, noted = 0 }) => {
      state.stored += stored
      state.noted += noted
      // What was stored while something was noted shows that the two states are kept apart.
      state.order.set(stored > 0 ? "stored" : "noted", state.stored + 1000 * state.noted)
    },
    lanes: { slots: { window: 8 } },
    application: {
      command: json,
      initial: () => ({ applied: [] as Array<string> }),
      apply: (state, command) => {
        state.applied.push(String(command.by).slice(0, 40))
        return undefined
      }
    }
  }
)

const bootFrom = (records: ReadonlyArray<LogRecord>, protocol: ProtocolSpec, n: number): Engine => {
  const members = Array.from({ length: n }, (_, i) => i + 1)
  const system = makeSystem(members, "crash")
  const options = { self: 1, system, protocols: [protocol], limits: LIMITS }
  const engine = new Engine({ ...options, isEffect: () => false })
  for (const record of records) engine.step({ kind: "replay", record })
  engine.step({ kind: "booted", atMs: 2_000, horizonMs: 0 })
  return engine
}
/** As a boot reads it. */
const coded = (record: LogRecord): LogRecord => {
  const entries = decodeRecord(encodeRecord(record))!.entries
  return { entries: entries.map((entry) => ({ ...entry })) }
}
/** Comparable: how far others have come is not logged but with a checkpoint. */
const shown = (record: LogRecord): ReadonlyArray<LogEntry> =>
  coded(record)
    .entries.filter(({ kind }) => kind !== "member" && kind !== "checkpoint")
    .map((entry) => {
      const { wire: _, ...rest } = entry as LogEntry & { readonly wire?: unknown }
      return rest as LogEntry
    })
    .sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)))

const run = (protocol: ProtocolSpec, seed: number, act: (nodes: Nodes, random: Prng) => void) => {
  const nodes = new Nodes(protocol, 3, "crash")
  const random = new Prng(seed)
  for (let i = 0; i < 40; i++) {
    act(nodes, random)
    nodes.settle(() => !random.chance(30))
  }
  return nodes
}
const broadcasts = (nodes: Nodes, random: Prng): void => {
  const index = 1 + random.below(12)
  const more = { session: session(1 + random.below(2)), index }
  nodes.call(1 + random.below(3), request("rb", "broadcast", { text: `t${index}` }, more))
}
const acknowledged = (nodes: Nodes, random: Prng): void => {
  const index = 1 + random.below(12)
  const ackedBelow = 1 + random.below(index)
  const more = { session: session(1 + random.below(2)), index, ackedBelow }
  nodes.call(1 + random.below(3), request("rb", "broadcast", { text: `t${index}` }, more))
}
const additions = (nodes: Nodes, random: Prng): void => {
  const slot = 1 + random.below(20)
  const more = { session: session(1), index: slot }
  nodes.call(1 + random.below(3), request("count", "add", { slot }, more))
}

describe("a checkpoint", () => {
  it.each([
    ["sessions", bracha, broadcasts],
    ["lanes, stores, notes and an application", counting, additions]
  ])("of %s is what a boot from the whole log would make", (_, protocol, act) => {
    // How far clients have acknowledged is not logged, nor what others have done.
    const logged = (record: LogRecord): ReadonlyArray<LogEntry> =>
      shown(record).filter(({ kind }) => kind !== "word" && kind !== "session")
    for (let seed = 1; seed <= 40; seed++) {
      const nodes = run(protocol, seed, act)
      const live = nodes.engines.get(1)!.checkpoint()
      const whole = bootFrom(nodes.logs.get(1)!.map(coded), protocol, 3)
      const words = ({ entries }: LogRecord) => entries.filter(({ kind }) => kind === "word").length
      const fromLog = whole.checkpoint()
      expect(words(fromLog)).toBeGreaterThanOrEqual(words(live))
      expect(logged(fromLog), `seed ${seed}`).toEqual(logged(live))
    }
  })

  it.each([
    ["sessions", bracha, acknowledged],
    ["lanes, stores, notes and an application", counting, additions]
  ])("of %s gives itself again after a boot from it", (_, protocol, act) => {
    for (let seed = 1; seed <= 40; seed++) {
      const live = run(protocol, seed, act).engines.get(1)!.checkpoint()
      const again = bootFrom([coded(live)], protocol, 3)
      expect(shown(again.checkpoint()), `seed ${seed}`).toEqual(shown(live))
    }
  })

  it("holds state without what was only noted", () => {
    const nodes = run(counting, 7, additions)
    const again = bootFrom([coded(nodes.engines.get(1)!.checkpoint())], counting, 3)
    const state = again.checkpoint().entries.find(({ kind }) => kind === "state")
    expect(state).toEqual(
      nodes.engines
        .get(1)!
        .checkpoint()
        .entries.find(({ kind }) => kind === "state")
    )
    const whole = bootFrom(nodes.logs.get(1)!, counting, 3)
    expect(whole.checkpoint().entries.find(({ kind }) => kind === "state")).toEqual(state)
  })

  it("holds what was said in an unfinished instance, also once all others have done it", () => {
    const nodes = new Nodes(bracha, 3, "crash")
    nodes.settle()
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }))
    // Nobody's words reach node 1; the two others finish, and say so.
    nodes.settle((_, to) => to !== 1)
    for (const pair of ["2>1", "3>1"]) {
      const left = nodes.queues.get(pair)!.filter(({ kind }) => kind !== "word")
      nodes.queues.set(pair, left)
    }
    nodes.settle()
    const engine = nodes.engines.get(1)!
    const record = coded(engine.checkpoint())
    const words = record.entries.filter(({ kind }) => kind === "word")
    expect(record.entries[0]).toMatchObject({ kind: "checkpoint", tailFirst: 2, last: 1 })
    expect(words).toMatchObject([{ position: 1, lane: session(1) }])
    const again = bootFrom([record], bracha, 3)
    const step = again.step({
      ...{ kind: "request", atMs: 3_000, route: 1 },
      request: request("rb", "broadcast", { text: "b" })
    })
    expect(step.filter(({ kind }) => kind === "store")).toEqual([])
    expect(again.counters["said_other"]).toBe(1)
  })

  it("gives the next word the next position, also with an empty tail", () => {
    const again = bootFrom(
      [{ entries: [{ kind: "checkpoint", tailFirst: 8, last: 7 }] }],
      bracha,
      3
    )
    const [store] = again.step({
      ...{ kind: "request", atMs: 3_000, route: 1 },
      request: request("rb", "broadcast", { text: "b" })
    })
    expect(store).toMatchObject({ record: { entries: [{ kind: "word", position: 8 }] } })
  })

  it("is refused at the start where a world's state is no plain data", () => {
    const state = () => ({ slots: [{ run: () => 0 }] })
    const wrong = { ...bracha, world: { state } }
    expect(() => bootFrom([], wrong, 3)).toThrow(ProtocolInvalid)
    expect(() => bootFrom([], wrong, 3)).toThrow(
      "the state of rb is no plain data: $.slots[0].run is a function"
    )
  })
})
