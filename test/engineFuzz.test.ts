/** Random inputs, all structurally valid, to one engine: whatever peers, clients and authors do. */
import { describe, expect, it } from "vitest"
import { LIMITS, type Limits } from "../src/base/limits.ts"
import { Prng } from "../src/base/prng.ts"
import { worstCase } from "../src/base/worstCase.ts"
import { encodeMessage } from "../src/link/envelope.ts"
import { decodeRecord, encodeRecord } from "../src/link/recordCodec.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { Engine } from "../src/server/engine.ts"
import type { EpochStanding } from "../src/server/epoch.ts"
import type { Input } from "../src/server/Input.ts"
import { methodId, type PeerMessage, type Word } from "../src/server/Message.ts"
import type { Output } from "../src/server/Output.ts"
import type { CallKind, KeyedHandler } from "../src/server/Protocol.ts"
import { bytesOf, json } from "./support/engines.ts"
import { ERA_MS, METHODS, PHASES, PROTOCOLS, SESSIONS, TEXTS } from "./support/wild.ts"

const LIMITS_TINY: Limits = {
  ...LIMITS,
  windowCalls: 4,
  sessionsMax: 4,
  earlyVotesMax: 8,
  runsMax: 3,
  bodyBytesMax: 600,
  cursorBytesMax: 1_200,
  tailBytesMax: 4_000
}
const TURN = (atMs: number): Input => ({ kind: "turnEnd", atMs })
const HUGE = Number.MAX_SAFE_INTEGER

class Fuzz {
  readonly random: Prng
  engine: Engine
  log: Array<Uint8Array> = []
  atMs = 11_000
  tokens: Array<number> = []
  /** What the engine said, by name: two values under one name are a lie. */
  readonly said = new Map<string, string>()
  /** Position of the newest. */
  last = 0
  /** Of the peers' words. */
  positions = 0
  readonly finals = new Set<string>()
  readonly own = new Map<string, number>()

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
      for (const output of this.engine.step({ kind: "replay", record })) this.output(output)
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
          if (entry.kind === "final") this.final(`${entry.session}/${entry.index}`)
          if (entry.kind !== "word") continue
          const name = `${entry.lane}/${entry.index}/${entry.method}/${entry.round}`
          if (this.said.has(name)) throw new Error("said twice")
          this.said.set(name, String(entry.body))
          this.last = entry.position
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

  private final(name: string): void {
    if (this.finals.has(name)) throw new Error("answered twice")
    this.finals.add(name)
  }

  /** Looks at all that is kept; sometimes the next boot has it instead of the log. */
  check(): void {
    const { entries } = this.engine.checkpoint()
    const bytes = encodeRecord({ entries })
    for (const entry of decodeRecord(bytes)!.entries) {
      if (entry.kind !== "lane") continue
      if (entry.own < (this.own.get(entry.lane) ?? 1)) throw new Error("own went back")
      this.own.set(entry.lane, entry.own)
    }
    if (this.random.chance(200)) this.log = [bytes]
  }

  /** Mostly those of the time. */
  get sessions(): ReadonlyArray<string> {
    const era = Math.min(2, Math.floor(this.atMs / ERA_MS))
    return this.random.chance(100) ? SESSIONS : SESSIONS.slice(4 * era, 4 * era + 4)
  }

  /** Of most words of lanes: those of "latest" lanes climb. */
  get round(): number {
    return this.random.chance(500) ? this.random.below(2) : 2 + (this.positions >> 4)
  }

  number(): number {
    const small = this.random.below(9)
    return this.random.pick([small, small, small, small, 1_000, 2 ** 32, HUGE - 1, HUGE])
  }
  index(): number {
    return Math.max(1, this.number())
  }
  body(fixed?: object): Uint8Array {
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
      slot: random.pick([
        1,
        2,
        3,
        (this.own.get("slots") ?? 1) + random.below(3),
        this.index(),
        1.5
      ]),
      round: random.pick([0, 0, 1, 2]),
      value: random.pick<unknown>([undefined, { of: 1 }, { of: [1, "2", [3]] }, { of: {} }]),
      ...fixed
    })
  }
  /** Mostly of a kind that fits. */
  method(fitting: (call: CallKind) => boolean): number {
    const { random } = this
    if (random.chance(20)) return 7
    const some = random.chance(900) ? METHODS.filter(({ call }) => fitting(call)) : METHODS
    return methodId(random.pick(some).fullName)
  }

  peerMessage(): PeerMessage {
    const { random } = this
    const name = random.chance(300)
      ? random.pick(["slots", "high", "views"])
      : random.pick([...this.sessions, "nope"])
    switch (random.below(13)) {
      case 10:
        return { kind: "cut", position: this.index() }
      case 11:
        return { kind: "behind", lane: name, own: this.index() }
      case 12:
        return this.standing()
      case 0:
        return { kind: "want", position: random.chance(700) ? this.last : this.number() }
      case 1:
        return { kind: "resume", position: this.index() }
      case 2: {
        const from = this.random.below(2) + Math.min(this.index(), HUGE - 9)
        return { kind: "wantLane", lane: name, from, to: from + 1 + this.random.below(8) }
      }
      case 3:
        return random.chance(800)
          ? { kind: "taken", taken: this.last, done: this.last }
          : { kind: "taken", taken: this.number(), done: this.number() }
      default:
        return this.word(name)
    }
  }

  /** Mostly one that counts. */
  word(name: string): Word {
    const { random } = this
    const wild = random.chance(200)
    const phase = random.pick(METHODS.filter(({ call }) => call === "phase"))
    const keyed: KeyedHandler = typeof phase.handler === "function" ? {} : phase.handler
    const lane = keyed.lane ?? random.pick(this.sessions)
    const near = lane === "views" ? 1 : (this.own.get(lane) ?? 1) + random.below(3)
    const [index, round] = wild ? [this.index(), random.pick([1, 2 ** 32 - 1])] : [near, this.round]
    const decides = phase.name === "slot" && random.chance(400) && { text: "apply" }
    return {
      kind: "word",
      position: random.chance(200) ? this.index() : ++this.positions,
      lane: wild ? name : lane,
      index,
      method: wild ? this.method(() => true) : methodId(phase.fullName),
      round: keyed.lane === undefined ? 0 : round,
      ackedBelow: random.chance(800) ? 1 : this.number(),
      body: this.body(wild ? {} : { slot: index, round, value: { of: 1 }, ...decides }),
      ...random.pick<object>([{}, {}, {}, { author: random.pick([1, 2, 3, 9]) }]),
      ...random.pick<object>([{}, { signature: new Uint8Array(64) }]),
      ...(random.chance(50) && { forged: true as const })
    }
  }

  standing(): EpochStanding {
    const { random } = this
    const state = random.chance(50) ? random.pick(["closing", "over"] as const) : "active"
    return { kind: "epoch", state, next: bytesOf(random.pick(["", "next"])) }
  }

  turn(): void {
    const { random } = this
    const atMs = (this.atMs += random.below(40))
    const peer = random.chance(100) ? random.pick([1, 9]) : 2 + random.below(3)
    const route = 1 + random.below(3)
    const name = random.pick(this.sessions)
    switch (random.below(16)) {
      case 0:
        return this.step({ kind: "peerUp", atMs, peer, storeId: random.chance(100) ? "x" : "s" })
      case 1:
        return this.step({ kind: "peerDown", atMs, peer })
      case 2:
        this.step(
          random.chance(5) ? { kind: "epoch", atMs, standing: this.standing() } : TURN(atMs)
        )
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
          message: {
            kind: "oneWay",
            method: this.method((call) => call === "unicast"),
            body: this.body()
          }
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
            method: this.method((call) => call !== "phase" && call !== "unicast"),
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
      if (turn % 20 === 19) fuzz.check()
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
