/**
 * Where calls get their names, (session, index), and wait for them.
 *
 * The nodes of a MULTIPARTY call speak to each other about it, so it has one name: in the group's
 * sessions, which open once a quorum has told its horizon. All other calls concern each node alone
 * and have a name of their own at each, in sessions of that node, for which its hello is enough: so
 * a node that is stuck, or has forgotten its sessions, delays nobody but itself (P14).
 */
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { LaneKey } from "../server/laneKey.ts"
import type { CallCopies } from "./callCopies.ts"
import type { CallPorts } from "./callTypes.ts"
import { type ClientSession, Horizons, SessionPool } from "./clientSession.ts"
import { type OpenCall, QUEUED, SENT, WAITING } from "./openCall.ts"

export class CallLanes {
  readonly #nowMs: () => number
  readonly #retryMsMax: number
  readonly #copies: CallCopies
  readonly #horizons: Horizons
  readonly #byKey = new Map<LaneKey, ClientSession<OpenCall>>()
  readonly #group: Lane
  /** By rank. */
  readonly #nodes: ReadonlyArray<Lane>
  /** By rank: when its word last ended sessions of the group. */
  readonly #endedMs: Array<number>
  #closed = false

  constructor(system: System, limits: Limits, ports: CallPorts, copies: CallCopies) {
    const { nowMs } = ports.clock
    this.#nowMs = nowMs
    this.#retryMsMax = limits.retryMsMax
    this.#copies = copies
    this.#horizons = new Horizons(system, limits, nowMs)
    this.#endedMs = new Array<number>(system.size).fill(Number.NEGATIVE_INFINITY)
    const pool = { limits, nowMs, key: ports.sessionKey, byKey: this.#byKey }
    const lane = (above: () => number | undefined, rank: number): Lane =>
      new Lane(new SessionPool({ ...pool, above }), limits.linkBytes / 4, rank)
    this.#group = lane(() => this.#horizons.ofGroup(), -1)
    this.#nodes = system.members.map((_, rank) => lane(() => this.#horizons.ofNode(rank), rank))
  }

  session(key: LaneKey): ClientSession<OpenCall> | undefined {
    return this.#byKey.get(key)
  }

  get missingHellos(): number {
    return this.#horizons.missing
  }

  get waiting(): number {
    let waiting = this.#group.waiting
    for (const lane of this.#nodes) waiting += lane.waiting
    return waiting
  }

  get sessions(): number {
    return this.#byKey.size
  }

  get bytes(): number {
    let bytes = this.#group.bytes
    for (const lane of this.#nodes) bytes += lane.bytes
    return bytes
  }

  hello(rank: number, horizonMs: number): void {
    this.#horizons.hello(rank, horizonMs)
    this.#endBelow(rank, horizonMs)
  }

  /** A node runs nothing in sessions opened at or below its horizon: later calls use newer ones. */
  expired(rank: number, horizonMs: number): void {
    this.#horizons.tell(rank, horizonMs)
    this.#endBelow(rank, horizonMs)
  }

  /** A new call gets its names and goes out, or waits for them; the rest comes as links come up. */
  place(call: OpenCall, nowMs: number): void {
    if (call.multiparty) {
      if (this.#copies.reachable(call)) this.#placeAtGroup(call, nowMs)
      return
    }
    const { ranks } = call.targets
    for (let slot = 0; slot < ranks.length; slot++) {
      if (call.states[slot] !== WAITING || !this.#copies.isUp(ranks[slot]!)) continue
      this.#placeAtNode(call, slot, nowMs)
      if (call.over) return
    }
  }

  /** The link to a target came up: what was lost with the last one and what waited for it goes. */
  linkUp(call: OpenCall, slot: number, nowMs: number): void {
    const state = call.states[slot]
    if (state !== WAITING && state !== SENT) return
    if (call.indexes[slot]! > 0) this.#copies.sendAgain(call, slot, nowMs)
    else if (!call.multiparty) this.#placeAtNode(call, slot, nowMs)
    else if (!call.queued) this.#placeAtGroup(call, nowMs)
  }

  /**
   * A node has forgotten the session before the only copy came: the call never ran there, and gets
   * another name at this node, once. Not so a multiparty call: other nodes know its name.
   */
  rename(call: OpenCall, slot: number, nowMs: number): boolean {
    const session = call.sessions[slot]!
    if (call.multiparty || call.repeated || !session.stale) return false
    mark("renamed")
    const lane = this.#nodes[call.targets.ranks[slot]!]!
    lane.settle(session, call.indexes[slot]!, call.bytes)
    call.repeated = true
    call.states[slot] = WAITING
    call.sessions[slot] = undefined
    call.indexes[slot] = 0
    this.#placeAtNode(call, slot, nowMs)
    return true
  }

  /** Calls that wait for the group's sessions, or for this node's, may have room now. */
  pump(rank: number): void {
    this.#pump(this.#group)
    this.#pump(this.#nodes[rank]!)
  }

  /** A node's final word is in: a name that it alone knows is settled, whoever is waited for. */
  answered(call: OpenCall, slot: number): void {
    const session = call.sessions[slot]
    if (call.multiparty || session === undefined) return
    call.sessions[slot] = undefined
    this.#nodes[call.targets.ranks[slot]!]!.settle(session, call.indexes[slot]!, call.bytes)
  }

  /** A call is over: its names are settled, and make room for others. */
  leave(call: OpenCall): void {
    if (call.multiparty) return this.#leaveGroup(call)
    const { ranks } = call.targets
    for (let slot = 0; slot < ranks.length; slot++) {
      const lane = this.#nodes[ranks[slot]!]!
      const session = call.sessions[slot]
      if (session !== undefined) lane.settle(session, call.indexes[slot]!, call.bytes)
      else if (call.states[slot] === QUEUED) lane.gone()
    }
    for (const rank of ranks) {
      const lane = this.#nodes[rank]!
      if (lane.waiting > 0) this.#pump(lane)
    }
  }

  #leaveGroup(call: OpenCall): void {
    const session = call.sessions[0]
    if (session !== undefined) this.#group.settle(session, call.indexes[0]!, call.bytes)
    else if (call.queued) this.#group.gone()
    if (this.#group.waiting > 0) this.#pump(this.#group)
  }

  /** No call gets a name any more; a session goes with its last call. */
  close(): void {
    this.#closed = true
    this.#group.endBelow(Number.POSITIVE_INFINITY)
    for (const lane of this.#nodes) lane.endBelow(Number.POSITIVE_INFINITY)
  }

  #placeAtGroup(call: OpenCall, nowMs: number): void {
    const session = this.#group.waiting === 0 ? this.#group.room(call) : undefined
    if (session !== undefined) return this.#nameForAll(call, session, nowMs)
    call.queued = true
    this.#group.push(call)
  }

  #placeAtNode(call: OpenCall, slot: number, nowMs: number): void {
    const lane = this.#nodes[call.targets.ranks[slot]!]!
    const session = lane.waiting === 0 ? lane.room(call) : undefined
    if (session !== undefined) return this.#nameFor(call, slot, session, nowMs)
    call.states[slot] = QUEUED
    lane.push(call)
  }

  #nameForAll(call: OpenCall, session: ClientSession<OpenCall>, nowMs: number): void {
    const index = this.#group.take(call, session)
    for (let slot = 0; slot < call.states.length; slot++) {
      call.sessions[slot] = session
      call.indexes[slot] = index
    }
    this.#copies.sendAll(call, nowMs)
  }

  #nameFor(call: OpenCall, slot: number, session: ClientSession<OpenCall>, nowMs: number): void {
    const lane = this.#nodes[call.targets.ranks[slot]!]!
    call.sessions[slot] = session
    call.indexes[slot] = lane.take(call, session)
    this.#copies.send(call, slot, nowMs)
  }

  #pump(lane: Lane): void {
    if (lane.waiting === 0 || this.#closed) return
    if (lane.rank >= 0 && !this.#copies.isUp(lane.rank)) return
    const nowMs = this.#nowMs()
    for (;;) {
      const call = lane.first
      const session = call === undefined ? undefined : lane.room(call)
      if (call === undefined || session === undefined) return
      lane.shift()
      if (lane.rank >= 0) this.#nameFor(call, call.targets.slot(lane.rank), session, nowMs)
      else {
        call.queued = false
        this.#nameForAll(call, session, nowMs)
      }
    }
  }

  #endBelow(rank: number, horizonMs: number): void {
    this.#nodes[rank]!.endBelow(horizonMs)
    if (!this.#horizons.believed(horizonMs)) return mark("a horizon too far ahead")
    // A liar makes the group's calls change sessions at most this often.
    const nowMs = this.#nowMs()
    if (nowMs < this.#endedMs[rank]! + this.#retryMsMax) return mark("a horizon too soon")
    if (this.#group.endBelow(horizonMs)) this.#endedMs[rank] = nowMs
  }
}

/** Sessions, and the calls that wait for one of them in order. */
class Lane {
  /** Of the node; -1: the group's. */
  readonly rank: number
  /** Bodies of the calls that have a name here and are not over. */
  bytes = 0
  readonly #pool: SessionPool<OpenCall>
  readonly #bytesMax: number
  #queue: Array<OpenCall> = []
  #head = 0
  /** Calls in the queue that are over. */
  #gone = 0

  constructor(pool: SessionPool<OpenCall>, bytesMax: number, rank: number) {
    this.#pool = pool
    this.#bytesMax = bytesMax
    this.rank = rank
  }

  get waiting(): number {
    return this.#queue.length - this.#head - this.#gone
  }

  /** The session the call may go into now. */
  room(call: OpenCall): ClientSession<OpenCall> | undefined {
    if (this.bytes > 0 && this.bytes + call.bytes > this.#bytesMax) return undefined
    return this.#pool.pick()
  }

  take(call: OpenCall, session: ClientSession<OpenCall>): number {
    this.bytes += call.bytes
    return session.take(call)
  }

  settle(session: ClientSession<OpenCall>, index: number, bytes: number): void {
    this.bytes -= bytes
    this.#pool.settle(session, index)
  }

  endBelow(horizonMs: number): boolean {
    return this.#pool.endBelow(horizonMs)
  }

  push(call: OpenCall): void {
    this.#queue.push(call)
  }

  get first(): OpenCall | undefined {
    while (this.#queue[this.#head]?.over) {
      this.#gone--
      this.shift()
    }
    return this.#queue[this.#head]
  }

  shift(): void {
    this.#head++
    this.#tidy()
  }

  /** A call that waits here is over. */
  gone(): void {
    this.#gone++
    this.#tidy()
  }

  /** What is over never outweighs what waits by much, and costs O(1) a call to clear away. */
  #tidy(): void {
    const useless = this.#head + this.#gone
    const { length } = this.#queue
    if (useless < length && (useless < 64 || useless < length / 2)) return
    this.#queue = this.#queue.slice(this.#head).filter((call) => !call.over)
    this.#head = 0
    this.#gone = 0
  }
}
