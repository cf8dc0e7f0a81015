/**
 * The sessions of a client: how its calls are numbered, acknowledged and held to the window, and when
 * a session opens and is given up.
 *
 * MULTIPARTY calls use group sessions: their nodes speak to each other about (session, index), so
 * one opens only once a quorum has told its horizon. All other calls concern each node alone and use
 * plain sessions, for which one hello is enough.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { LaneKey } from "../server/laneKey.ts"

/**
 * Sessions of one kind that take calls. One is used until its window is closed by a call that stays
 * open while most others have settled (a stuck node); then the next takes over, so that one such
 * call delays nobody. Costs `windowCalls` slots each, and a session at every node.
 */
export const SESSIONS_OPEN_MAX = 8

/** Calls 1, 2, 3 … of type `C`. */
export class ClientSession<C> {
  readonly key: LaneKey
  readonly openedMs: number
  /** A node has given it up: it takes no more calls. */
  stale = false
  /** The next index. Invariant: ackedBelow <= next <= ackedBelow + window. */
  next = 1
  /** The lowest index not settled. Invariant: never above the index of an open call. */
  ackedBelow = 1
  /** Calls not settled. */
  open = 0
  readonly #window: number
  /** Invariant: the call with index i, ackedBelow <= i < next, or undefined when settled, at i % window. */
  readonly #calls: Array<C | undefined>

  constructor(key: LaneKey, openedMs: number, window: number) {
    this.key = key
    this.openedMs = openedMs
    this.#window = window
    this.#calls = new Array<C | undefined>(window).fill(undefined)
  }

  get room(): boolean {
    return this.next < this.ackedBelow + this.#window
  }

  /** The window is closed, and not because this many calls are under way. */
  get stuck(): boolean {
    return !this.room && this.open <= this.#window / 2
  }

  /** The call's index. */
  take(call: C): number {
    assert(this.room && !this.stale, "a call waits for the window of a session that takes calls")
    const index = this.next++
    this.#calls[index % this.#window] = call
    this.open++
    return index
  }

  /** The open call with this index. */
  at(index: number): C | undefined {
    return index >= this.ackedBelow && index < this.next
      ? this.#calls[index % this.#window]
      : undefined
  }

  settle(index: number): void {
    assert(this.at(index) !== undefined, "a call settles once")
    this.#calls[index % this.#window] = undefined
    this.open--
    while (
      this.ackedBelow < this.next &&
      this.#calls[this.ackedBelow % this.#window] === undefined
    ) {
      this.ackedBelow++
    }
  }
}

/** `told`: hellos the kind of session waits for. */
interface Kind<C> {
  /** Those that take calls; the one in use first. */
  readonly sessions: Array<ClientSession<C>>
  readonly mayOpen: () => boolean
}

export interface SessionsOptions {
  readonly system: System
  readonly limits: Limits
  readonly nowMs: () => number
  readonly key: (openedMs: number) => LaneKey
}

export class ClientSessions<C> {
  readonly #options: SessionsOptions
  /** All that hold or take calls. At most 2 SESSIONS_OPEN_MAX and one per open call. */
  readonly #byKey = new Map<LaneKey, ClientSession<C>>()
  readonly #plain: Kind<C>
  readonly #group: Kind<C>
  /** Nodes that have said hello. */
  readonly #told: NodeSet
  /** By rank: the highest horizon told, believed or not. */
  readonly #horizonsMs: Array<number>
  /** By rank: when its word last ended sessions. */
  readonly #endedMs: Array<number>

  constructor(options: SessionsOptions) {
    this.#options = options
    const { size, quorum } = options.system
    this.#told = new NodeSet(size)
    this.#horizonsMs = new Array<number>(size).fill(0)
    this.#endedMs = new Array<number>(size).fill(Number.NEGATIVE_INFINITY)
    this.#plain = { sessions: [], mayOpen: () => this.#told.count > 0 }
    this.#group = { sessions: [], mayOpen: () => quorum.has(this.#told) }
  }

  get count(): number {
    return this.#byKey.size
  }

  /** Hellos that are missing before such a call can be numbered; 0: none. */
  missing(multiparty: boolean): number {
    const kind = multiparty ? this.#group : this.#plain
    if (kind.mayOpen()) return 0
    return (multiparty ? this.#options.system.quorum.needed : 1) - this.#told.count
  }

  byKey(key: LaneKey): ClientSession<C> | undefined {
    return this.#byKey.get(key)
  }

  /** A session with room for one more call; `undefined`: the call has to wait. */
  pick(multiparty: boolean): ClientSession<C> | undefined {
    const { sessions, mayOpen } = multiparty ? this.#group : this.#plain
    const current = sessions[0]
    if (current !== undefined) {
      if (current.room) return current
      const i = sessions.findIndex((session) => session.room)
      if (i > 0) {
        sessions[0] = sessions[i]!
        sessions[i] = current
        return sessions[0]
      }
      if (sessions.length >= SESSIONS_OPEN_MAX || !current.stuck) return undefined
    }
    if (!mayOpen()) return undefined
    const opened = this.#open()
    sessions.unshift(opened)
    return opened
  }

  /** Ends the call's place; a session nobody uses any more is forgotten. */
  settle(session: ClientSession<C>, index: number): void {
    session.settle(index)
    if (session.stale && session.open === 0) this.#byKey.delete(session.key)
  }

  hello(rank: number, horizonMs: number): void {
    this.#told.add(rank)
    this.horizon(rank, horizonMs)
  }

  /**
   * A node runs nothing in sessions opened at or below `horizonMs`: later calls use a newer one.
   * A liar can make this client open a session per `retryMsMax`, and none that others refuse.
   */
  horizon(rank: number, horizonMs: number): void {
    const { limits, nowMs } = this.#options
    const now = nowMs()
    if (horizonMs > this.#horizonsMs[rank]!) this.#horizonsMs[rank] = horizonMs
    if (horizonMs > now + limits.sessionAheadMsMax) return
    if (now < this.#endedMs[rank]! + limits.retryMsMax) return
    let ended = false
    for (const { sessions } of [this.#plain, this.#group]) {
      for (let i = sessions.length - 1; i >= 0; i--) {
        const session = sessions[i]!
        if (session.openedMs > horizonMs) continue
        ended = true
        session.stale = true
        sessions.splice(i, 1)
        if (session.open === 0) this.#byKey.delete(session.key)
      }
    }
    if (ended) this.#endedMs[rank] = now
  }

  clear(): void {
    this.#byKey.clear()
    this.#plain.sessions.length = 0
    this.#group.sessions.length = 0
  }

  #open(): ClientSession<C> {
    const { limits, nowMs, key } = this.#options
    const now = nowMs()
    let openedMs = now
    for (const horizon of this.#horizonsMs) {
      if (horizon <= now + limits.sessionAheadMsMax) openedMs = Math.max(openedMs, horizon + 1)
    }
    const session = new ClientSession<C>(key(openedMs), openedMs, limits.windowCalls)
    assert(!this.#byKey.has(session.key), "a session's name is new")
    this.#byKey.set(session.key, session)
    return session
  }
}
