/**
 * What the parts of one engine share: the tables of one node, and what the current step produced.
 */
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { EpochLife } from "./epoch.ts"
import type { Evidence } from "./evidence.ts"
import type { Handlers, Protocol } from "./handlers.ts"
import type { Lane, ProtocolLane } from "./lanes.ts"
import { isSession, type LaneKey } from "./laneKey.ts"
import type { LogEntry } from "./LogRecord.ts"
import type { Request, Word } from "./Message.ts"
import type { Fault, Output, Report, ReportAbout } from "./Output.ts"
import { Parked } from "./parked.ts"
import type { Says } from "./says.ts"
import type { Sessions } from "./sessions.ts"
import { Timers } from "./timers.ts"

/** Why something was not done, counted by name; names are a closed, short list in the code. */
export type Counters = { [reason: string]: number }

/** The outputs of one step: at most one store, and it comes first. */
export class Outbox {
  private entries: Array<LogEntry> = []
  private outputs: Array<Output> = []

  log(entry: LogEntry): void {
    this.entries.push(entry)
  }
  emit(output: Output): void {
    this.outputs.push(output)
  }
  take(): ReadonlyArray<Output> {
    const { entries, outputs } = this
    if (entries.length === 0 && outputs.length === 0) return NOTHING
    this.outputs = []
    if (entries.length === 0) return outputs
    this.entries = []
    return [{ kind: "store", record: { entries } }, ...outputs]
  }
}
const NOTHING: ReadonlyArray<Output> = []

export class Core {
  readonly self: NodeId
  /** Rank of `self`. */
  readonly rank: number
  readonly system: System
  readonly limits: Limits
  readonly handlers: Handlers
  readonly sessions: Sessions
  readonly lanes: ReadonlyMap<LaneKey, ProtocolLane>
  readonly says: Says
  readonly epoch: EpochLife
  readonly outbox = new Outbox()
  readonly timers = new Timers()
  /** Protocols with a `turnEnd` hook of which a handler ran in this turn. */
  readonly ran = new Set<Protocol>()
  readonly parked: Parked
  readonly counters: Counters = {}
  /** Clients' requests that handlers want opened here, once all else of the step is done. */
  readonly admitted: Array<Request> = []
  /** False while the log is replayed: votes are counted and nothing runs. */
  booted = false
  /** Set once; a halted engine does nothing. */
  halted = false
  /** The log has no room: what would make it grow is refused at the door. */
  logFull = false
  atMs = 0
  private token = 0

  constructor(parts: {
    readonly self: NodeId
    readonly system: System
    readonly limits: Limits
    readonly handlers: Handlers
    readonly sessions: Sessions
    readonly lanes: ReadonlyMap<LaneKey, ProtocolLane>
    readonly says: Says
    readonly epoch: EpochLife
  }) {
    this.self = parts.self
    this.rank = parts.system.rank(parts.self)
    this.system = parts.system
    this.parked = new Parked(parts.limits, parts.system.size)
    this.limits = parts.limits
    this.handlers = parts.handlers
    this.sessions = parts.sessions
    this.lanes = parts.lanes
    this.says = parts.says
    this.epoch = parts.epoch
  }

  /** Names an Effect that the host runs. */
  nextToken(): number {
    return ++this.token
  }

  count(reason: string, times = 1): void {
    if (times > 0) this.counters[reason] = (this.counters[reason] ?? 0) + times
  }

  report(what: Report, detail: string, about?: ReportAbout): void {
    this.count(what)
    this.outbox.emit({ kind: "report", what, detail, ...(about && { about }) })
  }

  blame(of: NodeId, fault: Fault, evidence?: Evidence): void {
    this.outbox.emit({ kind: "fault", of, fault, ...(evidence && { evidence }) })
  }

  /** Our own application or `evolve` broke its promise: nothing more leaves this node. */
  halt(reason: string): void {
    this.halted = true
    this.outbox.emit({ kind: "halt", reason })
  }

  lane(key: LaneKey): Lane | undefined {
    return isSession(key) ? this.sessions.get(key) : this.lanes.get(key)
  }

  /** What this node said last in instances that never finish. */
  standing(): Array<Word> {
    const lanes = [...this.lanes.values()].filter((lane) => lane.standing)
    return lanes.flatMap((lane) => lane.open.values().flatMap((instance) => instance.words()))
  }

  /** Entries of the shared tables. */
  size(): { readonly [table: string]: number } {
    const sessions = this.sessions.all()
    const sum = (counts: ReadonlyArray<number>): number => counts.reduce((a, b) => a + b, 0)
    return {
      sessions: sessions.length,
      answers: sum(sessions.map((s) => s.answers.size)),
      instances: sum([...sessions, ...this.lanes.values()].map((lane) => lane.open.size)),
      running: sum(sessions.map((s) => s.running.size)),
      parked: this.parked.count,
      tail: this.says.count,
      tailBytes: this.says.bytes,
      clientBytes: this.sessions.bytes
    }
  }

  /** No word of the instance changes anything here any more. */
  finished(key: LaneKey, index: number): boolean {
    const lane = this.lane(key)
    return lane === undefined ? this.sessions.expired(key) : lane.finished(index)
  }
}
