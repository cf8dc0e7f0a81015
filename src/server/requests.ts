/** Clients' calls at this node: admitted, run, answered at most once. */
import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { Agreement, Owner } from "./agreement.ts"
import type { CallAt } from "./answers.ts"
import { failureOf } from "./authorMistake.ts"
import type { CallState } from "./calls.ts"
import { entryContext, oneWayContext } from "./contexts.ts"
import type { Core } from "./core.ts"
import type { EarlyVote, EarlyVotes } from "./early.ts"
import type { Method } from "./handlers.ts"
import type { Input, Route } from "./Input.ts"
import type { Instance } from "./lanes.ts"
import { CALL_INDEX_MAX, type LaneKey, openedMs } from "./laneKey.ts"
import type { OneWay, Reply, Request } from "./Message.ts"
import type { HandlerResult, IsEffect } from "./Protocol.ts"
import type { Recovery } from "./recovery.ts"
import type { Answer, Session } from "./sessions.ts"

export class Requests {
  private readonly core: Core
  private readonly recovery: Recovery
  private readonly agreement: Agreement
  private readonly isEffect: IsEffect
  /** Hands the early votes of a session instance over that a request opens. */
  private readonly opened: (instance: Instance, early: ReadonlyArray<EarlyVote>) => void
  private readonly early: EarlyVotes
  /** On whose behalf Effects are under way, by token. */
  private readonly runs = new Map<number, Owner>()
  /** Open calls that end with their clients' interest, and some that have ended since a tick. */
  private readonly abandonable = new Set<CallState>()

  constructor(parts: {
    readonly core: Core
    readonly recovery: Recovery
    readonly agreement: Agreement
    readonly isEffect: IsEffect
    readonly opened: (instance: Instance, early: ReadonlyArray<EarlyVote>) => void
    readonly early: EarlyVotes
  }) {
    this.core = parts.core
    this.recovery = parts.recovery
    this.agreement = parts.agreement
    this.isEffect = parts.isEffect
    this.opened = parts.opened
    this.early = parts.early
  }

  get running(): number {
    return this.runs.size
  }

  /**
   * A client's request that another member showed: it opens its call as if the client had sent it,
   * but makes no room for its session, and nobody waits for it yet. What is known it changes not.
   */
  relayed(request: Request): void {
    const session = this.core.sessions.get(request.session)
    if (session?.open.get(request.index)?.call === undefined) this.request(NOBODY, request)
  }

  request(route: Route, request: Request, client = ""): void {
    const method = this.core.handlers.byId.get(request.method)
    const kind = method?.call
    if (method === undefined || kind === "phase" || kind === "unicast" || kind === "multicast") {
      return this.refuse(route, request, "unknown_method")
    }
    const { epoch } = this.core
    if (epoch.state === "announced") return this.refuse(route, request, "not_ready")
    if (request.forged === true) return this.refuse(route, request, "bad_signature")
    const session = this.admit(route, request, client, kind !== "multiparty")
    if (session === undefined) return
    const { index } = request
    const answer = session.answers.get(index)
    if (answer !== undefined) return this.repeat(route, request, answer)
    if (index < session.ackedBelow) return this.refuse(route, request, "already_acknowledged")
    if (index >= Math.min(session.ackedBelow + session.window, CALL_INDEX_MAX + 1)) {
      return this.refuse(route, request, "window")
    }
    const known = session.running.get(index) ?? session.open.get(index)?.call
    if (known === undefined && epoch.state === "over" && !session.open.has(index)) {
      return this.never(route, request, method, session)
    }
    // A notice, not a refusal: calls under way must be able to end (docs/PROTOCOL.md, 14).
    if (epoch.state !== "active") {
      this.refuse(route, request, "epoch_closing", { body: epoch.next })
    }
    if (known === undefined) return this.first(route, request, method, session)
    if (!bytesEqual(known.body, request.body) || known.method !== method) {
      return this.refuse(route, request, "conflict")
    }
    // A link that took the place of another has the higher route, and copies that were under way
    // over the older one come later: who sent them is gone from there.
    known.route = Math.max(known.route, route)
    known.dueMs = this.dueMs(request)
    const instance = session.open.get(index)
    if (instance !== undefined) this.agreement.answers.tell(instance)
    if (known.token !== 0 || !(known.refused || this.copiesRun(method))) return
    this.enter(known, instance)
  }

  /**
   * The epoch is over here. That this node takes no part in the call is its final word: where a
   * quorum says so none can run it here any more, and the client may make it elsewhere.
   */
  private never(route: Route, request: Request, method: Method, session: Session): void {
    const answer: Answer = { code: "epoch_ended", body: NO_BYTES }
    const kept = method.call === "multiparty" ? "logged" : "alone"
    this.agreement.answers.answer(session.key, request.index, answer, kept)
    this.repeat(route, request, answer)
  }

  /**
   * Without protocol lanes an entry handler sees the first copy only, and those after a refusal: it
   * has nothing else to say.
   */
  private copiesRun(method: Method): boolean {
    return method.call === "multiparty" && Object.keys(method.protocol.lanes).length > 0
  }

  private admit(
    route: Route,
    request: Request,
    client: string,
    alone: boolean
  ): Session | undefined {
    const { sessions, limits, atMs } = this.core
    const known = sessions.get(request.session, alone)
    if (known !== undefined) {
      if (known.client.name === "" && client !== "") known.belongsTo(sessions.client(client))
      if (request.ackedBelow <= request.index) this.recovery.acknowledge(known, request.ackedBelow)
      return known
    }
    if (!sessions.expired(request.session)) {
      if (openedMs(request.session) > atMs + limits.sessionAheadMsMax) {
        this.refuse(route, request, "too_early")
        return undefined
      }
      if (sessions.floods(client, atMs)) {
        const within = `${limits.sessionsPerClientMax} in ${limits.sessionEvictAgeMs} ms`
        const detail = `this client opens too many sessions: at most ${within}`
        this.refuse(route, request, "overloaded", { detail })
        return undefined
      }
      if (sessions.full && route !== NOBODY) this.evictFor(request.session)
    }
    const session = sessions.open(request.session, alone)
    if (session === undefined) {
      if (sessions.expired(request.session)) this.expired(route, request)
      else {
        const detail = `${limits.sessionsMax} sessions are open, all of them new`
        this.refuse(route, request, "overloaded", { detail })
      }
      return undefined
    }
    session.sinceMs = atMs
    if (client !== "") session.belongsTo(sessions.client(client))
    if (request.ackedBelow <= request.index) this.recovery.acknowledge(session, request.ackedBelow)
    return session
  }

  /** Only a client's own request makes room: what peers say evicts nobody. */
  private evictFor(newcomer: LaneKey): void {
    const { core } = this
    const horizonMs = core.sessions.evictable(newcomer, core.atMs)
    if (horizonMs === undefined) return
    core.outbox.log({ kind: "horizon", horizonMs })
    core.outbox.emit({ kind: "horizon", horizonMs })
    for (const session of core.sessions.raise(horizonMs)) {
      core.count("session_evicted")
      this.early.forget(session.key)
      for (const instance of session.open.values()) {
        instance.ended = true
        core.count("instance_evicted")
      }
      for (const call of session.calls()) {
        this.interrupt(call)
        if (call.route !== 0) this.expired(call.route, { session: session.key, index: call.index })
      }
    }
  }

  private expired(route: Route, call: CallAt): void {
    this.refuse(route, call, "session_expired", { horizonMs: this.core.sessions.horizonMs })
  }

  private first(route: Route, request: Request, method: Method, session: Session): void {
    const { core } = this
    const full = this.full(method, session, request)
    if (full !== undefined) return this.refuse(route, request, "overloaded", { detail: full })
    let message: object
    try {
      message = method.spec.input.decode(request.body)
    } catch {
      core.count("malformed")
      return this.refuse(route, request, "malformed")
    }
    const { index } = request
    const call: CallState = {
      session,
      index,
      method,
      body: request.body,
      message,
      proof: request.proof,
      route,
      copies: 0,
      refused: false,
      token: 0,
      dueMs: this.dueMs(request)
    }
    session.begin(call)
    if (method.call !== "multiparty") {
      return this.enter(call, undefined)
    }
    const early = session.open.has(index) ? NO_VOTES : this.early.take(session.key, index)
    const instance = session.instance(index)
    instance.call = call
    if (method.spec.abandon === true) this.abandonable.add(call)
    this.agreement.answers.tell(instance)
    this.enter(call, instance)
    this.opened(instance, early)
  }

  /** What a new call would make grow and has no room. */
  private full(method: Method, session: Session, request: Request): string | undefined {
    const { limits, sessions, says, logFull } = this.core
    const bytes = request.body.length
    const { client } = session
    if (client.calls >= limits.callsPerClientMax)
      return `${client.calls} calls of this client are open`
    if (sessions.crowded && !session.open.has(request.index))
      return `${sessions.opened} calls of all clients are open`
    if (client.bytes + bytes > limits.clientBytesMax) {
      return `${client.bytes} bytes of this client are kept: calls and their answers`
    }
    if (!sessions.fits(bytes)) return `${sessions.bytes} bytes of all clients' calls are kept`
    if (method.call !== "multiparty") {
      return this.runs.size >= limits.runsMax ? `${limits.runsMax} handlers run` : undefined
    }
    if (logFull) return "the log is full"
    return says.siftable >= limits.tailBytesMax ? "members have not taken what was said" : undefined
  }

  private enter(call: CallState, instance: Instance | undefined): void {
    call.copies++
    call.refused = false
    this.run({ method: call.method, instance, call }, entryContext(call.method, call))
  }

  private run(owner: Owner, context: object): void {
    this.agreement.invoke(owner, context, (result) => this.settle(owner, result))
  }

  private settle(owner: Owner, result: unknown): void {
    if (!this.isEffect(result)) return this.agreement.act(owner, result as HandlerResult)
    if (this.runs.size >= this.core.limits.runsMax) {
      return this.agreement.answers.refuse(owner.call, "overloaded")
    }
    const token = this.core.nextToken()
    if (owner.call !== undefined) owner.call.token = token
    this.runs.set(token, owner)
    this.core.outbox.emit({ kind: "run", token, effect: result })
  }

  ran(input: Extract<Input, { kind: "ran" }>): void {
    const owner = this.runs.get(input.token)
    if (owner === undefined) return
    this.runs.delete(input.token)
    if (owner.call !== undefined) owner.call.token = 0
    if (owner.instance?.ended === true) return
    const failure = failureOf(input.result)
    if (failure !== undefined) return this.agreement.poison(owner, new Error(failure))
    this.agreement.act(owner, input.result as HandlerResult)
  }

  oneWay(message: OneWay): void {
    const { core } = this
    if (!core.epoch.runs) return core.count("one_way_refused")
    const method = core.handlers.byId.get(message.method)
    if (method?.call !== "unicast" && method?.call !== "multicast")
      return core.count("unknown_method")
    if (message.forged === true) return core.count("bad_signature")
    if (this.runs.size >= core.limits.runsMax) return core.count("one_way_overloaded")
    const owner: Owner = { method, instance: undefined, call: undefined }
    let decoded: object
    try {
      decoded = method.spec.input.decode(message.body)
    } catch {
      return core.count("malformed")
    }
    this.run(owner, oneWayContext(method, decoded))
  }

  /** Ends the client's interest, not the group's agreement. */
  cancel(key: LaneKey, index: number): void {
    const call = this.core.sessions.call(key, index)
    if (call !== undefined) this.abandon(call, "cancelled")
  }

  /** Ends what nobody waits for any more: called at every tick. */
  expire(): void {
    for (const { call } of this.runs.values()) {
      if (call !== undefined && call.dueMs > 0 && call.dueMs <= this.core.atMs) {
        this.abandon(call, "deadline_exceeded")
      }
    }
    for (const call of this.abandonable) {
      const { session, index, dueMs } = call
      if (session.open.get(index)?.call !== call) this.abandonable.delete(call)
      else if (dueMs > 0 && dueMs <= this.core.atMs) this.abandon(call, "deadline_exceeded")
    }
  }

  private abandon(call: CallState, code: "cancelled" | "deadline_exceeded"): void {
    const ends = call.method.spec.abandon === true
    call.route = 0
    if (!ends && call.token === 0) return
    this.interrupt(call)
    if (!ends && call.method.call === "multiparty") return
    // A copy that is still on its way must not run it again.
    this.agreement.answers.answer(
      call.session.key,
      call.index,
      { code, body: NO_BYTES },
      ends ? "logged" : "alone"
    )
  }

  private interrupt(call: CallState): void {
    if (call.token === 0) return
    this.core.outbox.emit({ kind: "interrupt", token: call.token })
    this.runs.delete(call.token)
    call.token = 0
  }

  private dueMs(request: Request): number {
    return request.deadlineMs === 0 ? 0 : this.core.atMs + request.deadlineMs
  }

  private repeat(route: Route, request: Request, answer: Answer): void {
    const ended = answer.code === "epoch_ended" && { body: this.core.epoch.next }
    this.agreement.answers.send(route, request, { ...answer, ...ended })
  }

  private refuse(route: Route, call: CallAt, code: ErrorCode, more: Partial<Reply> = {}): void {
    this.core.count(code)
    this.agreement.answers.send(route, call, { body: NO_BYTES, code, ...more })
  }
}

const NOBODY: Route = 0
const NO_VOTES: ReadonlyArray<EarlyVote> = []
