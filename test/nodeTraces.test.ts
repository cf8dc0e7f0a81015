/** What a node remembers of traced calls: how far it goes on with them, and its bounds. */
import { describe, expect, it } from "vitest"
import { create, toBinary } from "@bufbuild/protobuf"
import { CallIdSchema } from "../gen/quorate/v1/call_pb.ts"
import { LIMITS, type Limits } from "../src/base/limits.ts"
import { NodeTraces, type Traced } from "../src/link/nodeTraces.ts"
import { laneBytes, sessionKey } from "../src/server/laneKey.ts"
import type { LogEntry } from "../src/server/LogRecord.ts"
import { methodId, type Request, type Word } from "../src/server/Message.ts"
import type { Output } from "../src/server/Output.ts"
import { protocolOf } from "./support/engines.ts"

const wait = () => ({ kind: "wait" })
const protocol = protocolOf("p", { call: ["multiparty", wait], accept: ["phase", wait] })
const SESSION = sessionKey(1_000, new Uint8Array(16).fill(0x0a))
const contextOf = (span: number): Uint8Array =>
  Uint8Array.from([...new Array(16).fill(9), ...new Array(8).fill(span), 1])
const FROM_CLIENT = contextOf(200)

const request = (index: number, trace: Uint8Array = FROM_CLIENT): Request => ({
  ...{ kind: "request", session: SESSION, index, ackedBelow: 1, method: methodId("p/call") },
  ...{ deadlineMs: 0, body: new Uint8Array(0) },
  trace
})
const word = (lane: string, index: number, body: Uint8Array, trace?: Uint8Array): Word => ({
  ...{ kind: "word", position: 1, lane, index, method: methodId("p/accept") },
  ...{ round: 0, ackedBelow: 0, body },
  ...(trace && { trace })
})
const stored = (...entries: ReadonlyArray<LogEntry>): ReadonlyArray<Output> => [
  { kind: "store", record: { entries } }
]
const NOTHING = new Uint8Array(0)

const traces = (limits: Partial<Limits> = {}) => {
  const ended: Array<Traced> = []
  const parents: Array<Uint8Array> = []
  const clock = { nowMs: 1_000 }
  const it = new NodeTraces({
    limits: { ...LIMITS, ...limits },
    protocols: [protocol],
    port: {
      nowMs: () => clock.nowMs,
      begin: (parent) => {
        parents.push(parent)
        const context = contextOf(parents.length)
        return {
          context: () => context,
          end: (traced) => ended.push(traced),
          within: (effect) => [effect]
        }
      }
    }
  })
  const step = (
    input: Parameters<NodeTraces["before"]>[0],
    outputs: ReadonlyArray<Output> = []
  ) => {
    it.before(input)
    it.after(outputs)
  }
  const asked = (it: Request, outputs: ReadonlyArray<Output> = []) =>
    step({ kind: "request", atMs: 0, route: 1, request: it }, outputs)
  const turnEnd = (outputs: ReadonlyArray<Output>) => step({ kind: "turnEnd", atMs: 0 }, outputs)
  const tickAt = (nowMs: number) => {
    clock.nowMs = nowMs
    step({ kind: "tick", atMs: 0 })
  }
  const replied = (index: number) =>
    it.replied({ kind: "reply", session: SESSION, index, body: NOTHING })
  const traceOf = (said: Word) => (it.sent(said) as Word).trace
  return { it, ended, parents, clock, step, asked, turnEnd, tickAt, replied, traceOf }
}

describe("a traced call at a node", () => {
  it("puts its context on its own words, and on nobody else's", () => {
    const { asked, traceOf, parents } = traces()
    const said = word(SESSION, 1, NOTHING)
    asked(request(1), stored(said))
    expect(traceOf(said)).toEqual(contextOf(1))
    expect(parents).toEqual([FROM_CLIENT])
    expect(traceOf(word(SESSION, 2, NOTHING))).toBeUndefined()
    expect(traceOf(word("log", 1, NOTHING))).toBeUndefined()
    expect(said.trace).toBeUndefined()
  })

  it("goes on with what is said elsewhere in the step of its request", () => {
    const { asked, traceOf, turnEnd, it: all } = traces()
    asked(request(1), stored(word("log", 7, NOTHING)))
    expect(traceOf(word("log", 7, NOTHING))).toEqual(contextOf(1))
    turnEnd(stored(word("log", 8, NOTHING)))
    expect(traceOf(word("log", 8, NOTHING))).toBeUndefined()
    expect(all.size).toBe(1)
  })

  it("goes on with the word that holds its CallId, whenever that is said", () => {
    const { asked, traceOf, turnEnd } = traces()
    asked(request(1))
    asked(request(300, contextOf(201)))
    const idOf = (index: number) =>
      toBinary(
        CallIdSchema,
        create(CallIdSchema, { session: laneBytes(SESSION), index, method: "m" })
      )
    const within = (id: Uint8Array) => Uint8Array.of(10, 0x0a, 22, ...id, 10, 3)
    turnEnd(stored(word("log", 5, within(idOf(300))), word("log", 6, within(idOf(2)))))
    expect(traceOf(word("log", 5, NOTHING))).toEqual(contextOf(1))
    expect(traceOf(word("log", 6, NOTHING))).toBeUndefined()
  })

  it("that a member's word names goes below that member's span", () => {
    const { step, parents, ended, tickAt } = traces()
    const message = word("log", 5, NOTHING, contextOf(77))
    step({ kind: "message", atMs: 0, from: 2, message })
    step(
      { kind: "turnEnd", atMs: 0 },
      stored({ kind: "decided", protocol: 0, lane: "log", index: 5, items: [] })
    )
    tickAt(1_200)
    expect(ended).toEqual([])
    tickAt(1_300)
    expect(parents).toEqual([contextOf(77)])
    expect(ended[0]).toMatchObject({ lane: "log", index: 5, method: "p/accept", endMs: 1_000 })
    expect(ended[0]!.events.map(({ kind }) => kind)).toEqual(["received", "decided"])
  })

  it("is the caller's, where the request comes after the first word", () => {
    const { step, asked, parents, traceOf } = traces()
    step({ kind: "message", atMs: 0, from: 2, message: word(SESSION, 1, NOTHING, contextOf(77)) })
    asked(request(1))
    expect(traceOf(word(SESSION, 1, NOTHING))).toEqual(contextOf(1))
    expect(parents).toEqual([FROM_CLIENT])
  })

  it("ends with its reply, waits a little for late words, and is forgotten", () => {
    const { asked, step, replied, ended, tickAt, clock, it: all } = traces()
    asked(request(1), stored(word(SESSION, 1, NOTHING)))
    clock.nowMs = 1_010
    replied(1)
    clock.nowMs = 1_020
    step({ kind: "message", atMs: 0, from: 2, message: word(SESSION, 1, NOTHING, contextOf(77)) })
    tickAt(1_400)
    expect([ended.length, all.size]).toEqual([1, 0])
    expect(ended[0]).toMatchObject({ startMs: 1_000, endMs: 1_010, missed: 0, code: undefined })
    const kinds = ended[0]!.events.map(({ kind }) => kind)
    expect(kinds).toEqual(["request", "said", "replied", "received"])
  })

  it("that nothing more is heard of ends too", () => {
    const { asked, ended, tickAt } = traces()
    asked(request(1))
    tickAt(5_900)
    expect(ended).toEqual([])
    tickAt(6_100)
    expect(ended[0]).toMatchObject({ endMs: 1_000 })
  })

  it("has its handler's Effect below its span, and what that says in its trace", () => {
    const { it: all, asked, step, traceOf } = traces()
    asked(request(1), [{ kind: "run", token: 4, effect: "effect" }])
    expect(all.effect(4, "effect")).toEqual(["effect"])
    expect(all.effect(5, "effect")).toBe("effect")
    step(
      { kind: "ran", atMs: 0, token: 4, result: { kind: "wait" } },
      stored(word("log", 9, NOTHING))
    )
    expect(traceOf(word("log", 9, NOTHING))).toEqual(contextOf(1))
  })
})

describe("traced calls are bounded:", () => {
  it("so many at once", () => {
    const { asked, it: all, ended } = traces({ tracesMax: 3 })
    for (let index = 1; index <= 10; index++) asked(request(index))
    expect(all.size).toBe(3)
    all.close()
    expect([all.size, ended.length]).toEqual([0, 3])
  })

  it("so many a second", () => {
    const { asked, clock, it: all } = traces({ tracesPerSecMax: 2 })
    for (let index = 1; index <= 10; index++) asked(request(index))
    expect(all.size).toBe(2)
    clock.nowMs += 1_000
    for (let index = 11; index <= 20; index++) asked(request(index))
    expect(all.size).toBe(4)
  })

  it("so many events of each", () => {
    const { asked, step, ended, it: all } = traces({ traceEventsMax: 4 })
    asked(request(1))
    const message = word(SESSION, 1, NOTHING, contextOf(77))
    for (let i = 0; i < 10; i++) step({ kind: "message", atMs: 0, from: 2, message })
    all.close()
    expect([ended[0]!.events.length, ended[0]!.missed]).toEqual([4, 7])
  })

  it("so many instances that one is brought into", () => {
    const { asked, traceOf } = traces()
    const words = Array.from({ length: 40 }, (_, i) => word("log", i + 1, NOTHING))
    asked(request(1), stored(...words))
    expect(words.filter((said) => traceOf(said) !== undefined)).toHaveLength(16)
  })

  it("methods that are not here and contexts that are none begin nothing", () => {
    const { asked, step, it: all } = traces()
    asked({ ...request(1), method: 5 })
    asked(request(2, new Uint8Array(25)))
    const { trace: _, ...untraced } = request(3)
    asked(untraced)
    const message = { ...word(SESSION, 1, NOTHING, contextOf(77)), method: 5 }
    step({ kind: "message", atMs: 0, from: 2, message })
    expect(all.size).toBe(0)
  })
})
