/**
 * The judges of a run. They see what nodes write durably, what leaves nodes, and what clients get;
 * they share no code with the engine.
 */
import { bytesEqual } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { CallResult } from "../link/callTypes.ts"
import type { FaultModel } from "../quorum/FaultModel.ts"
import type { LogRecord } from "../server/LogRecord.ts"
import type { PeerMessage, Reply } from "../server/Message.ts"
import type { MethodSpec, ProtocolSpec } from "../server/Protocol.ts"
import { isSession, type LaneKey, laneText, openedMs } from "../server/laneKey.ts"
import { AnswerCheck, type CallKey, callKey, callText } from "./checkAnswers.ts"
import { DeliveryCheck } from "./checkDeliveries.ts"
import { boundsOf, overfull, worstGroupOf } from "./checkBounds.ts"
import { DecisionCheck } from "./checkDecisions.ts"
import { seenOnce } from "./checkHandlers.ts"
import { OrderCheck } from "./checkOrder.ts"
import { outOfTime } from "./checkRealTime.ts"
import { WordCheck } from "./checkWords.ts"
import type { Endpoint } from "./simNetwork.ts"

/** A call as its client knows it. */
export interface SimCall {
  /** 1, 2, 3 … in the run. */
  readonly number: number
  readonly client: Endpoint
  readonly method: MethodSpec
  /** Its client tells all nodes the same. */
  readonly honest: boolean
  /** Once it was sent; until then no node knows of it. */
  key: CallKey | undefined
  /** Its client lives and waits: in the end it must have an answer. */
  demanded: boolean
  result: CallResult<Uint8Array> | undefined
  readonly calledMs: number
  endedMs: number
}

/** What not every protocol promises. */
export interface Promises {
  /** What one correct node answers or decides, all correct nodes do in the end. */
  readonly totality: boolean
  /** A node answers or decides only once a quorum of members has said something in the instance. */
  readonly quorums: boolean
}

export interface CheckersOptions {
  readonly spec: ProtocolSpec
  /** Nodes that are not Byzantine. */
  readonly correct: ReadonlyArray<NodeId>
  readonly durable: boolean
  readonly members: number
  readonly model: FaultModel
  readonly promises: Promises
  readonly windowCalls: number
  /** Absent: the default. */
  readonly tailBytesMax?: number
  /** What an Effect of `apply` ends with. */
  readonly end?: (result: unknown) => unknown
  /** Milliseconds since the run began. */
  readonly nowMs: () => number
}

/** By then a word has arrived, once faults have ended: also one that had to be asked for again. */
const ARRIVE_MS = 5_000

export class Checkers {
  /** The first violation. */
  failure: string | undefined
  /** Durable records seen. */
  records = 0
  readonly calls: Array<SimCall> = []
  readonly answers: AnswerCheck
  readonly words: WordCheck
  readonly decisions: DecisionCheck
  readonly deliveries: DeliveryCheck
  readonly order: OrderCheck
  readonly #options: CheckersOptions
  /** Held to what it says. */
  readonly #correct: Set<NodeId>
  /** Held to what must happen in the end, too. Shared with the parts. */
  readonly #live: Array<NodeId>
  readonly #byKey = new Map<CallKey, SimCall>()
  /** The durable horizon of correct nodes, and the highest of them. */
  readonly #horizons = new Map<NodeId, number>()
  #horizonMs = 0
  /** Horizons of live nodes that have begun without a log. */
  readonly #youngMs = new Map<NodeId, number>()
  /** Times that correct nodes made room for sessions. */
  evictions = 0
  /** Most that a table of a correct node held. */
  readonly highest: { [table: string]: number } = {}
  #bounds: ReturnType<typeof boundsOf> | undefined
  /** The highest index sent in each session. */
  readonly #newest = new Map<LaneKey, number>()

  /** The protocol has timers, and may never fall silent. */
  readonly restless: boolean

  constructor(options: CheckersOptions) {
    const { durable, spec } = options
    this.#options = options
    this.restless = options.spec.world?.timers !== undefined
    this.#correct = new Set(options.correct)
    const correct = [...options.correct]
    this.#live = correct
    const fail = (what: string): void => this.fail(what)
    this.decisions = new DecisionCheck(fail, spec, options.end)
    this.deliveries = new DeliveryCheck(fail, durable)
    this.answers = new AnswerCheck({
      fail,
      durable,
      correct,
      agreed: (key) => this.#byKey.get(key)?.method.call === "multiparty",
      decidedAt: (node, key) => this.decisions.decidedAt(node, key)
    })
    const lanes = Object.entries(spec.world?.lanes ?? {})
    const { nowMs } = options
    this.order = new OrderCheck(
      fail,
      (author) => this.words.saidBy(author),
      (author, word) => this.words.outdated(author, word),
      options.tailBytesMax
    )
    this.words = new WordCheck({
      fail,
      nowMs,
      arrivedMs: () => nowMs() - (this.restless ? ARRIVE_MS : 0),
      latest: new Set(lanes.flatMap(([name, lane]) => (lane.rounds === "latest" ? name : []))),
      durable,
      correct,
      cutAt: (node, author) => this.order.cutAt(node, author),
      finishedAt: (node, lane, index) =>
        isSession(lane)
          ? this.#settledAt(node, callKey(lane, index))
          : this.decisions.finishedAt(node, lane, index) ||
            this.deliveries.finishedAt(node, lane, index)
    })
  }

  fail(what: string): void {
    this.failure ??= `at ${this.#options.nowMs()} ms: ${what}`
  }

  isCorrect(node: NodeId): boolean {
    return this.#correct.has(node)
  }

  /** A node that has begun without a log takes no part in sessions opened up to there. */
  keepsOut(node: NodeId, horizonMs: number): void {
    if (this.#live.includes(node)) this.#youngMs.set(node, horizonMs)
  }

  /** Correct nodes that remember all they said. */
  get live(): ReadonlyArray<NodeId> {
    return this.#live
  }

  booted(node: NodeId): void {
    this.words.booted(node)
  }

  /**
   * A node lost its memory. Without durability that is what a crash does, and the node keeps out of
   * what it may have spoken in; else it has lost its disk, and counts as one of the faulty.
   */
  forgot(node: NodeId): void {
    const at = this.#live.indexOf(node)
    if (at >= 0) this.#live.splice(at, 1)
    this.#youngMs.delete(node)
    if (this.#options.durable) this.#correct.delete(node)
  }

  /** The protocol as one life of a node runs it, watched. */
  over(spec: ProtocolSpec, node: NodeId): ProtocolSpec {
    if (!this.isCorrect(node)) return spec
    return this.deliveries.over(seenOnce((what) => this.fail(what), spec, node))
  }

  /** A message reached a node's engine. */
  came(node: NodeId, from: NodeId, message: PeerMessage): void {
    if (message.kind === "word") this.words.given(node, from, message)
    if (this.isCorrect(node) && this.isCorrect(from)) this.order.came(node, from, message)
  }

  /** How full the tables of a node are. */
  looked(node: NodeId, size: { readonly [table: string]: number }, limits: Limits): void {
    const { members, spec } = this.#options
    if (!this.isCorrect(node)) return
    this.#bounds ??= boundsOf(limits, worstGroupOf(spec, members))
    const full = overfull(size, this.#bounds)
    for (const [table, count] of Object.entries(size)) {
      this.highest[table] = Math.max(count, this.highest[table] ?? 0)
    }
    if (full !== undefined) this.fail(`P8: node ${node}: ${full}`)
  }

  /** A client numbered its call and sends it. */
  sentCall(call: SimCall, key: CallKey): void {
    // Calls without phases concern each node alone, and have a name per node.
    if (call.method.call !== "multiparty") {
      call.key ??= key
      return
    }
    if (call.key !== undefined) {
      if (call.key !== key) this.fail(`call ${call.number} was sent under two names`)
      return
    }
    if (this.#byKey.has(key)) this.fail(`two calls were sent as ${callText(key)}`)
    call.key = key
    this.#byKey.set(key, call)
    const at = key.lastIndexOf("/")
    const [session, index] = [key.slice(0, at), Number(key.slice(at + 1))]
    this.#newest.set(session, Math.max(index, this.#newest.get(session) ?? 0))
  }

  /** A client without rules named a call, and said how far it acknowledges. */
  roamed(session: LaneKey, index: number, ackedBelow: number): void {
    const newest = Math.max(index, ackedBelow <= index ? ackedBelow : 0)
    this.#newest.set(session, Math.max(newest, this.#newest.get(session) ?? 0))
  }

  /** A record of a node became durable, or survived a crash. */
  durable(node: NodeId, record: LogRecord | undefined): void {
    this.records++
    if (!this.#correct.has(node)) return
    if (record === undefined) return this.fail(`node ${node} logged a record that nobody can read`)
    for (const entry of record.entries) {
      if (entry.kind === "horizon") this.#horizon(node, entry.horizonMs)
      else if (entry.kind === "word") {
        this.#above(node, entry.lane, entry.index)
        this.words.logged(node, entry)
      } else if (entry.kind === "final") {
        this.#above(node, entry.session, entry.index)
        this.answers.logged(node, entry)
        if (entry.code === undefined) this.#quorum(node, entry.session, entry.index)
      } else if (entry.kind === "delivered") {
        this.deliveries.logged(node, entry)
        this.#quorum(node, entry.lane, entry.index)
      } else if (entry.kind === "installed") this.decisions.installed(node, entry)
      else if (entry.kind === "decided") {
        this.decisions.logged(node, entry)
        this.#quorum(node, entry.lane, entry.index)
      } else if (entry.kind === "floor") {
        this.decisions.floored(node, entry)
      }
    }
  }

  /** Its session was evicted, or words in it are gone for a node: it may come to nothing. */
  #lost(call: SimCall): boolean {
    return call.key !== undefined && (this.#evicted(call.key) || this.words.cutIn(call.key))
  }

  #horizon(node: NodeId, horizonMs: number): void {
    if (horizonMs <= (this.#horizons.get(node) ?? 0)) {
      this.fail(`P7: the horizon of node ${node} does not rise: ${horizonMs}`)
    }
    this.evictions++
    this.#horizons.set(node, horizonMs)
    this.#horizonMs = Math.max(this.#horizonMs, horizonMs)
  }

  /** What a node once evicted it never works on again. */
  #above(node: NodeId, lane: LaneKey, index: number): void {
    if (!isSession(lane) || openedMs(lane) > (this.#horizons.get(node) ?? 0)) return
    this.fail(`P7: node ${node} works on ${callText(callKey(lane, index))}, which it evicted`)
  }

  /** Some correct node has evicted the call's session: the call may come to nothing. */
  #evicted(key: CallKey): boolean {
    return openedMs(key) <= Math.max(this.#horizonMs, ...this.#youngMs.values())
  }

  /**
   * Two sets that let a node finish must share a correct member; liars, and who lost its memory,
   * may have said all.
   */
  #quorum(node: NodeId, lane: LaneKey, index: number): void {
    const { promises, members, model } = this.#options
    if (!promises.quorums) return
    const faults = model === "crash" ? 0 : Math.floor((members - 1) / 3)
    const speakers = this.words.speakers(lane, index) + members - this.#correct.size
    if (2 * speakers > members + faults) return
    const what = `${laneText(lane)}/${index} on the word of ${speakers} of ${members} members`
    this.fail(`quorum: node ${node} finished ${what}`)
  }

  /** A message leaves a node for a peer. */
  sent(node: NodeId, message: PeerMessage): void {
    if (!this.#correct.has(node)) return
    if (message.kind === "word") this.words.sent(node, message)
    if (message.kind === "cut") this.#cut(node, message.position)
  }

  /** Words go only once so many have taken them as are never away all at once. */
  #cut(node: NodeId, position: number): void {
    const { members, model } = this.#options
    const faults = Math.floor((members - 1) / (model === "crash" ? 2 : 3))
    const without = [...this.#correct].filter(
      (other) => other !== node && !this.order.tookBelow(other, node, position)
    )
    if (without.length <= faults) return
    this.fail(`P5: node ${node} cut its words below ${position}; nodes ${without} took them not`)
  }

  /** A reply leaves a node for a client. */
  replied(node: NodeId, reply: Reply): void {
    if (this.#correct.has(node)) this.answers.replied(node, reply)
  }

  /** A client took an answer, or gave up. */
  ended(call: SimCall, result: CallResult<Uint8Array>): void {
    if (call.result !== undefined) this.fail(`call ${call.number} ended twice`)
    call.result = result
    call.endedMs = this.#options.nowMs()
    if (!result.ok) {
      if (call.demanded && !(result.code === "outcome_unknown" && this.#lost(call)))
        this.fail(`call ${call.number} failed: ${result.code} ${failureOf(result)}`)
      return
    }
    if (call.method.call !== "multiparty" || !call.honest) return
    if (call.key === undefined) return this.fail(`call ${call.number} was answered and never sent`)
    const answer = this.answers.answer(call.key)
    if (answer === undefined || !bytesEqual(answer, result.answer)) {
      this.fail(`a client took an answer to ${callText(call.key)} that no correct node gave`)
    }
    // Without logs nobody sees what is decided.
    if (this.#options.durable) this.decisions.accepted(call.key)
  }

  /** What is still missing of what must hold once faults have ended. */
  missing(): string | undefined {
    const open = this.calls.find(
      (call) => call.demanded && call.result === undefined && !this.#lost(call)
    )
    if (open !== undefined) {
      const name = open.key === undefined ? "it was never sent" : callText(open.key)
      return `no answer to call ${open.number} of client ${open.client} (${name})`
    }
    return this.words.missing() ?? (this.#options.promises.totality ? this.untotal() : undefined)
  }

  #settledAt(node: NodeId, key: CallKey): boolean {
    return this.answers.finishedAt(node, key) || this.outrun(key) || this.#evicted(key)
  }

  /** The client went a window further, so that a slow node may have had to let go of the call. */
  outrun(key: CallKey): boolean {
    const at = key.lastIndexOf("/")
    const newest = this.#newest.get(key.slice(0, at)) ?? 0
    return Number(key.slice(at + 1)) + this.#options.windowCalls <= newest
  }

  /** What one correct node answered or decided, and another did not. */
  untotal(method?: string): string | undefined {
    const wanted = (key: CallKey): boolean =>
      (method === undefined || this.#byKey.get(key)?.method.name === method) &&
      !this.outrun(key) &&
      !this.#evicted(key) &&
      !this.words.cutIn(key)
    return this.answers.missing(wanted) ?? this.decisions.missing(this.#live)
  }

  /** The last word: to be called once nothing is missing, or time is up. */
  conclude(): void {
    const missing = this.missing()
    if (missing !== undefined) this.fail(missing)
    if (this.failure === undefined) this.decisions.replay((key) => this.answers.answer(key))
    const late = this.failure === undefined ? this.#outOfTime() : undefined
    if (late !== undefined) this.fail(late)
  }

  #outOfTime(): string | undefined {
    const places = this.decisions.places()
    const calls = this.calls.map((call) => ({
      ...call,
      answeredMs: call.result?.ok === true ? call.endedMs : undefined
    }))
    return outOfTime(calls, (key) => places.get(key))
  }

  /** Calls that a client has the answer of. */
  get answered(): number {
    let count = 0
    for (const call of this.calls) if (call.result?.ok === true) count++
    return count
  }
}

const failureOf = (result: Extract<CallResult<never>, { ok: false }>): string => {
  const outcomes = result.outcomes.map(
    ({ node, outcome, code, detail }) =>
      `node ${node} ${outcome}${code ? ` ${code}` : ""}${detail ? ` (${detail})` : ""}`
  )
  return `(${result.got} of ${result.needed}; ${outcomes.join(", ")})`
}
