/** Random inputs, all structurally valid, to one engine: whatever peers, clients and authors do. */
import { describe, expect, it } from "vitest"
import { LIMITS, type Limits } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { worstCase } from "../src/base/worstCase.ts"
import { encodeMessage } from "../src/link/envelope.ts"
import { decodeRecord, encodeRecord } from "../src/link/recordCodec.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import type { Input } from "../src/server/Input.ts"
import { methodId, type PeerMessage } from "../src/server/Message.ts"
import type { Output } from "../src/server/Output.ts"
import type { Codec, ProtocolSpec } from "../src/server/Protocol.ts"
import { bracha, bytesOf, json, protocolOf, session } from "./support/engines.ts"

const LIMITS_TINY: Limits = {
  ...LIMITS,
  windowCalls: 4,
  sessionsMax: 4,
  earlyVotesMax: 8,
  runsMax: 3,
  bodyBytesMax: 200,
  cursorBytesMax: 400,
  tailBytesMax: 4_000
}
const HUGE = Number.MAX_SAFE_INTEGER

/** What a handler returns by the text of its message: steps, junk, Effects, throws. */
const anything = (c: any): unknown => {
  const message = c.message ?? c.votes?.message
  switch (message.text) {
    case "throw":
      throw new Error("thrown")
    case "effect":
      return { effect: true }
    case "junk":
      return message.junk
    case "reply":
      return { kind: "reply", message: { text: "r" } }
    case "replyTo":
      return { kind: "reply", message: { text: "r" }, call: message.call }
    case "refuse":
      return { kind: "refuse", code: "overloaded" }
    case "fail":
      return { kind: "fail", code: "invalid", detail: message.junk }
    case "apply":
      return { kind: "apply", command: { text: "c" }, call: message.call }
    case "store":
      return [
        { kind: "store", record: { n: 1 } },
        { kind: "note", record: message.junk ?? {} }
      ]
    case "refuseOdd":
      return { kind: "refuse", code: message.junk, node: message.slot }
    case "floor":
      return { kind: "floor", lane: "high", index: message.slot }
    case "arm":
      return { kind: "arm", timer: "t", ms: message.slot }
    default:
      return message.to === undefined
        ? []
        : { kind: "forward", method: message.to, message, to: message.whom ?? "all" }
  }
}
/** Bytes that it cannot read, and messages that it cannot write. */
const brittle: Codec = {
  encode: (message: any) => {
    if (message.text === "unwritable") throw new Error("unwritable")
    return json.encode(message)
  },
  decode: (bytes) => {
    const message = json.decode(bytes)
    if (typeof message !== "object" || message === null) throw new Error("no message")
    return message
  }
}
const lane = { lane: "slots", index: (m: any) => m.slot, round: (m: any) => m.round ?? 0 }
const wild: ProtocolSpec = protocolOf(
  "w",
  {
    multi: ["multiparty", anything],
    rpc: ["rpc", anything],
    quorum: ["quorum", anything],
    uni: ["unicast", anything],
    each: ["phase", anything],
    tally: ["phase", { agreeOn: (m) => m.value.of, quorum: anything }],
    slot: ["phase", { ...lane, each: anything }],
    learn: ["phase", { ...lane, quorum: anything }],
    high: ["phase", { ...lane, lane: "high", quorum: anything }],
    view: ["phase", { ...lane, lane: "views", quorum: anything }]
  },
  {
    state: () => ({ n: 0 }),
    record: json,
    evolve: (state, record) => (state.n += record.n ?? 0),
    lanes: {
      slots: { window: 3, rounds: 2 },
      high: { window: 3, rounds: "latest", floor: "set" },
      views: { rounds: "latest" }
    },
    timers: {
      t: ({ forward, arm, lanes }) => [forward.high({ slot: lanes.high.own }), arm("t", 1)]
    },
    turnEnd: ({ forward, state }) => forward.view({ slot: 1, round: state.n }),
    application: { command: json, initial: () => ({}), apply: () => ({ text: "applied" }) }
  }
)
const withBrittle = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => ({ ...method, input: brittle, output: brittle }))
})
const PROTOCOLS = [bracha, withBrittle(wild)]
const METHODS = PROTOCOLS.flatMap((p) => p.methods)
const SESSIONS = [1, 2, 3, 4, 5, 6].map((n) => session(n))
const TEXTS =
  "a throw effect junk reply replyTo refuse refuseOdd fail apply store unwritable floor arm".split(
    " "
  )
const PHASES = ["echo", "ready", "each", "tally", "slot", "learn", "high", "view", "nope"]

class Fuzz {
  readonly random: Prng
  engine: Engine
  log: Array<Uint8Array> = []
  atMs = 2_000
  tokens: Array<number> = []
  /** What the engine said, by name: two values under one name are a lie. */
  readonly said = new Map<string, string>()

  constructor(seed: number) {
    this.random = new Prng(seed)
    this.engine = this.boot()
  }

  boot(): Engine {
    this.engine = new Engine({
      self: 1,
      system: makeSystem([1, 2, 3, 4], "byzantine"),
      protocols: PROTOCOLS,
      limits: LIMITS_TINY,
      isEffect: (value: any) => value?.effect === true
    })
    this.tokens = []
    for (const bytes of this.log) {
      const record = decodeRecord(bytes)!
      if (this.engine.step({ kind: "replay", record }).length > 0) throw new Error("it halts")
    }
    this.step({ kind: "booted", atMs: this.atMs, horizonMs: 0 })
    return this.engine
  }

  step(input: Input): void {
    for (const output of this.engine.step(input)) this.output(output)
  }

  private output(output: Output): void {
    switch (output.kind) {
      case "store": {
        this.log.push(encodeRecord(output.record))
        for (const entry of output.record.entries) {
          if (entry.kind !== "word") continue
          const name = `${entry.lane}/${entry.index}/${entry.method}/${entry.round}`
          if (this.said.has(name)) throw new Error("said twice")
          this.said.set(name, String(entry.body))
        }
        return
      }
      case "send":
        encodeMessage(output.message)
        return
      case "reply":
        encodeMessage(output.reply)
        return
      case "run":
        this.tokens.push(output.token)
        return
      case "halt":
        throw new Error(output.reason)
    }
  }

  number(): number {
    const small = this.random.below(9)
    return this.random.pick([small, small, small, small, 1_000, 2 ** 32, HUGE - 1, HUGE])
  }
  index(): number {
    return Math.max(1, this.number())
  }
  body(): Uint8Array {
    const { random } = this
    if (random.chance(50)) return bytesOf(random.pick(["{", "null", "1", "", "[]"]))
    const junk = random.pick<unknown>([undefined, null, 1, "x", [], [null], {}, { kind: "reply" }])
    const call = random.pick<unknown>([
      undefined,
      null,
      {},
      { session: "x".repeat(22), index: 1, method: "multi" },
      {
        session: bytesOf(random.pick(SESSIONS)),
        index: random.pick([1, 2, 1.5, -1, HUGE, "1"]),
        method: "multi"
      },
      { session: bytesOf("short"), index: this.index(), method: "multi" },
      { session: bytesOf(random.pick(SESSIONS)), index: this.number(), method: null }
    ])
    return json.encode({
      text: random.pick(TEXTS),
      junk,
      call,
      to: random.pick([undefined, ...PHASES]),
      whom: random.pick<unknown>([undefined, "others", 2, [1, 3], [], [9], null, "x", -1]),
      slot: random.pick([1, 2, 3, this.index(), 1.5]),
      round: random.pick([0, 0, 1, 2]),
      value: random.pick<unknown>([undefined, { of: 1 }, { of: [1, "2", [3]] }, { of: {} }])
    })
  }
  method(): number {
    return this.random.chance(20) ? 7 : methodId(this.random.pick(METHODS).fullName)
  }

  peerMessage(): PeerMessage {
    const { random } = this
    const name = random.chance(300)
      ? random.pick(["slots", "high", "views"])
      : random.pick([...SESSIONS, "nope"])
    switch (random.below(10)) {
      case 0:
        return { kind: "want", position: this.number() }
      case 1:
        return { kind: "resume", position: this.index() }
      case 2: {
        const from = this.random.below(2) + Math.min(this.index(), HUGE - 9)
        return { kind: "wantLane", lane: name, from, to: from + 1 + this.random.below(8) }
      }
      case 3:
        return { kind: "taken", taken: this.number(), done: this.number() }
      default:
        return {
          kind: "word",
          position: this.index(),
          lane: name,
          index: this.index(),
          method: this.method(),
          round: random.pick([0, 0, 0, 1, 2 ** 32 - 1]),
          ackedBelow: random.chance(500) ? 1 : this.number(),
          body: this.body()
        }
    }
  }

  turn(): void {
    const { random } = this
    const atMs = (this.atMs += random.below(3))
    const peer = random.pick([1, 2, 3, 4, 9])
    const route = 1 + random.below(3)
    const name = random.pick(SESSIONS)
    switch (random.below(16)) {
      case 0:
        return this.step({ kind: "peerUp", atMs, peer, storeId: random.chance(100) ? "x" : "s" })
      case 1:
        return this.step({ kind: "peerDown", atMs, peer })
      case 2:
        return this.step({ kind: "tick", atMs })
      case 3:
        return this.step({ kind: "turnEnd", atMs })
      case 4:
        return this.step({ kind: "cancel", atMs, route, session: name, index: this.index() })
      case 5:
        return this.step({
          kind: "oneWay",
          atMs,
          route,
          message: { kind: "oneWay", method: this.method(), body: this.body() }
        })
      case 6: {
        const result = random.pick<any>([[], { failure: "f" }, undefined, null, 1, "x", [null]])
        const token = this.tokens.splice(random.below(this.tokens.length + 1), 1)[0] ?? 99
        return this.step({ kind: "ran", atMs, token, result })
      }
      case 7:
      case 8:
      case 9:
      case 10:
        return this.step({
          kind: "request",
          atMs,
          route,
          request: {
            kind: "request",
            session: name,
            index: this.index(),
            ackedBelow: random.chance(700) ? 1 : this.number(),
            method: this.method(),
            deadlineMs: this.random.pick([0, 1, 2 ** 32 - 1]),
            body: this.body()
          }
        })
      default:
        return this.step({ kind: "message", atMs, from: peer, message: this.peerMessage() })
    }
  }
}

/** Tables that random inputs try to fill, and how far they may. */
const BOUNDS = worstCase(LIMITS_TINY, { members: 4, rows: 8, laneInstances: 3, applications: 1 })

/** What a run broke, if anything. */
const broken = (seed: number, turns: number): string | undefined => {
  const fuzz = new Fuzz(seed)
  for (let turn = 0; turn < turns; turn++) {
    try {
      fuzz.turn()
      if (turn % 250 === 249) fuzz.boot()
    } catch (thrown) {
      return `seed ${seed} turn ${turn}: ${(thrown as Error).stack}`
    }
    const size = fuzz.engine.size()
    for (const { table, count } of BOUNDS) {
      if (table !== undefined && !(size[table]! <= count))
        return `seed ${seed} turn ${turn}: ${size[table]} ${table}`
    }
  }
  return undefined
}

describe("an engine, whatever it is given", () => {
  it("P8, P15: throws nothing, says nothing twice, keeps its bounds, boots from its log", () => {
    for (let seed = 1; seed <= 60; seed++) expect(broken(seed, 1_000)).toBeUndefined()
  })
})
