/**
 * The engine of one node: a state machine. `step` takes what happened and returns what to do,
 * plain data. No clock, no randomness, no IO, no promise. docs/ARCHITECTURE.md has the why.
 */
import { assert, unreachable } from "../base/assert.ts"
import type { Sha256 } from "../base/blob.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { Agreement } from "./agreement.ts"
import { Answers } from "./answers.ts"
import { checkpoint } from "./checkpoint.ts"
import { Core, type Counters } from "./core.ts"
import type { Evidence } from "./evidence.ts"
import { Execution } from "./execution.ts"
import { type EarlyVote, EarlyVotes } from "./early.ts"
import { EpochLife } from "./epoch.ts"
import { Handlers, type Method, type Sign, type Views } from "./handlers.ts"
import { countable, fits, read, votable } from "./incoming.ts"
import { Hooks } from "./hooks.ts"
import type { Input } from "./Input.ts"
import { type Instance, ProtocolLane, viewOf } from "./lanes.ts"
import { type LaneKey, laneText } from "./laneKey.ts"
import type { LogRecord } from "./LogRecord.ts"
import type { PeerMessage, Word } from "./Message.ts"
import type { Fault, Output } from "./Output.ts"
import type { IsEffect, ProtocolSpec } from "./Protocol.ts"
import { Recovery } from "./recovery.ts"
import { Replay } from "./replay.ts"
import { Requests } from "./requests.ts"
import { Says } from "./says.ts"
import { Session, Sessions } from "./sessions.ts"
import { Sought } from "./sought.ts"

export interface EngineOptions {
  readonly self: NodeId
  readonly system: System
  readonly protocols: ReadonlyArray<ProtocolSpec>
  readonly limits: Limits
  readonly isEffect: IsEffect
  /** Signs an own word for a proof; absent where no phase is signed. */
  readonly sign?: Sign
  /** For the digests of snapshots; absent: the one that needs no host. */
  readonly sha256?: Sha256
  /** Other epochs of the group come before this one: it begins announced, not active. */
  readonly announced?: boolean
}

export class Engine {
  private readonly core: Core
  private readonly recovery: Recovery
  private readonly agreement: Agreement
  private readonly requests: Requests
  private readonly early: EarlyVotes
  private readonly sought: Sought
  /** Public for what tells protocols of losses and installs. */
  readonly hooks: Hooks
  private readonly execution: Execution
  private readonly replay: Replay
  /** Instances that members named when no more fitted, by lane and index. */
  private readonly crowdedOut = new Map<string, Word>()

  /** @throws ProtocolInvalid */
  constructor(options: EngineOptions) {
    const { self, system, limits, protocols, sign } = options
    assert(system.rank(self) >= 0, "a node is a member of its group")
    const lanes = new Map<LaneKey, ProtocolLane>()
    const views: Views = {
      lane: (name) => viewOf(() => lanes.get(name)!),
      snapshot: (protocol) => this.execution.snapshot(protocol)
    }
    const { bodyBytesMax } = limits
    const handlers = new Handlers({ self, system, bodyBytesMax }, protocols, limits, views, sign)
    for (const [name, lane] of protocols.flatMap((p) => Object.entries(p.world?.lanes ?? {}))) {
      lanes.set(name, new ProtocolLane(name, lane))
    }
    const sessions = new Sessions(limits, system.size)
    const says = new Says()
    const epoch = new EpochLife(options.announced === true)
    this.core = new Core({ self, system, limits, handlers, sessions, lanes, says, epoch })
    this.recovery = new Recovery(this.core)
    const answers = new Answers(this.core, this.recovery)
    this.execution = new Execution({
      core: this.core,
      recovery: this.recovery,
      isEffect: options.isEffect,
      answers,
      sha256: options.sha256,
      behind: (lane, own) => this.hooks.ofLane("behind", lane, { own }),
      installed: (lane, index) => this.hooks.ofLane("installed", lane, { index })
    })
    this.agreement = new Agreement(this.core, this.recovery, answers, this.execution)
    const { core, recovery, agreement, execution } = this
    this.replay = new Replay({ core, recovery, agreement, execution })
    this.hooks = new Hooks(this.core, this.agreement)
    const { gone } = recovery
    gone.onBehind = (lane, own) => this.hooks.ofLane("behind", lane, { own })
    gone.onLost = (instance) => answers.lost(instance)
    this.early = new EarlyVotes(limits, system.size)
    this.sought = new Sought(limits, system.size)
    this.requests = new Requests({
      core: this.core,
      recovery: this.recovery,
      agreement: this.agreement,
      isEffect: options.isEffect,
      early: this.early,
      opened: (instance, early) => this.opened(instance, early)
    })
  }

  step(input: Input): ReadonlyArray<Output> {
    if (this.core.halted) return NOTHING
    if (input.kind !== "replay") this.core.atMs = input.atMs
    this.dispatch(input)
    for (let next = this.core.admitted.shift(); next !== undefined; ) {
      if (!this.core.halted) this.requests.relayed(next)
      next = this.core.admitted.shift()
    }
    return this.core.outbox.take()
  }

  private dispatch(input: Input): void {
    const { recovery, requests, core } = this
    assert(core.booted !== (input.kind === "replay" || input.kind === "booted"), "boot comes first")
    switch (input.kind) {
      case "replay":
        return this.replay.record(input.record)
      case "booted":
        core.sessions.raise(input.horizonMs)
        core.booted = true
        core.outbox.emit({ kind: "horizon", horizonMs: core.sessions.horizonMs })
        recovery.epochStands()
        this.execution.booted()
        return this.hooks.all("booted")
      case "peerUp":
        return recovery.up(input.peer, input.storeId)
      case "peerDown":
        return recovery.down(input.peer)
      case "message":
        return this.message(input.from, input.message)
      case "request":
        return requests.request(input.route, input.request, input.client)
      case "oneWay":
        return requests.oneWay(input.message)
      case "cancel":
        return requests.cancel(input.session, input.index)
      case "ran":
        return void (this.execution.ran(input) || requests.ran(input))
      case "fetched":
        return this.execution.fetched(input)
      case "logFull":
        core.logFull = input.full
        return
      case "epoch":
        if (recovery.epoch(input.standing) && core.epoch.state === "closing")
          this.hooks.all("epoch")
        return
      case "turnEnd":
        this.hooks.turn()
        return recovery.turn(false)
      case "tick":
        requests.expire()
        this.askShed()
        if (this.crowdedOut.size > 0) this.letIn()
        this.hooks.turn()
        return recovery.turn(true)
      default:
        return unreachable(input)
    }
  }

  private message(from: NodeId, message: PeerMessage): void {
    switch (message.kind) {
      case "word":
        return this.word(from, message)
      case "want":
        return this.recovery.want(from, message)
      case "resume":
        return this.recovery.resume(from, message)
      case "cut":
        return this.recovery.cut(from, message)
      case "behind":
        return this.recovery.behind(from, message)
      case "wantLane":
        return this.recovery.wantLane(from, message)
      case "taken":
        return this.recovery.taken(from, message)
      case "epoch":
        return this.core.outbox.emit({ kind: "epoch", of: from, standing: message })
      default:
        return unreachable(message)
    }
  }

  /** A peer's word: dropped and counted, kept early, or counted as its vote. */
  private word(from: NodeId, word: Word): void {
    const { core } = this
    const rank = core.system.rank(from)
    if (rank < 0 || rank === core.rank) return core.count("no_peer")
    if (!countable(word)) return this.wrong(from, "malformed")
    const method = core.handlers.byId.get(word.method)
    const known = method !== undefined && fits(method, word)
    const first = this.recovery.took(from, word, known && !method.standing)
    if (!known) return this.wrong(from, "malformed")
    if (word.forged === true) return this.forged(from, method, word)
    if (word.author !== undefined && word.author !== from) return this.relayed(rank, method, word)
    const lane = core.lane(word.lane)
    if (lane === undefined) return this.stranger(rank, word, first)
    if (lane instanceof Session) this.spread(lane, rank, word.ackedBelow)
    if (lane.finished(word.index)) {
      this.recovery.late(from, lane)
      return core.count("late_word")
    }
    if (!lane.inWindow(word.index)) {
      lane.drop(rank, word.index)
      return core.count("above_window")
    }
    const instance = lane.open.get(word.index)
    if (instance !== undefined) return this.vote(instance, method, rank, word)
    if (lane instanceof Session) return this.keep(rank, word, first)
    this.vote(lane.instance(word.index), method, rank, word)
  }

  /** Counted, and blamed on who said it: no correct member does. */
  private wrong(node: NodeId, fault: Fault): void {
    this.core.count(fault)
    this.core.blame(node, fault)
  }

  private forged(from: NodeId, method: Method, word: Word): void {
    const where = `${laneText(word.lane)}/${word.index} ${method.spec.name} round ${word.round}`
    const author = word.author === undefined || word.author === from ? "" : `, for ${word.author}`
    const { lane, index } = word
    this.core.report("bad_signature", `node ${from}${author} at ${where}`, {
      peer: from,
      lane,
      index
    })
    this.core.blame(from, "bad_signature")
  }

  /**
   * Another member's word, which its signature makes that member's vote. The sender answers for the
   * position alone: it is neither asked again for the word nor kept early.
   */
  private relayed(sender: number, method: Method, word: Word): void {
    const { core } = this
    if (method.spec.signed !== true) {
      return this.wrong(core.system.member(sender), "unsigned_author")
    }
    const rank = core.system.rank(word.author!)
    const lane = core.lane(word.lane)
    const instance = lane === undefined ? undefined : votable(lane, word.index)
    if (rank < 0 || rank === core.rank || rank === sender) return core.count("no_author")
    if (instance === undefined) return core.count("relayed_dropped")
    this.vote(instance, method, rank, word)
  }

  /**
   * Members tell each other how far a client has acknowledged; believed from `oneHonest` of them.
   */
  private spread(session: Session, rank: number, ackedBelow: number): void {
    if (ackedBelow <= session.ackedByPeer[rank]!) return
    session.ackedByPeer[rank] = ackedBelow
    if (ackedBelow <= session.ackedBelow) return
    const trusted = this.core.system.oneHonest.needed
    const ahead = session.ackedByPeer.filter((below) => below > session.ackedBelow)
    if (ahead.length < trusted) return
    const below = ahead.sort((a, b) => b - a)[trusted - 1]!
    this.recovery.acknowledge(session, below)
  }

  /** A word of a session that this node does not know yet. */
  private stranger(rank: number, word: Word, first: boolean): void {
    if (this.core.sessions.expired(word.lane)) return this.core.count("expired_word")
    this.keep(rank, word, first)
  }

  /** @param first it is not said again */
  private keep(rank: number, word: Word, first: boolean): void {
    const { core, early } = this
    const senders = early.keep(rank, word)
    if (senders === undefined) return core.count("duplicate")
    if (core.system.oneHonest.has(senders) && this.open(word)) return
    if (first && this.recovery.shedsBut(rank)) this.sought.add(rank, word.lane, word.index)
    for (const { position } of early.overflow(rank)) {
      core.count("early_dropped")
      this.recovery.shed(core.system.member(rank), position)
    }
  }

  /** Enough members name the instance, so that it is no invention of a faulty one. */
  private open(word: Word): boolean {
    const session = this.core.sessions.open(word.lane)
    if (session === undefined) return false
    if (this.core.sessions.crowded && !session.open.has(word.index)) return this.waits(word)
    const early = this.early.take(word.lane, word.index)
    for (const { rank, word: kept } of early) this.spread(session, rank, kept.ackedBelow)
    if (session.finished(word.index)) return true
    if (session.inWindow(word.index)) this.opened(session.instance(word.index), early)
    else for (const { rank } of early) session.drop(rank, word.index)
    return true
  }

  /** There is no room for the instance: it opens at a tick that finds some. */
  private waits(word: Word): false {
    const { core, crowdedOut } = this
    if (crowdedOut.size >= core.limits.earlyVotesMax) core.count("named_dropped")
    else crowdedOut.set(`${word.lane}/${word.index}`, word)
    return false
  }

  private letIn(): void {
    const waiting = [...this.crowdedOut.values()]
    this.crowdedOut.clear()
    for (const word of waiting) if (!this.core.finished(word.lane, word.index)) this.open(word)
  }

  /** Early votes are handed over one at a time, in the order in which they came. */
  private opened(instance: Instance, early: ReadonlyArray<EarlyVote>): void {
    for (const { rank, word } of early) {
      const method = this.core.handlers.byId.get(word.method)!
      if (!instance.ended) this.vote(instance, method, rank, word)
    }
    if (!instance.ended) this.recovery.opened(instance.lane, instance.index)
  }

  /** Early votes that were dropped are asked for again once their sender has room. */
  private askShed(): void {
    const { core, recovery, early } = this
    for (const { lane, index } of this.sought.take()) {
      const open = core.lane(lane)?.open.has(index) === true
      if (!open && !core.finished(lane, index)) recovery.seek(lane, index)
    }
    for (let rank = 0; rank < core.system.size; rank++) {
      const node = core.system.member(rank)
      if (!recovery.shedding(node)) continue
      early.purge(rank, (lane, index) => core.finished(lane, index))
      if (early.roomy(rank)) recovery.unshed(node)
    }
  }

  private vote(instance: Instance, method: Method, rank: number, word: Word): void {
    const { core } = this
    if (instance.ended) return core.count("late_word")
    const message = read(method, word)
    if (typeof message === "string") return this.wrong(core.system.member(rank), message)
    const row = instance.row(method.slot, word.round, rank, core)
    if (row === undefined) return core.count("old_round")
    this.agreement.cast({ method, instance, row, round: word.round, rank, message, word })
  }

  /**
   * All that this node keeps, after every step so far: what a boot needs instead of the log.
   * @throws where a state has become something that cannot be kept
   */
  checkpoint(): LogRecord {
    const { core, recovery, execution } = this
    const kept = checkpoint({ core, recovery, execution })
    // To undo what ran ahead is the application's part.
    if (core.halted) throw new Error("the application threw when it had to undo")
    return kept
  }

  // ---------------------------------------------------------------- looking in

  /** When a timer fires next: the host sees to it that a turn ends then. */
  get dueMs(): number | undefined {
    return this.core.timers.dueMs
  }
  /** The store that each other member showed first. */
  get stores(): ReadonlyMap<NodeId, string> {
    const seen = this.recovery.members().filter(({ storeId }) => storeId !== "")
    return new Map(seen.map(({ node, storeId }) => [node, storeId]))
  }

  /** How often something was dropped or refused, by reason. */
  get counters(): Readonly<Counters> {
    return this.core.counters
  }
  /** Equivocations, the latest few. */
  get evidence(): ReadonlyArray<Evidence> {
    return this.agreement.evidence.all
  }
  /** Entries of every table, for bounds and tests. */
  size(): { readonly [table: string]: number } {
    return {
      ...this.core.size(),
      early: this.early.count,
      sought: this.sought.count,
      crowdedOut: this.crowdedOut.size,
      runs: this.requests.running,
      ...this.execution.size()
    }
  }
}

const NOTHING: ReadonlyArray<Output> = []
