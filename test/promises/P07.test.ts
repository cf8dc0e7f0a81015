/**
 * P7: A call takes effect at most once, for ever: through duplicates, retries and restarts, and
 * after its session was forgotten.
 */
import { describe, expect, it } from "vitest"
import type { Request } from "../../src/server/Message.ts"
import { counterOf } from "../support/counter.ts"
import { bracha, Nodes, protocolOf, request, session } from "../support/engines.ts"
import { alone, echo, finals, hear, logged, rb } from "../support/tries.ts"

/** Tables of two sessions. Session `n` is opened at `n` seconds; the clock says 20. */
const TIGHT = { sessionsMax: 2 }
const tight = (n = 4, limits = {}): Nodes => {
  const nodes = new Nodes(bracha, n, "byzantine", { ...TIGHT, ...limits })
  nodes.atMs = 20_000
  return nodes
}
const opened = (n: number): string => session(n, n * 1_000)
const of = (n: number, more: Partial<Request> = {}): Request =>
  rb(1, { session: opened(n), ...more })
const codes = (nodes: Nodes): ReadonlyArray<string> =>
  nodes.replies.map(({ from, reply }) => `${from}: ${reply.code ?? "answer"}`)
const everywhere = (nodes: Nodes, call: Request): void => {
  for (const id of nodes.ids) nodes.call(id, call)
  nodes.settle()
}

describe("P7: a session that is forgotten", () => {
  it("is the one opened first, and its calls never run again", () => {
    const nodes = tight()
    for (const n of [2, 1, 3]) everywhere(nodes, of(n))
    nodes.replies.length = 0
    nodes.call(1, of(1))
    nodes.call(1, of(1, { index: 2 }))
    expect(codes(nodes)).toEqual(["1: session_expired", "1: session_expired"])
    expect(nodes.replies[0]!.reply.horizonMs).toBe(1_000)
    nodes.call(1, of(2))
    expect(codes(nodes).at(-1)).toBe("1: answer")
    expect(nodes.engines.get(1)!.size()["sessions"]).toBe(2)
  })

  it("takes all opened at the same time with it", () => {
    const nodes = tight(4, { sessionsMax: 3 })
    for (const key of [session(1, 1_000), session(2, 1_000), session(3, 1_001)]) {
      nodes.call(1, rb(1, { session: key }))
    }
    nodes.call(1, of(4))
    expect(nodes.engines.get(1)!.counters).toMatchObject({ session_evicted: 2 })
    expect(nodes.engines.get(1)!.size()["sessions"]).toBe(2)
  })

  it("stays where the newcomer was opened before all others: that one may not enter", () => {
    const nodes = tight()
    for (const n of [2, 3]) everywhere(nodes, of(n))
    nodes.replies.length = 0
    nodes.call(1, of(1))
    for (const n of [2, 3]) nodes.call(1, of(n))
    expect(codes(nodes)).toEqual(["1: session_expired", "1: answer", "1: answer"])
  })

  it("is no younger than sessionEvictAgeMs: else the newcomer is overloaded", () => {
    const nodes = tight()
    for (const n of [11, 12]) everywhere(nodes, of(n))
    nodes.replies.length = 0
    nodes.call(1, of(13))
    expect(nodes.replies[0]!.reply).toMatchObject({
      code: "overloaded",
      detail: "2 sessions are open, all of them new"
    })
    nodes.atMs = 21_000
    nodes.call(1, of(13))
    nodes.call(1, of(11))
    expect(codes(nodes).slice(1)).toEqual(["1: session_expired"])
  })

  it("tells who waits there, before anything of the newcomer", () => {
    const nodes = tight()
    nodes.call(1, of(1), 7)
    nodes.call(1, of(2), 8)
    nodes.call(1, of(3), 9)
    expect(nodes.replies).toMatchObject([
      {
        route: 7,
        reply: { code: "session_expired", session: opened(1), index: 1, horizonMs: 1_000 }
      }
    ])
    expect(nodes.engines.get(1)!.counters).toMatchObject({ instance_evicted: 1 })
  })

  it("ends the Effects that run for it, and takes nothing of what they say", () => {
    const asks = protocolOf("e", { ask: ["rpc", () => ({ effect: true })] })
    const { step, call } = alone(asks, TIGHT)
    const ask = (n: number) =>
      step({ atMs: 20_000, ...call("ask", 1, { session: opened(n) }) }).map(({ kind }) => kind)
    expect([ask(1), ask(2)]).toEqual([["run"], ["run"]])
    expect(ask(3)).toEqual(["store", "horizon", "interrupt", "reply", "run"])
    expect(step({ kind: "ran", token: 1, result: [] })).toEqual([])
  })

  it("counts as finished: its author is told that its words are done", () => {
    const nodes = tight()
    for (const id of [1, 2]) nodes.call(id, of(1))
    nodes.settle()
    expect(nodes.engines.get(2)!.size()["tail"]).toBe(1)
    for (const id of nodes.ids) for (const n of [2, 3]) nodes.call(id, of(n))
    nodes.settle()
    nodes.settle()
    for (const id of nodes.ids) expect(nodes.engines.get(id)!.size()["tail"]).toBe(0)
  })

  it("lets go of what peers had said of it early", () => {
    const nodes = tight()
    hear(nodes, 1, 2, echo(1, { lane: opened(1), index: 5 }))
    nodes.call(1, of(1))
    for (const n of [2, 3]) nodes.call(1, of(n))
    expect(nodes.engines.get(1)!.size()["early"]).toBe(0)
  })
})

describe("P7: the horizon", () => {
  it("is in the log before all else of its record, and holds in the next life", () => {
    const nodes = tight()
    for (const n of [1, 2, 3]) everywhere(nodes, of(n))
    const record = nodes.logs.get(1)!.find(({ entries }) => entries[0]!.kind === "horizon")!
    expect(record.entries.map(({ kind }) => kind)).toEqual(["horizon", "word"])
    nodes.replies.length = 0
    nodes.boot(1)
    for (const n of [1, 2, 3]) nodes.call(1, of(n))
    expect(codes(nodes)).toEqual(["1: session_expired", "1: answer", "1: answer"])
  })

  it("never falls, whatever it is told at boot", () => {
    const nodes = tight()
    for (const n of [1, 2, 3]) everywhere(nodes, of(n))
    nodes.boot(1, 2_000)
    nodes.replies.length = 0
    for (const n of [2, 3]) nodes.call(1, of(n))
    expect(codes(nodes)).toEqual(["1: session_expired", "1: answer"])
  })

  it("is told to the host when it has changed, after the record it is in", () => {
    const nodes = tight()
    for (const n of [1, 2, 3]) nodes.call(1, of(n))
    const kinds = nodes.outputs.filter(({ from }) => from === 1).map(({ output }) => output.kind)
    const at = kinds.lastIndexOf("horizon")
    expect(kinds.slice(at - 1, at + 1)).toEqual(["store", "horizon"])
  })
})

describe("P7: duplicates, retries and restarts", () => {
  it("every copy of a call, at any node, in any life, gets the one answer", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    everywhere(nodes, rb(1))
    for (const id of nodes.ids) nodes.boot(id)
    for (const a of nodes.ids) for (const b of nodes.ids) if (a < b) nodes.link(a, b)
    everywhere(nodes, rb(1))
    everywhere(nodes, rb(1))
    expect(new Set(nodes.answers().map((answer) => answer.slice(3)))).toEqual(
      new Set(['{"text":"m1"}'])
    )
    for (const id of nodes.ids) expect(logged(nodes, id, "final")).toHaveLength(1)
  })

  it("a command that is decided twice for one call answers it once", () => {
    const nodes = new Nodes(counterOf(4), 3, "crash")
    const add = request("ctr", "add", { by: 5 })
    everywhere(nodes, add)
    const first = nodes.answers()
    nodes.replies.length = 0
    everywhere(nodes, add)
    expect(nodes.answers().every((answer) => first.includes(answer))).toBe(true)
  })

  it("a late call outlives a restart, though the node said little of the session since", () => {
    const some = protocolOf("rb", {
      broadcast: [
        "multiparty",
        ({ message, forward, reply }) =>
          message.at === "once" ? reply({ text: "r" }) : forward.echo(message)
      ],
      echo: [
        "phase",
        {
          quorum: ({ votes, system, reply, wait }) =>
            votes.agreed(system.quorum) ? reply({ text: "late" }) : wait
        }
      ]
    })
    const nodes = new Nodes(some, 3, "crash", { windowCalls: 8 })
    const call = (index: number, at?: string) =>
      nodes.call(1, request("rb", "broadcast", { text: "a", at }, { index, ackedBelow: index }))
    call(1)
    for (let index = 2; index <= 8; index++) call(index, "once")
    // Calls 9 and 10 never come: with call 1 they are the unfinished ones.
    call(11)
    nodes.boot(1)
    hear(nodes, 1, 2, echo(1, { body: logged(nodes, 1, "word")[0]!.body }))
    expect(finals(nodes, 1)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
  })
})
