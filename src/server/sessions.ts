/**
 * Sessions: at most once for ever, within bounds.
 * @source Lee et al., Implementing linearizability at large scale and low latency (RIFL), SOSP 2015
 */
import { assert } from "../base/assert.ts"
import { NO_BYTES } from "../base/bytes.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import { IndexTable } from "../base/indexTable.ts"
import type { Limits } from "../base/limits.ts"
import type { CallState } from "./calls.ts"
import { type Instance, Lane } from "./lanes.ts"
import { type LaneKey, openedMs } from "./laneKey.ts"

/** A call's final answer, kept until the client acknowledges it. */
export interface Answer {
  readonly code?: ErrorCode
  readonly detail?: string
  readonly body: Uint8Array
}

/** What a node keeps for one client: bodies of open calls and of answers not acknowledged. */
export class Client {
  readonly name: string
  sessions = 0
  bytes = 0
  /** Open. */
  calls = 0

  constructor(name: string) {
    this.name = name
  }
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
  /** When a client brought it. */
  sinceMs = 0
  ackedBelow = 1
  /** Final answers at or above `ackedBelow`. */
  readonly answers: IndexTable<Answer>
  /** Whoever brought the session; nobody yet where members named it, or the log. */
  client = new Client("")
  /** What is kept of it: part of its client's bytes, and of the node's. */
  bytes = 0
  /** Calls without phases (rpc, quorum) whose handler has not answered yet. */
  readonly running: IndexTable<CallState>
  /** Highest `ackedBelow` that each peer's words named, by rank. */
  readonly ackedByPeer: Array<number>
  /** Unfinished below `ackedBelow`, rising; they still take votes. At most `window`. */
  private readonly late = new Set<number>()
  /** Of calls without phases. */
  readonly alone: boolean
  private readonly all: Sessions

  constructor(key: LaneKey, alone: boolean, members: number, all: Sessions) {
    super(key, all.limits.windowCalls)
    const { window } = this
    this.alone = alone
    this.all = all
    this.openedMs = openedMs(key)
    this.answers = new IndexTable(window)
    this.running = new IndexTable(window)
    this.ackedByPeer = new Array<number>(members).fill(1)
  }

  get lateCalls(): ReadonlyArray<number> {
    return [...this.late]
  }

  /** From a checkpoint. */
  restore(ackedBelow: number, late: ReadonlyArray<number>): void {
    this.ackedBelow = ackedBelow
    for (const index of late) this.late.add(index)
    this.moveOwn()
  }

  /** What the client has let go of is still to be heard of. */
  protected override get lowest(): number {
    for (const index of this.late) return index
    return this.own
  }

  override finished(index: number): boolean {
    return index < this.ackedBelow ? !this.late.has(index) : this.answers.has(index)
  }

  /** Keeps the final answer; the first stands. */
  finish(index: number, answer: Answer): void {
    this.close(index)
    if (index < this.ackedBelow) {
      this.late.delete(index)
    } else {
      const fits = this.client.bytes + answer.body.length <= this.all.limits.clientBytesMax
      this.answers.set(index, fits ? answer : NOT_KEPT)
      this.charge(fits ? answer.body.length : 0)
    }
    this.moveOwn()
  }

  /** Bytes are kept for this session, or no longer. */
  charge(bytes: number): void {
    this.bytes += bytes
    this.client.bytes += bytes
    this.all.bytes += bytes
  }

  belongsTo(client: Client): void {
    const { bytes, client: before } = this
    const calls = this.calls().length
    before.calls -= calls
    this.charge(-bytes)
    this.client = client
    client.sessions++
    client.calls += calls
    this.charge(bytes)
  }

  /** A client asks: what is kept of it counts as its own until it is answered. */
  begin(call: CallState): void {
    this.charge(call.body.length)
    this.client.calls++
    if (call.method.call === "multiparty") return
    this.all.opened++
    this.running.set(call.index, call)
  }

  override instance(index: number): Instance {
    if (!this.open.has(index)) this.all.opened++
    return super.instance(index)
  }

  /** It leaves with all it holds. */
  leave(): void {
    this.client.calls -= this.calls().length
    this.all.opened -= this.open.size + this.running.size
    this.charge(-this.bytes)
    assert(this.client.calls >= 0 && this.all.opened >= 0, "what is open is counted once")
  }

  /** The calls took effect, and are not run again; what they answered is gone. */
  letGoOfAnswers(): void {
    if (this.bytes === 0) return
    for (const index of this.answers.keys()) {
      this.charge(-this.answers.get(index)!.body.length)
      this.answers.set(index, NOT_KEPT)
    }
  }

  /** The call is not open here any more. */
  private close(index: number): CallState | undefined {
    const instance = this.open.get(index)
    const running = this.running.get(index)
    const call = instance?.call ?? running
    if (instance !== undefined) instance.ended = true
    if (call !== undefined) {
      this.charge(-call.body.length)
      this.client.calls--
    }
    this.all.opened -= (instance === undefined ? 0 : 1) + (running === undefined ? 0 : 1)
    this.open.delete(index)
    this.running.delete(index)
    return call
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
    this.charge(-answer.body.length)
  }

  private lose(index: number): void {
    const call = this.close(index)
    if (call !== undefined) call.route = 0
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
 *
 * Calls without phases have sessions apart, also under the same key: they concern this node alone
 * and in this life, and must never end what members say to each other about a call.
 */
export class Sessions {
  readonly table = new Map<LaneKey, Session>()
  private readonly alone = new Map<LaneKey, Session>()
  /** No session opened at or below it runs here. */
  horizonMs = 0
  /** What is kept for all clients. */
  bytes = 0
  /** Calls and their instances that are open in all sessions. */
  opened = 0
  readonly limits: Limits
  private readonly members: number
  private readonly clients = new Map<string, Client>()

  constructor(limits: Limits, members: number) {
    this.limits = limits
    this.members = members
  }

  get(key: LaneKey, alone = false): Session | undefined {
    return this.tableOf(alone).get(key)
  }

  private tableOf(alone: boolean): Map<LaneKey, Session> {
    return alone ? this.alone : this.table
  }

  all(): ReadonlyArray<Session> {
    return [...this.table.values(), ...this.alone.values()]
  }

  /** The open call of that name, of either kind: a client gives a name once. */
  call(key: LaneKey, index: number): CallState | undefined {
    return this.alone.get(key)?.running.get(index) ?? this.table.get(key)?.open.get(index)?.call
  }

  expired(key: LaneKey): boolean {
    return openedMs(key) <= this.horizonMs
  }

  /** `undefined`: expired, or the table is full. */
  open(key: LaneKey, alone = false): Session | undefined {
    const known = this.get(key, alone)
    if (known !== undefined) return known
    return this.expired(key) || this.full ? undefined : this.add(key, alone)
  }

  /** No more calls, or instances of calls, fit. */
  get crowded(): boolean {
    return this.opened >= this.limits.callsMax
  }

  get full(): boolean {
    return this.table.size + this.alone.size >= this.limits.sessionsMax
  }

  /**
   * Where the horizon has to rise to before a newcomer fits; that may leave the newcomer itself
   * below. `undefined`: even the session opened first is too young to go.
   */
  evictable(newcomer: LaneKey, atMs: number): number | undefined {
    let lowest = openedMs(newcomer)
    for (const session of this.all()) lowest = Math.min(lowest, session.openedMs)
    return lowest <= atMs - this.limits.sessionEvictAgeMs ? lowest : undefined
  }

  /** The horizon rises, and what is not above it leaves for ever. */
  raise(horizonMs: number): ReadonlyArray<Session> {
    this.horizonMs = Math.max(this.horizonMs, horizonMs)
    const gone = this.all().filter((it) => it.openedMs <= this.horizonMs)
    for (const session of gone) {
      this.tableOf(session.alone).delete(session.key)
      session.leave()
      if (--session.client.sessions === 0) this.clients.delete(session.client.name)
    }
    return gone
  }

  /** The client of that name; it is known while it has sessions. */
  client(name: string): Client {
    const known = this.clients.get(name)
    if (known !== undefined) return known
    const client = new Client(name)
    this.clients.set(name, client)
    return client
  }

  /** Whether this client has brought so many sessions of late that the next has to wait. */
  floods(name: string, atMs: number): boolean {
    const { sessionsPerClientMax, sessionEvictAgeMs } = this.limits
    if ((this.clients.get(name)?.sessions ?? 0) < sessionsPerClientMax) return false
    let late = 0
    for (const { client, sinceMs } of this.all()) {
      if (client.name === name && sinceMs > atMs - sessionEvictAgeMs) late++
    }
    return late >= sessionsPerClientMax
  }

  /** Makes room for so many bytes more: the answers of the sessions that came first go first. */
  fits(bytes: number): boolean {
    const most = this.limits.clientsBytesMax - bytes
    if (this.bytes <= most) return true
    for (const session of this.all()) {
      session.letGoOfAnswers()
      if (this.bytes <= most) return true
    }
    return false
  }

  add(key: LaneKey, alone = false): Session {
    const session = new Session(key, alone, this.members, this)
    this.tableOf(alone).set(key, session)
    return session
  }
}

const NOT_KEPT: Answer = {
  code: "outcome_unknown",
  detail: "the call took effect here; its answer was too much to keep",
  body: NO_BYTES
}
