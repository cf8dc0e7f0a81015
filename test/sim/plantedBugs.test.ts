/**
 * Bugs of an engine, wrapped around it from outside, each of another kind: the simulator must find
 * every one. A judge that never convicts proves nothing.
 */
import { describe, expect, it } from "vitest"
import type { NodeId } from "../../src/base/NodeId.ts"
import type { Quorum } from "../../src/quorum/QuorumSystem.ts"
import type { Input } from "../../src/server/Input.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import type { PeerMessage } from "../../src/server/Message.ts"
import type { Output } from "../../src/server/Output.ts"
import { choicesOf, type Decorate, type SimulateOptions } from "../../src/testing/index.ts"
import { PROTOCOLS } from "../../tools/protocols.ts"
import { firstFailure, forgetting, stepping } from "./support.ts"

/** For machines that others share. */
const SLOW = { timeout: 240_000 }
const SEEDS = 500

type Options = Omit<SimulateOptions, "seed">
const runsOf = (name: string): Options => {
  const { spec, model, nodes, calls, leader } = PROTOCOLS[name]!
  const byzantine = model === "byzantine" ? 1 : 0
  const choices = choicesOf(spec, calls)
  const faults = { byzantine, faults: "all", crash: true } as const
  // By what comes of it, not by counting who spoke.
  const promises = { totality: true, quorums: false }
  return { spec, model, nodes, leader, choices, promises, ...faults }
}
const RB = runsOf("reliable-broadcast")
const CROWDED: Options = {
  ...RB,
  promises: { totality: false, quorums: false },
  clients: 6,
  limits: { sessionsMax: 3, sessionEvictAgeMs: 200 }
}

const hearing = (change: (message: PeerMessage, from: NodeId) => PeerMessage | undefined) =>
  stepping((step) => (input) => {
    if (input.kind !== "message") return step(input)
    const message = change(input.message, input.from)
    return message === undefined ? [] : step({ ...input, message })
  })
const saying = (change: (message: PeerMessage) => PeerMessage | undefined) =>
  stepping(
    (step) => (input) =>
      step(input).flatMap((output): ReadonlyArray<Output> => {
        if (output.kind !== "send") return [output]
        const message = change(output.message)
        return message === undefined ? [] : [{ ...output, message }]
      })
  )
const logging = (change: (entries: ReadonlyArray<LogEntry>) => ReadonlyArray<LogEntry>) =>
  stepping(
    (step) => (input) =>
      step(input).flatMap((output): ReadonlyArray<Output> => {
        if (output.kind !== "store") return [output]
        const entries = change(output.record.entries)
        return entries.length === 0 ? [] : [{ ...output, record: { entries } }]
      })
  )

const oneFewer = (quorum: Quorum): Quorum => ({
  name: quorum.name,
  needed: quorum.needed - 1,
  has: (set) => set.count >= quorum.needed - 1
})

/** What a node knows of sessions: those that a request or a word has named to it. */
const earlyVotesLost: NonNullable<Decorate["engine"]> = (engine, node) => {
  const named = new Set<string>()
  const drop = stepping((step) => (input: Input) => {
    if (input.kind === "request") named.add(input.request.session)
    const lost = input.kind === "message" && input.message.kind === "word"
    return lost && !named.has(input.message.lane) ? [] : step(input)
  })
  return drop(engine, node)
}
const acksOneTooMany = stepping((step) => (input) => {
  if (input.kind !== "request") return step(input)
  const { request } = input
  const ackedBelow = Math.min(request.index, request.ackedBelow + 1)
  return step({ ...input, request: { ...request, ackedBelow } })
})
/** A word is counted as its neighbour's. */
const authorsMixedUp = stepping((step) => (input) => {
  const wrong = input.kind === "message" && input.message.kind === "word" && input.from === 2
  return step(wrong ? { ...input, from: 3 } : input)
})
const lastWordForgotten = stepping((step) => (input) => {
  if (input.kind !== "replay") return step(input)
  const { entries } = input.record
  const last = entries.findLastIndex(({ kind }) => kind === "word")
  return step({ ...input, record: { entries: entries.filter((_, i) => i !== last) } })
})
const repliesSwapped: NonNullable<Decorate["engine"]> = (engine, node) => {
  let before: Uint8Array | undefined
  const swap = stepping(
    (step) => (input) =>
      step(input).map((output) => {
        if (output.kind !== "reply" || output.reply.code !== undefined) return output
        const body = before ?? output.reply.body
        before = output.reply.body
        return { ...output, reply: { ...output.reply, body } }
      })
  )
  return swap(engine, node)
}

const BUGS: ReadonlyArray<readonly [string, Options, Decorate, RegExp]> = [
  [
    "a floor too high: one call too many is acknowledged",
    RB,
    { engine: acksOneTooMany },
    /no answer|failed/
  ],
  [
    "a say not replayed: the last word of a record",
    RB,
    { engine: lastWordForgotten },
    /its word|P4|P5/
  ],
  ["an early vote lost", RB, { engine: earlyVotesLost }, /totality|no answer/],
  ["a horizon not durable", CROWDED, forgetting("horizon"), /P7|P8/],
  [
    "a final not logged",
    RB,
    { engine: logging((entries) => entries.filter(({ kind }) => kind !== "final")) },
    /P11/
  ],
  [
    "done told before it is",
    RB,
    { engine: saying((m) => (m.kind === "taken" ? { ...m, done: m.taken } : m)) },
    /totality|P5|no answer/
  ],
  [
    "one member counts for one that is honest",
    RB,
    { system: (system) => ({ ...system, oneHonest: oneFewer(system.oneHonest) }) },
    /agreement|totality|no correct node/
  ],
  [
    "what was dropped above a window is not asked for again",
    RB,
    { engine: saying((m) => (m.kind === "wantLane" ? undefined : m)) },
    /totality|P5|no answer/
  ],
  [
    "a resume position one too high: what is wanted first does not come",
    RB,
    {
      engine: hearing((m) =>
        m.kind === "want" && m.position > 0 ? { ...m, position: m.position + 1 } : m
      )
    },
    /P5|P6|no answer/
  ],
  ["a word counted as another member's", RB, { engine: authorsMixedUp }, /P1|P5|no answer/],
  ["a reply of another call", RB, { engine: repliesSwapped }, /P7|agreement|no correct node/],
  ["a decision forgotten", runsOf("counter"), forgetting("decided"), /at most once/]
]

describe("the simulator finds", () => {
  it.each(BUGS)(`within ${SEEDS} seeds: %s`, SLOW, (bug, options, decorate, what) => {
    const run = firstFailure({ ...options, decorate }, SEEDS)
    expect(run?.failure, bug).toMatch(what)
    console.info(`${bug}: seed ${run!.seed}: ${run!.failure!.split("\n")[0]}`)
  })
})
