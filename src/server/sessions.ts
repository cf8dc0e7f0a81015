/**
 * Sessions: at most once for ever, within bounds.
 * @source Lee et al., Implementing linearizability at large scale and low latency (RIFL), SOSP 2015
 */
import type { ErrorCode } from "../base/errorCode.ts"
import { IndexTable } from "../base/indexTable.ts"
import type { Limits } from "../base/limits.ts"
import type { CallState } from "./calls.ts"
import { Lane } from "./lanes.ts"
import { type LaneKey, openedMs } from "./laneKey.ts"

/** A call's final answer, kept until the client acknowledges it. */
export interface Answer {
  readonly code?: ErrorCode
  readonly detail?: string
  readonly body: Uint8Array
}

/** Calls that will never finish here: how many, and about where they begin. */
export interface Lost {
  readonly low: number
  readonly count: number
}

/**
 * One client's numbered calls.
 * Invariant: below `ackedBelow` an index is unfinished only while it is in `late`.
 */
export class Session extends Lane {
  readonly openedMs: number
  ackedBelow = 1
  /** Final answers at or above `ackedBelow`. */
  readonly answers: IndexTable<Answer>
  answerBytes = 0
  /** Calls without phases (rpc, quorum) whose handler has not answered yet. */
  readonly running: IndexTable<CallState>
  /** Highest `ackedBelow` that each peer's words named, by rank. */
  readonly ackedByPeer: Array<number>
  /** Unfinished below `ackedBelow`, rising; they still take votes. At most `window`. */
  private readonly late = new Set<number>()

  constructor(key: LaneKey, window: number, members: number) {
    super(key, window)
    this.openedMs = openedMs(key)
    this.answers = new IndexTable(window)
    this.running = new IndexTable(window)
    this.ackedByPeer = new Array<number>(members).fill(1)
  }

  override finished(index: number): boolean {
    return index < this.ackedBelow ? !this.late.has(index) : this.answers.has(index)
  }

  /** Keeps the final answer; the first stands. */
  finish(index: number, answer: Answer): void {
    const instance = this.open.get(index)
    if (instance !== undefined) instance.ended = true
    this.open.delete(index)
    this.running.delete(index)
    if (index < this.ackedBelow) {
      this.late.delete(index)
    } else {
      this.answers.set(index, answer)
      this.answerBytes += answer.body.length
    }
    this.moveOwn()
  }

  /**
   * The client needs no answer below `below` any more. Frees answers, finishes nothing.
   * @returns what is lost, because more than `window` unfinished calls lie below
   */
  acknowledge(below: number): Lost | undefined {
    if (below <= this.ackedBelow) return undefined
    const old = this.ackedBelow
    // However far the client jumps: from `low` on lie at most `window` unfinished calls.
    let low = below
    for (let left = this.window; low > old && left > 0; low--)
      if (!this.answers.has(low - 1)) left--
    const lost = { low: Number.POSITIVE_INFINITY, count: 0 }
    if (low > old) this.skip(old, low, lost)
    for (let index = low; index < below; index++) {
      const answer = this.answers.get(index)
      if (answer === undefined) this.late.add(index)
      else this.forget(index, answer)
      const call = this.running.get(index)
      if (call !== undefined) call.route = 0
    }
    this.ackedBelow = below
    for (const index of this.late) {
      if (this.late.size <= this.window) break
      this.lose(index)
      lost.low = Math.min(lost.low, index)
      lost.count++
    }
    this.moveOwn()
    return lost.count === 0 ? undefined : lost
  }

  /** A client that jumps further than its window: what lies in [from, to) is gone at once. */
  private skip(from: number, to: number, lost: { low: number; count: number }): void {
    lost.count += to - from
    for (const index of this.answers.keys()) {
      if (index >= to) continue
      this.forget(index, this.answers.get(index)!)
      lost.count--
    }
    for (const index of [...this.open.keys(), ...this.running.keys()]) {
      if (index >= from && index < to) this.lose(index)
    }
    // Not looked for among the answered: a client may jump very far.
    if (lost.count > 0) lost.low = from
  }

  private forget(index: number, answer: Answer): void {
    this.answers.delete(index)
    this.answerBytes -= answer.body.length
  }

  private lose(index: number): void {
    const instance = this.open.get(index)
    if (instance !== undefined) instance.ended = true
    this.open.delete(index)
    const call = this.running.get(index)
    if (call !== undefined) call.route = 0
    this.running.delete(index)
    this.late.delete(index)
  }

  /** Calls that wait here for their answer. */
  calls(): ReadonlyArray<CallState> {
    const called = this.open.values().flatMap(({ call }) => (call === undefined ? [] : [call]))
    return [...called, ...this.running.values()]
  }

  private moveOwn(): void {
    if (this.own < this.ackedBelow) this.own = this.ackedBelow
    while (this.answers.has(this.own)) this.own++
  }
}

/**
 * All sessions of a node. A session enters once, above the horizon; the one opened first leaves
 * when a client's call brings one too many, and the horizon then is where it was opened.
 */
export class Sessions {
  readonly table = new Map<LaneKey, Session>()
  /** No session opened at or below it runs here. */
  horizonMs = 0
  private readonly limits: Limits
  private readonly members: number

  constructor(limits: Limits, members: number) {
    this.limits = limits
    this.members = members
  }

  get(key: LaneKey): Session | undefined {
    return this.table.get(key)
  }

  expired(key: LaneKey): boolean {
    return openedMs(key) <= this.horizonMs
  }

  /** `undefined`: expired, or the table is full. */
  open(key: LaneKey): Session | undefined {
    const known = this.table.get(key)
    if (known !== undefined) return known
    return this.expired(key) || this.full ? undefined : this.add(key)
  }

  get full(): boolean {
    return this.table.size >= this.limits.sessionsMax
  }

  /**
   * Where the horizon has to rise to before a newcomer fits; that may leave the newcomer itself
   * below. `undefined`: even the session opened first is too young to go.
   */
  evictable(newcomer: LaneKey, atMs: number): number | undefined {
    let lowest = openedMs(newcomer)
    for (const session of this.table.values()) lowest = Math.min(lowest, session.openedMs)
    return lowest <= atMs - this.limits.sessionEvictAgeMs ? lowest : undefined
  }

  /** The horizon rises, and what is not above it leaves for ever. */
  raise(horizonMs: number): ReadonlyArray<Session> {
    this.horizonMs = Math.max(this.horizonMs, horizonMs)
    const gone = [...this.table.values()].filter((it) => it.openedMs <= this.horizonMs)
    for (const { key } of gone) this.table.delete(key)
    return gone
  }

  add(key: LaneKey): Session {
    const session = new Session(key, this.limits.windowCalls, this.members)
    this.table.set(key, session)
    return session
  }
}
