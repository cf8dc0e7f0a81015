/** Reads a node's log back, before anything else happens to it. */
import type { Agreement } from "./agreement.ts"
import { restore, type Tables } from "./checkpoint.ts"
import { isSession, type LaneKey } from "./laneKey.ts"
import type { LogEntry, LogRecord } from "./LogRecord.ts"
import type { Word } from "./Message.ts"
import { Session } from "./sessions.ts"

export interface ReplayParts extends Tables {
  readonly agreement: Agreement
}

export class Replay {
  private readonly parts: ReplayParts

  constructor(parts: ReplayParts) {
    this.parts = parts
  }

  record(record: LogRecord): void {
    const { core } = this.parts
    for (const entry of record.entries) if (!core.halted) this.entry(entry)
    // What was said and answered in an earlier life is not said now; why this one cannot be, is.
    // Nobody knows how much of what was delivered was received.
    const again = core.outbox.take().filter(({ kind }) => kind === "halt" || kind === "deliver")
    for (const output of again) core.outbox.emit(output)
  }

  private entry(entry: LogEntry): void {
    const { core, agreement, execution } = this.parts
    switch (entry.kind) {
      case "horizon":
        core.sessions.raise(entry.horizonMs)
        return
      case "word":
        return this.word(entry)
      case "final": {
        if (this.session(entry.session) === undefined) return
        const { code, detail, body } = entry
        const answer = { body, ...(code && { code }), ...(detail !== undefined && { detail }) }
        return agreement.answers.answer(entry.session, entry.index, answer, "decided")
      }
      case "stored": {
        const protocol = core.handlers.protocols.get(entry.protocol)
        return protocol && agreement.evolve({ protocol }, entry.body, true)
      }
      case "epoch":
        core.epoch.advance(entry)
        return
      case "decided":
        return execution.decided(entry)
      case "floor":
        return execution.floor(entry)
      case "installed":
        return void execution.installed(entry)
      case "delivered":
        return agreement.delivered(entry)
      default:
        return restore(this.parts, entry)
    }
  }

  private word(word: Word): void {
    const { core, agreement } = this.parts
    core.says.push(word)
    const lane = isSession(word.lane) ? this.session(word.lane) : core.lanes.get(word.lane)
    const method = core.handlers.byId.get(word.method)
    if (lane === undefined || method === undefined) return
    if (lane instanceof Session) lane.acknowledge(word.ackedBelow)
    if (lane.finished(word.index)) return
    const instance = lane.instance(word.index)
    const row = instance.row(method.slot, word.round, core.rank, core)
    if (row !== undefined) agreement.restore(method, instance, row, word)
  }

  /** What was admitted once is admitted again, unless it was evicted. */
  private session(key: LaneKey): Session | undefined {
    const { sessions } = this.parts.core
    return sessions.get(key) ?? (sessions.expired(key) ? undefined : sessions.add(key))
  }
}
