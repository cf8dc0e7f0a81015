/**
 * Votes in, directives out: counts a vote, runs the handler it is for, and does what it says.
 * Own words become own votes in the step that says them, one at a time, in order.
 */
import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { decodePlain, encodePlain } from "../base/plainData.ts"
import type { TallyGroup } from "../quorum/Tally.ts"
import type { AnswerKept, Answers } from "./answers.ts"
import type { CallName } from "./application.ts"
import type { CallState } from "./calls.ts"
import { calledAs } from "./callView.ts"
import { type Cast, messageContext, votesContext } from "./contexts.ts"
import type { Core } from "./core.ts"
import type { Step } from "./Directive.ts"
import type { Execution } from "./execution.ts"
import type { Method } from "./handlers.ts"
import { type CastVote, type Instance, type Lane, ProtocolLane, type Row } from "./lanes.ts"
import { type LaneKey, laneText } from "./laneKey.ts"
import { fits, read, votable } from "./incoming.ts"
import type { Delivered } from "./LogRecord.ts"
import type { Word } from "./Message.ts"
import { AuthorMistake, textOf } from "./authorMistake.ts"
import { EvidenceKept } from "./evidence.ts"
import { type Deed, plan } from "./plan.ts"
import type { HandlerResult } from "./Protocol.ts"
import type { Signed } from "./Proof.ts"
import type { Recovery } from "./recovery.ts"
import { type Answer, Session } from "./sessions.ts"

/**
 * On whose behalf a handler ran: an instance, a call without phases, or neither (one-way, hook).
 */
export interface Owner {
  readonly method: Method
  readonly instance: Instance | undefined
  readonly call: CallState | undefined
  /** The message that the handler of a phase was given. */
  readonly cast?: Cast
}

/** A message on its way to become a word. */
export interface Saying {
  readonly method: Method
  readonly lane: Lane
  readonly index: number
  readonly round: number
  readonly body: Uint8Array
  readonly message: object
  /** Absent: to everybody. */
  readonly to: ReadonlyArray<NodeId> | undefined
}

export class Agreement {
  readonly evidence: EvidenceKept
  readonly core: Core
  private readonly recovery: Recovery
  readonly answers: Answers
  readonly execution: Execution
  /** Own words, and others' proven ones, that are not counted yet, in order. */
  private spoken: Array<Cast> = []
  /** Counted before, and to be handed in again. */
  private woken: Array<Cast> = []
  private draining = false

  constructor(core: Core, recovery: Recovery, answers: Answers, execution: Execution) {
    this.core = core
    this.evidence = new EvidenceKept(core.limits.evidenceMax)
    this.recovery = recovery
    this.answers = answers
    this.execution = execution
  }

  /** A vote of `rank`, decoded and checked to be for this instance. */
  cast(cast: Cast): void {
    const { method, instance, row, rank, message, word } = cast
    const { body } = word
    const before = row.tally.of(rank)
    if (before !== undefined) return this.again(cast, before)
    const value = this.valueOf(method, message, body)
    if (value === undefined) return
    const kept = method.spec.signed === true ? word : undefined
    const group = row.tally.add(rank, value, { message, body, word: kept })
    if (typeof group === "string" || !this.core.booted || instance.ended) return
    this.run(cast, group)
  }

  private again(cast: Cast, before: CastVote): void {
    const { word } = cast
    const { body } = word
    if (bytesEqual(before.body, body)) return this.core.count("duplicate")
    const { method, instance, round, rank } = cast
    const author = this.core.system.member(rank)
    const [lane, index] = [instance.lane.key, instance.index]
    const kept = { author, lane, index, method: method.id, round, first: before.body, second: body }
    const first = before.word?.signature
    const signed = first && word.signature && ([first, word.signature] as const)
    const evidence = signed === undefined ? kept : { ...kept, signatures: signed }
    if (!this.evidence.add(evidence)) return this.core.count("equivocation")
    const where = `${laneText(lane)}/${index} ${method.spec.name} round ${round}`
    const about = { peer: author, lane, index }
    this.core.report("equivocation", `node ${author} said two values at ${where}`, about)
    this.core.blame(author, "equivocation", evidence)
  }

  private valueOf(method: Method, message: object, body: Uint8Array) {
    if (method.keyed.agreeOn === undefined) return body
    try {
      return method.keyed.agreeOn(message)
    } catch {
      this.core.count("agree_on_threw")
      return undefined
    }
  }

  private run(cast: Cast, group: TallyGroup<CastVote>): void {
    const { method, instance } = cast
    const context = method.tallies ? votesContext(cast, group) : messageContext(cast)
    this.invoke({ method, instance, call: undefined, cast }, context)
  }

  /** Runs a handler; what it says is done at once, unless `then` has another use for it. */
  invoke(owner: Owner, context: object, then?: (result: unknown) => void): void {
    let result: unknown
    try {
      result = owner.method.run(context)
    } catch (thrown) {
      return this.poison(owner, thrown)
    }
    if (then === undefined) this.act(owner, result as HandlerResult)
    else then(result)
  }

  /**
   * Does what a handler returned, or nothing of it: directives are checked before the first is
   * done.
   */
  act(owner: Owner, result: HandlerResult): void {
    const { protocol } = owner.method
    const turnEnd = protocol.hooks.get("turnEnd")
    if (turnEnd !== undefined && turnEnd !== owner.method) this.core.ran.add(protocol)
    let deeds: ReadonlyArray<Deed>
    try {
      deeds = plan(this, owner, result as Step)
    } catch (thrown) {
      return this.poison(owner, thrown)
    }
    for (const deed of deeds) {
      if (this.core.halted) return
      deed()
    }
    this.drain()
  }

  /** The final answer to the named call, or to the owner's own. */
  answer(owner: Owner, named: CallName | undefined, answer: Answer): void {
    const at = named ?? this.ownCall(owner)
    if (at !== undefined)
      this.answers.answer(at.session, at.index, answer, answerKept(owner, named))
  }

  tentative(owner: Owner, named: CallName | undefined, body: Uint8Array): void {
    const at = named ?? this.ownCall(owner)
    if (at !== undefined) this.answers.tentative(at.session, at.index, body)
  }

  /** What was parked is handed in again. */
  wake(casts: ReadonlyArray<Cast>): void {
    this.woken.push(...casts)
  }

  /** What another member signed counts like its word, once the list that says so is done. */
  count(word: Signed): void {
    const { core } = this
    const method = core.handlers.byId.get(word.method)
    const rank = core.system.rank(word.author)
    if (method?.spec.signed !== true || !fits(method, word)) return core.count("no_proof")
    if (rank === core.rank) return
    const lane = core.lane(word.lane)
    const instance = lane && votable(lane, word.index)
    if (rank < 0 || instance === undefined) return core.count("proof_dropped")
    const message = read(method, word)
    if (typeof message === "string") return core.count(message)
    const { round } = word
    const row = instance.row(method.slot, round, rank, core)
    if (row === undefined) return core.count("old_round")
    const kept: Word = { ...word, kind: "word", position: 0, ackedBelow: 0 }
    this.spoken.push({ method, instance, row, round, rank, message, word: kept })
  }

  /**
   * Own words are counted, and woken messages handed in, after the list that says so: a handler
   * sees all of its step done.
   */
  private drain(): void {
    if (this.draining) return
    this.draining = true
    const { limits, system } = this.core
    // All that is parked may be woken, and be woken once more: what is left then goes in circles.
    for (let left = CASTS_MAX + 2 * system.size * limits.parkedMax; ; left--) {
      const spoken = this.spoken.shift()
      const next = spoken ?? this.woken.shift()
      if (next === undefined) break
      const { method, instance, round, rank } = next
      if (instance.ended || this.core.halted) continue
      // A higher round was said since.
      if (instance.row(method.slot, round, rank, this.core) !== next.row) continue
      if (left <= 0) {
        const endless = new AuthorMistake("wakes itself, or speaks to itself, without end")
        this.poison({ method, instance, call: undefined }, endless)
        continue
      }
      if (spoken !== undefined) this.cast(next)
      else this.handIn(next)
    }
    this.draining = false
  }

  private handIn(cast: Cast): void {
    const group = cast.row.tally.groups.find(({ voters }) => voters.has(cast.rank))
    if (group !== undefined) this.run(cast, group)
  }

  say({ lane, index, round, method, body, message, to }: Saying): void {
    const { core } = this
    if (lane.finished(index)) return core.count("late_forward")
    const instance = lane.instance(index)
    const row = instance.row(method.slot, round, core.rank, core)
    if (row === undefined) return core.count("old_round")
    if (row.said !== undefined) {
      if (!bytesEqual(row.said.body, body)) core.count("said_other")
      return
    }
    const word: Word = {
      kind: "word",
      position: core.says.last + 1,
      lane: lane.key,
      index,
      method: method.id,
      round,
      ackedBelow: lane instanceof Session ? lane.ackedBelow : 0,
      body,
      ...(to && { to })
    }
    row.said = word
    core.says.push(word)
    core.outbox.log(word)
    if (to !== undefined && !to.includes(core.self)) return
    this.spoken.push({ method, instance, row, round, rank: core.rank, message, word })
  }

  /** At boot: what was said stands, and is this node's own vote again. */
  restore(method: Method, instance: Instance, row: Row, word: Word): void {
    row.said = word
    if (word.to !== undefined && !word.to.includes(this.core.self)) return
    let message: object
    try {
      message = method.spec.input.decode(word.body)
    } catch (thrown) {
      return this.core.halt(`${method.spec.fullName} cannot read its log: ${textOf(thrown)}`)
    }
    const { round } = word
    this.cast({ method, instance, row, round, rank: this.core.rank, message, word })
  }

  private ownCall(owner: Owner): { readonly session: LaneKey; readonly index: number } | undefined {
    const { call, instance } = owner
    if (call !== undefined) return { session: call.session.key, index: call.index }
    if (!(instance?.lane instanceof Session)) {
      this.core.count("reply_without_call")
      return undefined
    }
    return { session: instance.lane.key, index: instance.index }
  }

  /** What a handler stored, or noted. */
  write(method: Method, body: Uint8Array, logged: boolean): void {
    if (logged) this.core.outbox.log({ kind: "stored", protocol: method.protocol.id, body })
    this.evolve(method, body, logged)
  }

  /** The one writer of state. A throw would leave it half written, so the node stops. */
  evolve({ protocol }: Pick<Method, "protocol">, body: Uint8Array, logged: boolean): void {
    const { spec } = protocol
    // A record for each state: they may keep parts of it.
    const evolved = (state: unknown): void =>
      spec.world?.evolve?.(state, spec.world.record?.decode(body))
    try {
      const apart = protocol.logged !== protocol.state
      if (!logged && !apart) protocol.logged = decodePlain(encodePlain(protocol.state))
      evolved(protocol.state)
      if (logged && apart) evolved(protocol.logged)
    } catch (thrown) {
      this.core.halt(`evolve of ${spec.name} threw: ${textOf(thrown)}`)
    }
  }

  deliver({ spec, protocol: { id } }: Method, instance: Instance, body: Uint8Array): void {
    const { lane, index } = instance
    const call = lane instanceof Session ? calledAs(instance, spec.replies) : ""
    this.delivered({ kind: "delivered", protocol: id, lane: lane.key, index, call, body })
  }

  /** A session's instance ends with its call's answer, which follows. */
  delivered(entry: Delivered): void {
    const { core } = this
    core.outbox.log(entry)
    core.outbox.emit({ kind: "deliver", delivered: entry })
    const lane = core.lanes.get(entry.lane)
    if (lane === undefined) return
    this.finish(lane, entry.index)
  }

  private finish(lane: ProtocolLane, index: number): void {
    const { own } = lane
    lane.finish(index)
    if (lane.own !== own) this.recovery.regain(lane.key)
  }

  /** A handler threw: its instance is silent on this node from now on, and nothing else is hurt. */
  poison(owner: Owner, thrown: unknown): void {
    const { instance, call, method } = owner
    const mistake = thrown instanceof AuthorMistake ? thrown.message : `threw: ${textOf(thrown)}`
    const detail = `${method.spec.fullName} ${mistake}`
    const at = call ?? instance
    const lane = call?.session ?? instance?.lane
    this.core.report("poisoned", detail, at && lane && { lane: lane.key, index: at.index })
    if (at === undefined) return
    if (lane instanceof ProtocolLane && instance !== undefined) {
      instance.ended = true
      // In other lanes it goes with the floor, or with a snapshot that passes it.
      if (lane.standing || lane.floored || lane.key === method.protocol.lane) return
      this.finish(lane, instance.index)
      // For all lives: members are told that their words are done.
      this.core.outbox.log(lane.kept)
      return
    }
    const answer: Answer = { code: "poisoned", detail, body: NO_BYTES }
    this.answers.answer(lane!.key, at.index, answer, answerKept(owner))
  }
}

/** Own words that one step counts, beside what it wakes: far more than any protocol says. */
const CASTS_MAX = 65_536

/** @param named the call of another instance, that a handler answers */
const answerKept = ({ method }: Owner, named?: CallName): AnswerKept => {
  const called = named === undefined ? method : method.protocol.methods.get(named.method)
  return called?.call === "rpc" || called?.call === "quorum" ? "alone" : "logged"
}
