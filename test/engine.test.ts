import { describe, expect, it } from "vitest"
import { CALL_INDEX_MAX } from "../src/server/laneKey.ts"
import { methodId, type Word } from "../src/server/Message.ts"
import { bracha, bytesOf, json, Nodes, protocolOf, request, session } from "./support/engines.ts"

const word = (method: string, message: object, position: number): Word => ({
  kind: "word",
  position,
  lane: session(1),
  index: 1,
  method: methodId(`rb/${method}`),
  round: 0,
  ackedBelow: 1,
  body: json.encode(message)
})

describe("engine", () => {
  it("all correct nodes deliver a broadcast", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }))
    nodes.settle()
    expect(nodes.answers()).toEqual([1, 2, 3, 4].map((n) => `${n}: {"text":"a"}`))
  })
})

const rb = (text: string, more = {}) => request("rb", "broadcast", { text }, more)
const delivered = (ids: ReadonlyArray<number>, text: string) =>
  ids.map((n) => `${n}: {"text":"${text}"}`)

describe("sessions", () => {
  it("a retry gets the same final reply and runs nothing again", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    nodes.settle()
    nodes.replies.length = 0
    nodes.call(1, rb("a"))
    nodes.call(1, rb("b"))
    expect(nodes.answers()).toEqual(delivered([1, 1], "a"))
  })

  it("the answer goes to the newest link, though a copy over an older one comes later", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb("a"), 8)
    nodes.call(1, rb("a"), 7)
    for (const id of [2, 3, 4]) nodes.call(id, rb("a"))
    nodes.settle()
    expect(nodes.replies.filter(({ from }) => from === 1).map(({ route }) => route)).toEqual([8])
  })

  it("an answer that was there before the client's own request waits for it", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of [1, 2, 3]) nodes.call(id, rb("a"))
    nodes.settle()
    expect(nodes.answers()).toEqual(delivered([1, 2, 3], "a"))
    const records = nodes.logs.get(4)!.length
    nodes.call(4, rb("a"))
    expect(nodes.answers()).toEqual(delivered(nodes.ids, "a"))
    nodes.settle()
    expect(nodes.logs.get(4)).toHaveLength(records)
  })

  it("the last index of a session is taken, and none above it", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    const last = { index: CALL_INDEX_MAX, ackedBelow: CALL_INDEX_MAX }
    for (const id of nodes.ids) nodes.call(id, rb("a", last))
    nodes.settle()
    nodes.call(1, rb("b", { ...last, index: CALL_INDEX_MAX + 1 }))
    expect(nodes.answers()).toEqual([...delivered(nodes.ids, "a"), "1: window"].sort())
  })

  it("other bytes under the same name are a conflict while the call is open", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb("a"))
    nodes.call(1, rb("b"))
    expect(nodes.answers()).toEqual(["1: conflict"])
  })

  it("an acknowledged call is refused, its reply freed", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    nodes.settle()
    nodes.replies.length = 0
    for (const id of nodes.ids) nodes.call(id, rb("b", { index: 2, ackedBelow: 2 }))
    nodes.call(1, rb("a"))
    expect(nodes.answers()).toEqual(["1: already_acknowledged"])
    nodes.settle()
    expect(nodes.engines.get(1)!.size()["answers"]).toBe(1)
  })

  it("a session that was opened at or below the horizon never runs", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.boot(1, 1_000)
    nodes.call(1, rb("a"))
    expect(nodes.replies[0]!.reply).toMatchObject({ code: "session_expired", horizonMs: 1_000 })
  })

  it("a session from the future is too early", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.atMs = 1_000 - 60_001
    nodes.call(1, rb("a"))
    expect(nodes.answers()).toEqual(["1: too_early"])
  })

  it("a full table of sessions is overloaded, and hurts no known session", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { sessionsMax: 1 })
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    nodes.call(1, rb("a", { session: session(2) }))
    nodes.settle()
    expect(nodes.answers()).toEqual([...delivered([1, 2, 3, 4], "a"), "1: overloaded"].sort())
  })
})

describe("says", () => {
  it("what a broken link lost is said again after link up", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    nodes.settle()
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.settle()
    expect(nodes.answers()).toEqual(delivered(nodes.ids, "a"))
  })

  it("a restarted node is told again what it had not finished", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    nodes.settle((_, to) => to !== 4)
    for (const id of [1, 2, 3]) nodes.cut(id, 4)
    nodes.boot(4)
    for (const id of [1, 2, 3]) nodes.link(id, 4)
    nodes.call(4, rb("a"))
    nodes.settle()
    expect(nodes.answers()).toEqual(delivered(nodes.ids, "a"))
  })

  it("the tail is empty once every member has finished", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    nodes.settle()
    nodes.settle()
    for (const id of nodes.ids) expect(nodes.engines.get(id)!.size()["tail"]).toBe(0)
  })

  it("a word to its author alone is on no way to anybody", () => {
    const alone = protocolOf("a", {
      call: ["multiparty", ({ self, message, forward }) => forward.note(message, { to: self })],
      note: ["phase", ({ message, reply }) => reply(message)]
    })
    const nodes = new Nodes(alone, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, request("a", "call", { text: "a" }))
    nodes.settle()
    for (const id of nodes.ids) nodes.call(id, request("a", "call", { text: "a" }, { index: 2 }))
    nodes.settle()
    expect(nodes.answers()).toEqual([1, 1, 2, 2, 3, 3, 4, 4].map((n) => `${n}: {"text":"a"}`))
    for (const id of nodes.ids) expect(nodes.engines.get(id)!.size()["tail"]).toBe(0)
  })

  it("words that are for others take no room on the way to a peer", () => {
    const told = protocolOf("t", {
      call: ["multiparty", ({ message, forward }) => forward.note(message, { to: message.to })],
      note: ["phase", ({ message, reply, wait }) => (message.open ? wait : reply(message))]
    })
    const nodes = new Nodes(told, 3, "crash", { cursorBytesMax: 400 })
    const call = (index: number, to: number | string, open = false): void =>
      nodes.call(1, request("t", "call", { to, open }, { index }))
    // Not finished at node 3, so that what follows is not done there either.
    call(1, "all", true)
    for (let index = 2; index <= 20; index++) call(index, 2)
    nodes.settle()
    call(21, "all")
    nodes.settle()
    expect(nodes.engines.get(3)!.size()).toMatchObject({ answers: 1 })
  })

  it("a peer cannot have taken what was never sent to it", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.settle()
    nodes.call(1, rb("a"))
    for (const from of [2, 3, 4]) {
      nodes.input(1, { kind: "message", from, message: { kind: "taken", taken: 1, done: 1 } })
    }
    for (const id of [2, 3, 4]) nodes.call(id, rb("a"))
    nodes.settle()
    expect(nodes.answers()).toEqual(delivered(nodes.ids, "a"))
  })

  it("a full tail refuses new calls and finishes the open ones", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { tailBytesMax: 100 })
    for (const id of nodes.ids) nodes.call(id, rb("a"))
    for (const id of [2, 3, 4]) nodes.cut(1, id)
    nodes.call(1, rb("b", { index: 2 }))
    for (let i = 3; i < 6; i++) nodes.call(1, rb("c", { index: i }))
    expect(nodes.answers()).toContain("1: overloaded")
    for (const id of [2, 3, 4]) nodes.link(1, id)
    nodes.settle()
    expect(nodes.answers()).toEqual(expect.arrayContaining([...delivered(nodes.ids, "a")]))
  })
})

describe("votes", () => {
  it("a second value of one author is evidence and does not count", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb("a"))
    const say = (text: string, position: number) =>
      nodes.input(1, { kind: "message", from: 2, message: word("echo", { text }, position) })
    say("a", 1)
    say("b", 2)
    say("a", 3)
    const engine = nodes.engines.get(1)!
    expect(engine.counters).toMatchObject({ equivocation: 1, duplicate: 1 })
    expect(engine.evidence).toMatchObject([{ author: 2, index: 1 }])
  })

  it("bytes that are no message are dropped and counted", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    nodes.call(1, rb("a"))
    nodes.input(1, {
      kind: "message",
      from: 2,
      message: { ...word("echo", {}, 1), body: bytesOf("{") }
    })
    nodes.input(1, {
      kind: "message",
      from: 2,
      message: { ...word("echo", {}, 2), body: bytesOf("null") }
    })
    nodes.input(1, { kind: "message", from: 2, message: { ...word("nope", {}, 3) } })
    expect(nodes.engines.get(1)!.counters).toMatchObject({ malformed: 2, agree_on_threw: 1 })
  })

  it("one member alone opens no instance in a Byzantine group", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { earlyVotesMax: 2048 })
    for (let i = 1; i <= 5_000; i++) {
      nodes.input(1, {
        kind: "message",
        from: 2,
        message: { ...word("echo", { text: "a" }, i), lane: session(3), index: i }
      })
    }
    expect(nodes.engines.get(1)!.size()).toMatchObject({ sessions: 0, instances: 0, early: 2048 })
  })

  it("dropped early votes are asked for again when there is room", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { windowCalls: 64, earlyVotesMax: 64 })
    for (let index = 1; index <= 64; index++) {
      for (const id of [1, 2, 3]) nodes.call(id, rb(`m${index}`, { index }))
    }
    nodes.settle((from, to) => to !== 4 || from === 1)
    expect(nodes.engines.get(4)!.counters["early_dropped"]).toBeGreaterThan(0)
    nodes.settle()
    const finals = nodes.logs
      .get(4)!
      .flatMap((r) => r.entries)
      .filter((e) => e.kind === "final")
    expect(finals).toHaveLength(64)
  })
})

describe("handlers", () => {
  it("a throw poisons its instance and hurts nothing else", () => {
    const boom = protocolOf("rb", {
      broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
      echo: [
        "phase",
        ({ message, wait }) => {
          if (message.text === "boom") throw new Error("boom")
          return wait
        }
      ]
    })
    const nodes = new Nodes(boom, 1, "crash")
    nodes.call(1, rb("boom"))
    nodes.call(1, rb("fine", { index: 2 }))
    expect(nodes.answers()).toEqual(["1: poisoned"])
    expect(nodes.engines.get(1)!.counters).toMatchObject({ poisoned: 1 })
  })

  it("a forward that is not declared changes nothing, nor does what stands before it", () => {
    const wrong = protocolOf("rb", {
      broadcast: [
        "multiparty",
        ({ message, forward }) => [
          forward.echo(message),
          { kind: "forward", method: "nope", message, to: "all" }
        ]
      ],
      echo: ["phase", ({ wait }) => wait]
    })
    const nodes = new Nodes(wrong, 3, "crash")
    nodes.call(1, rb("a"))
    expect(nodes.answers()).toEqual(["1: poisoned"])
    expect(
      nodes.logs
        .get(1)!
        .flatMap((r) => r.entries)
        .map((e) => e.kind)
    ).toEqual(["final"])
  })

  it("calls without phases are answered at once and leave no trace in the log", () => {
    const echo = protocolOf("rb", { broadcast: ["quorum", ({ message, reply }) => reply(message)] })
    const nodes = new Nodes(echo, 3, "crash")
    nodes.call(1, rb("a"))
    expect(nodes.answers()).toEqual(delivered([1], "a"))
    expect(nodes.logs.get(1)).toEqual([])
  })
})
