/**
 * What a tap takes down of a simulated run, and how it is drawn. `ACCEPT=1 npx vitest run
 * test/sim/spaceTime` takes what is drawn now as right.
 */
import { readFileSync, writeFileSync } from "node:fs"
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { CounterNode } from "../../examples/counter/counter.ts"
import {
  choicesOf,
  type SimulateOptions,
  simulate,
  spaceTime,
  Tap,
  type TapEvent
} from "../../src/testing/index.ts"

const OPTIONS: SimulateOptions = {
  ...{ spec: Bracha.spec, nodes: 4, byzantine: 0, model: "byzantine", seed: 8 },
  ...{ faults: "none", crash: false, clients: 1, callsPerClient: 1 },
  choices: choicesOf(Bracha.spec, { broadcast: [{ text: "a" }] }),
  promises: { totality: true, quorums: true }
}
const tapOf = (options: SimulateOptions) => {
  const tap = new Tap()
  const run = simulate({ ...options, tap })
  expect(run.failure).toBeUndefined()
  return { run, events: tap.events() }
}
const count = (events: ReadonlyArray<TapEvent>, kind: TapEvent["kind"], message?: string): number =>
  events.filter((it) => it.kind === kind && (!("message" in it) || it.message === message)).length

describe("the tap of a simulated run", () => {
  it("changes nothing of the run", () => {
    for (let seed = 1; seed <= 10; seed++) {
      const options = { ...OPTIONS, seed, faults: "all", crash: true, byzantine: 1 } as const
      expect(tapOf(options).run.hash).toBe(simulate(options).hash)
    }
  })

  it("has every call, word, vote, answer and reply, where it happened", () => {
    const { events } = tapOf(OPTIONS)
    expect([count(events, "called"), count(events, "ended")]).toEqual([1, 1])
    expect(count(events, "sent", "request")).toBe(4)
    expect(count(events, "received", "request")).toBe(4)
    // Each of four nodes says echo, and ready unless enough others did, to three others.
    const said = count(events, "said")
    expect([7, 8]).toContain(said)
    expect(count(events, "sent", "word")).toBe(3 * said)
    expect(count(events, "received", "word")).toBe(3 * said)
    expect(count(events, "final")).toBe(4)
    expect(count(events, "received", "reply")).toBe(4)
    const handled = events.filter((event) => event.kind === "handled")
    const entries = handled.filter(({ author }) => author === undefined)
    // A node that has its answer before the request comes runs no handler for it.
    expect(entries.length).toBeGreaterThanOrEqual(3)
    expect(entries.every(({ directives }) => directives.join() === "forward")).toBe(true)
    const votes = handled.filter(({ author }) => author !== undefined)
    expect(votes.filter(({ directives }) => directives.includes("reply"))).toHaveLength(4)
    const [call] = events.filter((event) => event.kind === "sent" && event.message === "request")
    const { lane } = call as { readonly lane?: string }
    expect(lane).toMatch(/^[0-9a-f]{44}$/)
    expect(votes.every((vote) => vote.lane === lane && vote.index === 1)).toBe(true)
  })

  it("has decided slots, timers, hooks and what was dropped, under faults", () => {
    const { events } = tapOf({
      ...{ spec: CounterNode.spec, nodes: 3, byzantine: 0, model: "crash", seed: 8 },
      ...{ faults: "all", crash: true, promises: { totality: true, quorums: true } },
      choices: choicesOf(CounterNode.spec, { add: [{ amount: 1 }] })
    })
    for (const kind of ["decided", "timer", "hook", "dropped", "up", "down", "booted"] as const) {
      expect(count(events, kind), kind).toBeGreaterThan(0)
    }
  })
})

const at = (atMs: number, at: number | string) => ({ atMs, at })

/** A call, and one phase among three nodes; one word is lost, and one client waits in vain. */
const broadcast = (): ReadonlyArray<TapEvent> => {
  const [lane, client, nodes] = ["019a".padEnd(44, "b"), "client 1", [1, 2, 3]]
  const call = { lane, index: 1 }
  const request = { message: "request", ...call, method: "rb.v1.Broadcast/Broadcast" } as const
  const echo = { ...call, method: "rb.v1.Broadcast/Echo", round: 0 }
  const reply = { message: "reply", ...call } as const
  return [
    ...nodes.map((node) => ({ ...at(0, node), kind: "booted" }) as const),
    { ...at(40, client), kind: "called", call: 1, method: request.method },
    { ...at(41, "client 2"), kind: "called", call: 1, method: request.method },
    ...nodes.flatMap((node): ReadonlyArray<TapEvent> => {
      const word = { message: "word", ...echo, position: node } as const
      const others = nodes.filter((other) => other !== node)
      const reached = others.filter((other) => node !== 3 || other !== 1)
      return [
        { ...at(40, client), kind: "sent", to: node, ...request },
        { ...at(42 + node, node), kind: "received", from: client, ...request },
        { ...at(42 + node, node), kind: "handled", ...echo, directives: ["forward"] },
        { ...at(42 + node, node), kind: "said", ...echo, position: node },
        ...others.map((to) => ({ ...at(43 + node, node), kind: "sent", to, ...word }) as const),
        ...reached.map(
          (to) =>
            ({ ...at(47 + 2 * node + to, to), kind: "received", from: node, ...word }) as const
        ),
        { ...at(60 + node, node), kind: "final", ...call },
        { ...at(60 + node, node), kind: "sent", to: client, ...reply },
        { ...at(64 + node, client), kind: "received", from: node, ...reply }
      ]
    }),
    { ...at(66, client), kind: "ended", call: 1, method: request.method, code: "ok" },
    { ...at(70, 3), kind: "timer", name: "leader", directives: ["wait"] },
    { ...at(75, 3), kind: "report", what: "equivocation", detail: "node 2 said two values" },
    { ...at(90, 3), kind: "halted", reason: "the disk is full" }
  ]
}

describe("a space-time diagram", () => {
  const word = {
    message: "word",
    lane: "log",
    index: 3,
    method: "a.B/Accept",
    position: 1
  } as const

  it("is drawn as it was", () => {
    const svg = spaceTime(broadcast(), { title: "one broadcast" })
    const golden = new URL("./golden/broadcast.svg", import.meta.url)
    if (process.env["ACCEPT"] === "1") writeFileSync(golden, svg)
    expect(svg).toBe(readFileSync(golden, "utf8"))
    expect(svg.match(/NaN|undefined/)).toBeNull()
  })

  it("joins what was sent with what came, and shows what never did", () => {
    const svg = spaceTime([
      { ...at(0, 1), kind: "sent", to: 2, ...word },
      { ...at(0, 1), kind: "sent", to: 3, ...word },
      { ...at(4, 2), kind: "received", from: 1, ...word },
      { ...at(5, 3), kind: "booted" }
    ])
    expect(svg.match(/Accept log\/3: node 1 to node 2/g)).toHaveLength(1)
    expect(svg.match(/#c1121f/g)).toHaveLength(1)
  })

  it("draws one instance alone where it is asked to, and escapes what others wrote", () => {
    const events: ReadonlyArray<TapEvent> = [
      { ...at(0, 1), kind: "said", ...word },
      { ...at(1, 1), kind: "said", ...word, index: 4 },
      { ...at(2, "<b>&"), kind: "called", call: 1, method: '"quoted"' }
    ]
    expect(spaceTime(events).match(/says Accept/g)).toHaveLength(2)
    expect(spaceTime(events, { lane: "log", index: 4 }).match(/says Accept/g)).toHaveLength(1)
    expect(spaceTime(events)).toContain("&lt;b&gt;&amp;")
    expect(spaceTime([])).toContain("</svg>")
  })
})

describe("a tap", () => {
  it("keeps the newest, and counts what it let go of", () => {
    const tap = new Tap(3)
    const heard: Array<number> = []
    const stop = tap.listen(({ atMs }) => heard.push(atMs))
    for (let atMs = 1; atMs <= 5; atMs++) tap.push({ atMs, at: 1, kind: "booted" })
    stop()
    tap.push({ atMs: 6, at: 1, kind: "booted" })
    expect(tap.events().map(({ atMs }) => atMs)).toEqual([4, 5, 6])
    expect([tap.missed, heard]).toEqual([3, [1, 2, 3, 4, 5]])
    tap.clear()
    expect(tap.events()).toEqual([])
  })
})
