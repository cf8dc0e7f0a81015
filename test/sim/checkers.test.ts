/** The judges, each on a history with one planted fault, and on the same history without. */
import { describe, expect, it } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import { laneBytes, sessionKey } from "../../src/server/laneKey.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import {
  methodId,
  type PeerMessage,
  type Reply,
  type Taken,
  type WantLane,
  type Word
} from "../../src/server/Message.ts"
import type { Codec, MethodSpec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { Adversary } from "../../src/testing/byzantine.ts"
import { Checkers, type SimCall } from "../../src/testing/Checkers.ts"
import { callKey } from "../../src/testing/checkAnswers.ts"

const codec: Codec = {
  decode: (bytes) => ({ value: bytes[0] ?? 0 }),
  encode: (message) => Uint8Array.of((message as { value: number }).value)
}
const method: MethodSpec = {
  name: "add",
  fullName: "test.Sum/Add",
  call: "multiparty",
  input: codec,
  output: codec,
  forwards: ["echo"],
  replies: [],
  handler: () => ({ kind: "wait" })
}
const SPEC: ProtocolSpec = { name: "test.Sum", methods: [method] }
/** Each command adds, and is answered with the sum. */
const SUMMING: ProtocolSpec = {
  ...SPEC,
  world: {
    lanes: { slots: { window: 8 } },
    application: {
      command: codec,
      initial: () => ({ sum: 0 }),
      apply: (state, command) => ({ value: (state.sum += command.value) })
    }
  }
}

const SESSION = sessionKey(1000, new Uint8Array(16))
const CALL = callKey(SESSION, 1)
const bytes = (value: number): Uint8Array => Uint8Array.of(value)

const word = (value: number, round = 0, position = 1): Word => ({
  ...{ kind: "word", position, lane: SESSION, index: 1, method: methodId("test.Sum/Echo") },
  ...{ round, ackedBelow: 1, body: bytes(value) }
})
const final = (value: number): LogEntry => ({
  ...{ kind: "final", session: SESSION, index: 1, body: bytes(value) }
})
const reply = (value: number): Reply => ({
  ...{ kind: "reply", session: SESSION, index: 1, body: bytes(value) }
})
const decided = (index: number, value: number, call = index): LogEntry => ({
  ...{ kind: "decided", protocol: methodId("test.Sum"), lane: "slots", index },
  items: [
    { command: bytes(value), call: { session: laneBytes(SESSION), index: call, method: "add" } }
  ]
})

const newCall = (number = 1): SimCall => ({
  ...{ number, client: 100_000, method, honest: true, key: undefined },
  ...{ demanded: true, result: undefined, calledMs: 0, endedMs: 0 }
})

/** A run of nodes 1, 2 and 3, of which 3 is Byzantine. */
const judge = (
  history: (checkers: Checkers, call: SimCall) => void,
  spec = SPEC,
  quorums = false
) => {
  const promises = { totality: true, quorums }
  const group = { members: 3, model: "crash", correct: [1, 2] } as const
  const checkers = new Checkers({
    ...{ spec, promises, ...group, durable: true, windowCalls: 4, nowMs: () => 7 }
  })
  const call = newCall()
  checkers.calls.push(call)
  checkers.sentCall(call, CALL)
  history(checkers, call)
  checkers.conclude()
  return checkers.failure
}
const log = (checkers: Checkers, node: number, ...entries: ReadonlyArray<LogEntry>): void =>
  checkers.durable(node, { entries })
const answered = (checkers: Checkers, call: SimCall, value: number): void =>
  checkers.ended(call, { ok: true, answer: bytes(value) })

/** All as it should be: both say, both finish, the client takes the answer. */
const clean = (checkers: Checkers, call: SimCall): void => {
  for (const node of [1, 2]) {
    log(checkers, node, word(1))
    checkers.sent(node, word(1))
    log(checkers, node, final(1))
    checkers.replied(node, reply(1))
  }
  answered(checkers, call, 1)
}

describe("the judges", () => {
  it("have nothing against a clean history, nor against what a Byzantine node does", () => {
    expect(judge(clean)).toBeUndefined()
    const withLiar = (checkers: Checkers, call: SimCall): void => {
      checkers.sent(3, word(5))
      checkers.sent(3, word(6))
      log(checkers, 3, final(9), final(8))
      checkers.replied(3, reply(7))
      clean(checkers, call)
    }
    expect(judge(withLiar)).toBeUndefined()
  })

  const planted: ReadonlyArray<readonly [string, (c: Checkers, call: SimCall) => void]> = [
    ["P4: node 1 logged two values", (c) => [log(c, 1, word(1)), log(c, 1, word(2))]],
    ["P11: node 1 said", (c) => c.sent(1, word(1))],
    ["P4: node 1 said", (c) => [log(c, 1, word(1)), c.sent(1, word(2))]],
    ["P11: node 1 answered", (c) => c.replied(1, reply(1))],
    ["P7: node 1 answered", (c) => [log(c, 1, final(1)), c.replied(1, reply(2))]],
    ["at most once: node 1 finished", (c) => [log(c, 1, final(1)), log(c, 1, final(1))]],
    ["node 1 numbers its word 1 as 2", (c) => log(c, 1, word(1, 0, 2))],
    ["P5: word 1 of node 1", (c, call) => [log(c, 1, word(1)), (call.demanded = false)]],
    ["agreement: node 2", (c) => [log(c, 1, final(1)), log(c, 2, final(2))]],
    ["totality: call 1 of", (c, call) => [log(c, 1, final(1)), answered(c, call, 1)]],
    ["no answer to call 1", (c) => [log(c, 1, final(1)), log(c, 2, final(1))]],
    ["that no correct node gave", (c, call) => [log(c, 1, final(1)), answered(c, call, 2)]],
    ["ended twice", (c, call) => [clean(c, call), answered(c, call, 1)]],
    ["under two names", (c, call) => c.sentCall(call, callKey(SESSION, 2))],
    ["two calls were sent as", (c) => c.sentCall(newCall(2), CALL)],
    ["nobody can read", (c) => c.durable(1, undefined)],
    [
      "call 1 failed: conflict",
      (c, call) => c.ended(call, { ok: false, code: "conflict", needed: 2, got: 0, outcomes: [] })
    ]
  ]
  it.each(planted)("find: %s", (what, history) => {
    expect(judge(history)).toContain(what)
    expect(judge(history)).toContain("at 7 ms")
  })

  it("excuse a node for a call that its client outran by a window", () => {
    const outrun = (index: number) => (checkers: Checkers, call: SimCall) => {
      log(checkers, 1, final(1))
      answered(checkers, call, 1)
      checkers.sentCall({ ...newCall(2), demanded: false }, callKey(SESSION, index))
    }
    expect(judge(outrun(4))).toContain("totality")
    expect(judge(outrun(5))).toBeUndefined()
  })

  it("hold words of different rounds apart", () => {
    const rounds = (checkers: Checkers, call: SimCall): void => {
      clean(checkers, call)
      log(checkers, 1, word(5, 1, 2), word(6, 2, 3))
    }
    expect(judge(rounds)).toBeUndefined()
  })
})

describe("the judge of quorums", () => {
  it("wants the words of a majority, or of more than (n + f) / 2, before a node finishes", () => {
    expect(judge(clean, SPEC, true)).toBeUndefined()
    const alone = (checkers: Checkers): void => {
      log(checkers, 1, final(1))
    }
    // Node 3 is Byzantine and counts as having spoken: 1 of 3.
    expect(judge(alone, SPEC, true)).toContain("on the word of 1 of 3 members")
    const own = (checkers: Checkers): void => log(checkers, 1, word(1), final(1))
    expect(judge(own, SPEC, true)).not.toContain("quorum")
  })
})

describe("the judge of decisions", () => {
  const both = (checkers: Checkers, ...entries: ReadonlyArray<LogEntry>): void => {
    for (const node of [1, 2]) log(checkers, node, ...entries)
  }

  it("has nothing against a clean history", () => {
    const failure = judge((checkers, call) => {
      both(checkers, decided(1, 4))
      checkers.replied(1, reply(4))
      answered(checkers, call, 4)
    }, SUMMING)
    expect(failure).toBeUndefined()
  })

  const planted: ReadonlyArray<readonly [string, (c: Checkers, call: SimCall) => void]> = [
    ["agreement: node 2 decided", (c) => [log(c, 1, decided(1, 4)), log(c, 2, decided(1, 5))]],
    ["at most once: node 1 decided", (c) => [log(c, 1, decided(1, 4)), log(c, 1, decided(1, 4))]],
    [
      "totality: slots/2",
      (c, call) => {
        both(c, decided(1, 4))
        log(c, 1, decided(2, 5))
        c.replied(1, reply(4))
        answered(c, call, 4)
      }
    ],
    [
      "hole: slots/1",
      (c, call) => {
        call.demanded = false
        both(c, decided(2, 5))
      }
    ],
    ["P11: node 1 answered", (c) => c.replied(1, reply(4))],
    [
      "sequential: call 1",
      (c, call) => {
        both(c, decided(1, 4))
        c.replied(1, reply(5))
        answered(c, call, 5)
      }
    ],
    [
      // The second run of the same call is not what it was answered with: it ran twice.
      "sequential: call 1",
      (c, call) => {
        both(c, decided(1, 4), decided(2, 4, 1))
        c.replied(1, reply(4))
        answered(c, call, 4)
      }
    ],
    ["lost: a client has the answer", (c, call) => [both(c, final(4)), answered(c, call, 4)]]
  ]
  it.each(planted)("finds: %s", (what, history) => {
    expect(judge(history, SUMMING)).toContain(what)
  })
})

describe("a Byzantine node", () => {
  const said = (value: number): Word => word(value)
  const bodies = (told: ReadonlyArray<unknown>): ReadonlyArray<number> =>
    told.map((one) => (one as Word).body[0]!)

  it("says nothing when it is silent", () => {
    const liar = new Adversary(new Prng(1), "silent")
    expect(liar.toPeer(1, said(1))).toEqual([])
    expect(liar.toPeer(1, { kind: "want", position: 1 })).toEqual([])
    expect(liar.toClient(reply(1))).toBeUndefined()
  })

  it("withholds at random per receiver, and changes nothing", () => {
    const liar = new Adversary(new Prng(1), "withhold")
    const told = Array.from({ length: 100 }, (_, i) => liar.toPeer(i, said(1)))
    const count = told.flat().length
    expect(count).toBeGreaterThan(20)
    expect(count).toBeLessThan(80)
    expect(new Set(bodies(told.flat()))).toEqual(new Set([1]))
  })

  it("tells each camp its own story, and the same one again", () => {
    const liar = new Adversary(new Prng(1), "split")
    liar.saw(said(1))
    liar.saw(said(2))
    const tell = (): ReadonlyArray<number> =>
      bodies([1, 2, 3, 4, 5, 6, 7, 8].flatMap((to) => liar.toPeer(to, said(1))))
    const first = tell()
    expect(new Set(first)).toEqual(new Set([1, 2]))
    liar.saw(said(3))
    expect(tell()).toEqual(first)
  })

  it("lies only with bodies it has seen, under names its honest half used", () => {
    const liar = new Adversary(new Prng(1), "mixed")
    for (const value of [1, 2, 3]) liar.saw(said(value))
    const told = Array.from({ length: 200 }, () => liar.toPeer(1, said(1))).flat()
    expect(new Set(bodies(told))).toEqual(new Set([1, 2, 3]))
    for (const one of told) expect(one).toMatchObject({ kind: "word", lane: SESSION, index: 1 })
  })

  it("miscounts in what keeps nodes in step, and leaves the bodies alone", () => {
    const liar = new Adversary(new Prng(1), "miscount")
    const tell = (message: PeerMessage): ReadonlyArray<PeerMessage> =>
      Array.from({ length: 100 }, () => liar.toPeer(1, message)).flat()
    const words = tell(said(1))
    expect(new Set(bodies(words))).toEqual(new Set([1]))
    expect(new Set(words.map((one) => (one as Word).position)).size).toBeGreaterThan(2)
    for (const one of tell({ kind: "wantLane", lane: SESSION, from: 2, to: 3 })) {
      const { from, to } = one as WantLane
      expect(to).toBeGreaterThan(from)
    }
    const taken = tell({ kind: "taken", taken: 5, done: 4 })
    expect(new Set(taken.map((one) => (one as Taken).done)).size).toBeGreaterThan(2)
  })
})
