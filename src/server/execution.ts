/**
 * Runs what is decided, on each protocol's application: the vote never waits for it, up to
 * `applyAheadMax` indexes.
 */
import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import {
  Application,
  type Applied,
  type Batch,
  type CallName,
  type Read,
  sameBatch
} from "./application.ts"
import type { Answers } from "./answers.ts"
import type { Core } from "./core.ts"
import type { Protocol } from "./handlers.ts"
import type { Input } from "./Input.ts"
import { type LaneKey, laneText } from "./laneKey.ts"
import type { Decided, Floor, Installed, LogEntry } from "./LogRecord.ts"
import type { MethodId } from "./Message.ts"
import { failureOf, textOf } from "./authorMistake.ts"
import type { IsEffect } from "./Protocol.ts"
import type { Recovery } from "./recovery.ts"
import type { Answer } from "./sessions.ts"
import type { Digesting, Snapshot, WantedState } from "./snapshot.ts"

interface Parts {
  readonly core: Core
  readonly recovery: Recovery
  readonly isEffect: IsEffect
  readonly answers: Answers
  readonly sha256: Digesting["sha256"]
  readonly installed: (lane: LaneKey, index: number) => void
  /** Of a state that could not be fetched: `own` is behind it. */
  readonly behind: (lane: LaneKey, own: number) => void
}

export class Execution {
  private readonly core: Core
  private readonly recovery: Recovery
  private readonly applications = new Map<MethodId, Application>()
  private readonly parts: Parts

  constructor(parts: Parts) {
    this.parts = parts
    this.core = parts.core
    this.recovery = parts.recovery
    const { handlers, lanes, limits } = parts.core
    for (const protocol of handlers.protocols.values()) {
      const lane = lanes.get(protocol.lane ?? "")
      const spec = protocol.spec.world?.application
      if (spec === undefined || lane === undefined) continue
      const { bodyBytesMax, fetchChunkBytes: chunkBytes } = limits
      const digesting = { chunkBytes, sha256: parts.sha256 }
      const application = new Application({ protocol, lane, spec, bodyBytesMax, digesting })
      this.applications.set(protocol.id, application)
    }
  }

  /** Absent where the protocol has none. */
  of(protocol: Protocol): Application | undefined {
    return this.applications.get(protocol.id)
  }

  apply(application: Application, index: number, items: Batch, tentative: boolean): void {
    const { lane, protocol } = application
    const before = application.at(index)
    if (before !== undefined && !sameBatch(before, items) && !tentative) {
      return this.core.halt(`two commands were decided at ${laneText(lane.key)}/${index}`)
    }
    if (application.knows(index)) return
    if (tentative) {
      this.guard(application, () => application.propose(index, items))
      return this.execute(application)
    }
    const decided: Decided = {
      kind: "decided",
      protocol: protocol.id,
      lane: lane.key,
      index,
      items
    }
    this.core.outbox.log(decided)
    this.decided(decided)
  }

  /** Also at boot, from the log. */
  decided({ protocol, lane, index, items }: Decided): void {
    const application = this.applications.get(protocol)
    if (application?.lane.key !== lane) return
    if (index <= application.lane.applied) return application.recall(index, items)
    if (application.knows(index)) return
    application.decide(index, items)
    const instance = application.lane.open.get(index)
    if (instance !== undefined) instance.ended = !application.lane.floored
    this.execute(application)
  }

  /** Also at boot, from the log. */
  floor(entry: Floor): void {
    const lane = this.core.lanes.get(entry.lane)
    if (lane === undefined || entry.index <= lane.own) return
    this.core.outbox.log(entry)
    lane.raise(entry.index)
    for (const application of this.applications.values()) application.forget()
    this.recovery.regain(lane.key)
  }

  /** What was decided in an earlier life and takes an Effect starts now. */
  booted(): void {
    for (const application of this.applications.values()) {
      const { elsewhere, lane } = application
      if (elsewhere && lane.own > lane.applied + 1 && !application.knows(lane.applied + 1)) {
        const where = `${laneText(lane.key)}/${lane.applied}`
        this.core.halt(`the application's own state ends at ${where}, before the log begins`)
      } else this.execute(application)
    }
  }

  rollback(application: Application, index: number): void {
    this.guard(application, () => application.rollback(index))
  }

  /**
   * @param index absent: what is applied now
   * @returns false: too many reads wait
   */
  read(application: Application, call: CallName, query: unknown, index?: number): boolean {
    const { lane, reads } = application
    if (reads.length >= this.core.limits.readsMax) {
      reads.splice(0, reads.length, ...reads.filter((read) => this.wanted(read)))
    }
    if (reads.length >= this.core.limits.readsMax) return false
    application.wait({ call, query, index: index ?? lane.applied })
    this.serve(application)
    return true
  }

  /** Entries of the applications' tables. */
  size(): { readonly decided: number; readonly reads: number } {
    const size = { decided: 0, reads: 0 }
    for (const application of this.applications.values()) {
      size.decided += application.waiting
      size.reads += application.reads.length
    }
    return size
  }

  /** For a checkpoint. An Effect under way has not written the state. */
  entries(): ReadonlyArray<LogEntry> {
    return [...this.applications].flatMap(([protocol, application]) => {
      const lane = application.lane.key
      const decided = application.batches().map(([index, items]): LogEntry => {
        return { kind: "decided", protocol, lane, index, items }
      })
      if (application.elsewhere) return decided
      const { index, bytes } = this.snapshot(protocol)
      return [{ kind: "installed", protocol, lane, index, body: bytes }, ...decided]
    })
  }

  snapshot(protocol: MethodId): Snapshot {
    const application = this.applications.get(protocol)!
    this.settle(application)
    return application.snapshot()
  }

  /** A peer's bytes, which its protocol believes. */
  install({ lane, protocol: { id } }: Application, index: number, body: Uint8Array): void {
    if (index <= lane.applied) return this.core.count("install_old")
    const entry: Installed = { kind: "installed", protocol: id, lane: lane.key, index, body }
    if (!this.installed(entry)) return this.core.report("ignored", "a snapshot nobody can read")
    this.core.outbox.log(entry)
    this.parts.installed(lane.key, index)
  }

  offer(blob: Snapshot): void {
    const { outbox, limits } = this.core
    if (blob.length <= limits.fetchBytesMax) return outbox.emit({ kind: "offer", blob })
    const what = `a state of ${blob.length} bytes is not offered`
    this.core.report("fetch_failed", `${what}: at most ${limits.fetchBytesMax} are fetched`)
  }

  /** One at a time: what is wanted stands until it is here or cannot be had. */
  fetch(application: Application, wanted: WantedState, from: ReadonlyArray<NodeId>): void {
    const { lane, protocol } = application
    const { index, digest, length } = wanted
    if (index <= lane.applied) return this.core.count("install_old")
    const { wanted: before = wanted } = lane
    if (before.index !== index || !bytesEqual(before.digest, digest))
      return this.core.count("fetch_busy")
    lane.wanted = wanted
    this.core.outbox.emit({ kind: "fetch", protocol: protocol.id, digest, length, from })
  }

  fetched({ protocol, digest, result }: Extract<Input, { kind: "fetched" }>): void {
    const application = this.applications.get(protocol)
    const wanted = application?.lane.wanted
    if (application === undefined || wanted === undefined) return
    if (!bytesEqual(wanted.digest, digest)) return
    const { lane } = application
    lane.wanted = undefined
    if (typeof result !== "string") this.install(application, wanted.index, result)
    else this.core.report("fetch_failed", `${laneText(lane.key)}/${wanted.index}: ${result}`)
    if (lane.applied < wanted.index) this.parts.behind(lane.key, wanted.index + 1)
  }

  /** Also at boot, from the log. */
  installed({ protocol, lane, index, body }: Installed): boolean {
    const application = this.applications.get(protocol)
    // An application that keeps its own state may have come further than the log.
    if (application?.lane.key !== lane || index < application.lane.applied) return false
    const { token } = application
    if (!application.install(index, body)) return false
    if (token !== 0) this.core.outbox.emit({ kind: "interrupt", token })
    this.recovery.regain(lane)
    this.execute(application)
    return true
  }

  /** Takes the end of an Effect; `false`: it is of no application. */
  ran({ token, result }: Extract<Input, { kind: "ran" }>): boolean {
    const application = [...this.applications.values()].find((a) => a.token === token)
    if (application === undefined) return false
    this.guard(application, () => {
      if (typeof result !== "function") throw new Error(failureOf(result) ?? NO_END)
      this.tell(application.awaited(result))
    })
    this.execute(application)
    return true
  }

  /** Runs what is decided without a hole before it, up to where an Effect is under way. */
  private execute(application: Application): void {
    this.guard(application, () => {
      this.run(application)
      for (const { call, answer } of application.runAhead(this.parts.isEffect)) {
        if (answer.code === undefined)
          this.parts.answers.tentative(call.session, call.index, answer.body)
      }
    })
    const { lane } = application
    if (lane.floored) return
    const { own } = lane
    // A slow application delays itself first, and its lane only when it is far behind.
    const ahead = lane.applied + this.core.limits.applyAheadMax
    while (lane.own <= ahead && application.knows(lane.own)) lane.finish(lane.own)
    if (lane.own !== own) this.recovery.regain(lane.key)
  }

  private run(application: Application): void {
    const { core, parts } = this
    for (;;) {
      const { next } = application
      if (next === undefined || application.token !== 0 || core.halted) return
      const confirmed = application.confirmed(next.batch)
      for (const run of confirmed) this.tell(application.finish(run, run.result))
      if (next.item === undefined || confirmed.length > 0) {
        application.pass()
        this.serve(application)
        continue
      }
      const run = application.run(next.item)
      if (parts.isEffect(run.result)) {
        if (!core.booted) return
        const token = core.nextToken()
        application.await(token, run)
        return core.outbox.emit({ kind: "run", token, effect: run.result })
      }
      // What is durable outside would run ahead of the log.
      if (application.elsewhere) throw new Error("it returned no Effect")
      this.tell(application.finish(run, run.result))
    }
  }

  /** Answers the reads whose index is applied. */
  private serve(application: Application): void {
    const { reads, lane } = application
    while (reads.length > 0 && reads[0]!.index <= lane.applied && !this.core.halted) {
      const read = reads.shift()!
      this.settle(application)
      let answer: Answer
      try {
        answer = { body: application.read(read) }
      } catch (thrown) {
        const detail = `read of ${application.protocol.spec.name} threw: ${textOf(thrown)}`
        this.core.report("poisoned", detail)
        answer = { code: "poisoned", detail, body: NO_BYTES }
      }
      // Of a call without phases every life of the node has an answer of its own.
      const { session, index, method } = read.call
      const { call } = application.protocol.methods.get(method)!
      const kept = call === "multiparty" ? "logged" : "alone"
      this.parts.answers.answer(session, index, answer, kept)
    }
  }

  private wanted({ call: { session, index } }: Read): boolean {
    const call = this.core.sessions.call(session, index)
    return call !== undefined && call.route !== 0
  }

  /** What ran ahead of its decision is not for others to see. */
  private settle(application: Application): void {
    this.rollback(application, application.lane.applied + 1)
  }

  private tell(applied: Applied | undefined): void {
    if (applied === undefined) return
    const { call, answer } = applied
    const about = { lane: call.session, index: call.index }
    if (answer.detail !== undefined) this.core.report("poisoned", answer.detail, about)
    this.parts.answers.answer(call.session, call.index, answer, "decided")
  }

  /** An application that throws is in no state any more that others are in. */
  private guard({ lane }: Application, run: () => void): void {
    try {
      run()
    } catch (thrown) {
      const where = `${laneText(lane.key)}/${lane.applied + 1}`
      this.core.halt(`the application threw at ${where}: ${textOf(thrown)}`)
    }
  }
}

const NO_END = "its Effect ended with what is no function of the state"
