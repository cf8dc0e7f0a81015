/** What one client can make a node keep, and that it is its own share. */
import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import type { Request } from "../src/server/Message.ts"
import type { Output } from "../src/server/Output.ts"
import { bracha, json, Nodes, protocolOf, request, session } from "./support/engines.ts"
import { echo, hear, rb } from "./support/tries.ts"

const NOW = 100_000
/** Answers with `bytes` bytes, or not at all. */
const big = protocolOf("b", {
  ask: [
    "multiparty",
    ({ message, reply, wait }) =>
      message.bytes === undefined ? wait : reply({ text: "x".repeat(message.bytes) })
  ]
})
const node = (limits: Partial<typeof LIMITS> = {}) => {
  const engine = new Engine({
    self: 1,
    system: makeSystem([1, 2, 3], "crash"),
    protocols: [big],
    limits: { ...LIMITS, ...limits },
    isEffect: () => false
  })
  engine.step({ kind: "booted", atMs: NOW, horizonMs: 0 })
  const ask = (client: string, n: number, more: Partial<Request> & { bytes?: number } = {}) => {
    const { bytes, ...rest } = more
    const call = request("b", "ask", { bytes }, { session: session(n, NOW + n), ...rest })
    return engine
      .step({ kind: "request", atMs: NOW, route: 1, request: call, client })
      .flatMap((output: Output) => (output.kind === "reply" ? [output.reply] : []))
  }
  const codes = (...of: Parameters<typeof ask>) => ask(...of).map(({ code }) => code ?? "answer")
  return { engine, ask, codes }
}

describe("sessions of one client", () => {
  const limits = { sessionsPerClientMax: 3 }

  it("are so many in a while; others are not hurt, nor the sessions it has", () => {
    const { ask, codes } = node(limits)
    for (const n of [1, 2, 3]) expect(codes("a", n, { bytes: 1 })).toEqual(["answer"])
    expect(ask("a", 4, { bytes: 1 })).toMatchObject([
      {
        code: "overloaded",
        detail: "this client opens too many sessions: at most 3 in 10000 ms"
      }
    ])
    expect(codes("b", 5, { bytes: 1 })).toEqual(["answer"])
    expect(codes("a", 3, { bytes: 1, index: 2 })).toEqual(["answer"])
  })

  it("count no longer once they are not new: a client that lives long is not shut out", () => {
    const { engine, codes } = node(limits)
    for (const n of [1, 2, 3]) codes("a", n, { bytes: 1 })
    const call = request("b", "ask", { bytes: 1 }, { session: session(9, NOW) })
    const atMs = NOW + LIMITS.sessionEvictAgeMs
    const [output] = engine.step({ kind: "request", atMs, route: 1, request: call, client: "a" })
    expect(output?.kind).toBe("store")
  })
})

describe("open calls of one client", () => {
  const limits = { callsPerClientMax: 2, callsMax: 4 }

  it("are so many: one more is overloaded, until one of them is answered", () => {
    const { ask, codes } = node(limits)
    expect(codes("a", 1)).toEqual([])
    expect(codes("a", 2)).toEqual([])
    expect(ask("a", 3)[0]).toMatchObject({
      code: "overloaded",
      detail: "2 calls of this client are open"
    })
    expect(codes("b", 4, { bytes: 1 })).toEqual(["answer"])
  })

  it("do not hinder copies of those that are open, nor answers", () => {
    const { codes } = node(limits)
    for (const index of [1, 2]) for (const n of [1, 2]) codes(`${n}`, n, { index })
    expect(codes("c", 3)).toEqual(["overloaded"])
    expect(codes("1", 1, { index: 2 })).toEqual([])
  })

  it("count no longer once their session leaves", () => {
    const { codes, engine } = node({ ...limits, sessionsMax: 1, sessionEvictAgeMs: -1_000 })
    for (const index of [1, 2]) codes("a", 1, { index })
    expect(codes("a", 1, { index: 3 })).toEqual(["overloaded"])
    // Whoever waited in the old one is told.
    expect(codes("a", 2)).toEqual(["session_expired", "session_expired"])
    expect(codes("a", 2, { index: 2 })).toEqual([])
    expect(engine.size()["instances"]).toBe(2)
  })
})

describe("open calls of all clients", () => {
  it("crowd out what members name until there is room: then it opens", () => {
    const limits = { windowCalls: 1, callsPerClientMax: 2, callsMax: 2 }
    const nodes = new Nodes(bracha, 4, "byzantine", limits)
    const opened = () => nodes.engines.get(1)!.size()["instances"]
    const stuck = [8, 9].map((n) => rb(1, { session: session(n) }))
    for (const request of stuck) nodes.input(1, { kind: "request", route: 7, request, client: "a" })
    expect(opened()).toBe(2)
    for (const from of [2, 3]) hear(nodes, 1, from, echo(1))
    nodes.input(1, { kind: "tick" })
    expect([opened(), nodes.engines.get(1)!.size()["crowdedOut"]]).toEqual([2, 1])
    // The client lets go of a call, so far that it is lost; what it asks next is above its window.
    const request = rb(20, { session: session(8), ackedBelow: 9 })
    nodes.input(1, { kind: "request", route: 1, request, client: "a" })
    nodes.input(1, { kind: "tick" })
    expect(nodes.engines.get(1)!.size()).toMatchObject({ crowdedOut: 0, early: 0 })
  })
})

describe("bytes of one client", () => {
  const limits = { bodyBytesMax: 1_000, clientBytesMax: 2_000, clientsBytesMax: 6_000 }
  const body = (bytes: number) => json.encode({ text: "x".repeat(bytes) })

  it("of open calls are bounded: one more is overloaded, and no other client's", () => {
    const { ask, codes } = node(limits)
    expect(ask("a", 1, { body: body(900) })).toEqual([])
    expect(ask("a", 2, { body: body(900) })).toEqual([])
    expect(ask("a", 3, { body: body(900) })[0]).toMatchObject({
      code: "overloaded",
      detail: "1822 bytes of this client are kept: calls and their answers"
    })
    expect(codes("b", 4, { body: body(900) })).toEqual([])
  })

  it("of sessions that members named, or the log, are the client's once it calls", () => {
    const { ask, codes } = node(limits)
    for (const n of [1, 2]) ask("", n, { body: body(900) })
    for (const n of [1, 2]) ask("a", n, { body: body(900) })
    expect(codes("a", 3, { body: body(900) })).toEqual(["overloaded"])
  })

  it("of answers too: one beyond is given and not kept, and never runs again", () => {
    const { ask, codes, engine } = node(limits)
    for (const index of [1, 2, 3]) codes("a", 1, { index, bytes: 900 })
    expect(engine.size()["clientBytes"]).toBe(2 * 911)
    for (const index of [1, 2]) expect(codes("a", 1, { index, bytes: 900 })).toEqual(["answer"])
    expect(codes("a", 1, { index: 3, bytes: 900 })).toEqual(["outcome_unknown"])
    expect(ask("a", 1, { index: 4, ackedBelow: 3, bytes: 9 })).toMatchObject([{ index: 4 }])
  })

  it("are free again once it acknowledges, its call ends, or its session leaves", () => {
    const { codes, engine } = node({ ...limits, sessionsMax: 1, sessionEvictAgeMs: -1_000 })
    codes("a", 1, { bytes: 900 })
    codes("a", 1, { index: 2, body: body(900) })
    expect(engine.size()["clientBytes"]).toBe(911 + 911)
    codes("a", 1, { index: 3, ackedBelow: 3, bytes: 9 })
    expect(engine.size()["clientBytes"]).toBe(911 + 20)
    codes("b", 2, { bytes: 9 })
    expect(engine.size()["clientBytes"]).toBe(20)
  })

  it("of all together: the oldest answers are let go of, and their calls stay done", () => {
    const { ask, codes, engine } = node(limits)
    for (let n = 1; n <= 8; n++) expect(codes(`c${n}`, n, { bytes: 900 })).toEqual(["answer"])
    expect(engine.size()["clientBytes"]).toBeLessThanOrEqual(6_000)
    expect(ask("c1", 1, { bytes: 900 })).toMatchObject([
      {
        code: "outcome_unknown",
        detail: "the call took effect here; its answer was too much to keep"
      }
    ])
    expect(codes("c8", 8, { bytes: 900 })).toEqual(["answer"])
  })

  it("of all together: what is open stays, and a call more is overloaded", () => {
    const { ask } = node(limits)
    for (let n = 1; n <= 6; n++) ask(`c${n}`, n, { body: body(900) })
    expect(ask("c7", 7, { body: body(900) })).toMatchObject([
      { code: "overloaded", detail: "5466 bytes of all clients' calls are kept" }
    ])
  })
})
