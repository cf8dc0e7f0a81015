/**
 * Runs what is decided, on each protocol's application: the vote never waits for it, up to
 * `applyAheadMax` indexes.
 */
import type { Application, Applied, Batch } from "./application.ts"
import { sameBatch } from "./application.ts"
import type { Core } from "./core.ts"
import type { Input } from "./Input.ts"
import { laneText } from "./laneKey.ts"
import type { Decided, Floor } from "./LogRecord.ts"
import type { MethodId } from "./Message.ts"
import { textOf } from "./plan.ts"
import type { IsEffect } from "./Protocol.ts"
import type { Recovery } from "./recovery.ts"

export class Execution {
  private readonly core: Core
  private readonly recovery: Recovery
  private readonly applications: ReadonlyMap<MethodId, Application>
  private readonly isEffect: IsEffect
  private readonly answer: (applied: Applied) => void

  constructor(parts: {
    readonly core: Core
    readonly recovery: Recovery
    readonly applications: ReadonlyMap<MethodId, Application>
    readonly isEffect: IsEffect
    readonly answer: (applied: Applied) => void
  }) {
    this.core = parts.core
    this.recovery = parts.recovery
    this.applications = parts.applications
    this.isEffect = parts.isEffect
    this.answer = parts.answer
  }

  decide(protocol: MethodId, index: number, items: Batch): void {
    const application = this.applications.get(protocol)!
    const { lane } = application
    const before = application.at(index)
    if (before !== undefined && !sameBatch(before, items)) {
      return this.core.halt(`two commands were decided at ${laneText(lane.key)}/${index}`)
    }
    if (application.knows(index)) return
    const decided: Decided = { kind: "decided", protocol, lane: lane.key, index, items }
    this.core.outbox.log(decided)
    this.decided(decided)
  }

  /** Also at boot, from the log. */
  decided({ protocol, lane, index, items }: Decided): void {
    const application = this.applications.get(protocol)
    if (application?.lane.key !== lane || application.knows(index)) return
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
    for (const application of this.applications.values()) this.execute(application)
  }

  /** Takes the end of an Effect; `false`: it is of no application. */
  ran({ token, result }: Extract<Input, { kind: "ran" }>): boolean {
    const application = [...this.applications.values()].find((a) => a.token === token)
    if (application === undefined) return false
    this.guard(application, () => {
      if (typeof result !== "function") throw new Error(failureOf(result))
      this.tell(application.awaited(result))
    })
    this.execute(application)
    return true
  }

  /** Runs what is decided without a hole before it, up to where an Effect is under way. */
  private execute(application: Application): void {
    this.guard(application, () => this.run(application))
    const { lane } = application
    if (lane.floored) return
    const { own } = lane
    // A slow application delays itself first, and its lane only when it is far behind.
    const ahead = lane.applied + this.core.limits.applyAheadMax
    while (lane.own <= ahead && application.knows(lane.own)) lane.finish(lane.own)
    if (lane.own !== own) this.recovery.regain(lane.key)
  }

  private run(application: Application): void {
    const { core } = this
    for (;;) {
      const { next } = application
      if (next === undefined || application.token !== 0 || core.halted) return
      if (next.item === undefined) {
        application.pass()
        continue
      }
      const run = application.run(next.item)
      if (!this.isEffect(run.result)) {
        this.tell(application.finish(run, run.result))
        continue
      }
      if (!core.booted) return
      const token = core.nextToken()
      application.await(token, run)
      core.outbox.emit({ kind: "run", token, effect: run.result })
    }
  }

  private tell(applied: Applied | undefined): void {
    if (applied !== undefined) this.answer(applied)
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

const failureOf = (result: unknown): string =>
  typeof result === "object" && result !== null && "failure" in result
    ? String(result.failure)
    : "its Effect ended with what is no function of the state"
