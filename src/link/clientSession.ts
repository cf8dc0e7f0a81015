/**
 * The sessions of a client: how its calls are numbered, acknowledged and held to the window, and
 * when a session opens and is given up.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { CALL_INDEX_MAX, HORIZON_MS_MAX, type LaneKey } from "../server/laneKey.ts"

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
  /** When the last of them was. */
  idleMs: number
  readonly #window: number
  /** Invariant: at i % window the call of index i, ackedBelow <= i < next; undefined: settled. */
  readonly #calls: Array<C | undefined>

  constructor(key: LaneKey, openedMs: number, window: number) {
    this.key = key
    this.openedMs = openedMs
    this.idleMs = openedMs
    this.#window = window
    this.#calls = new Array<C | undefined>(window).fill(undefined)
  }

  get room(): boolean {
    return this.next < this.ackedBelow + this.#window && !this.spent
  }

  /** Its indexes have run out. */
  get spent(): boolean {
    return this.next > CALL_INDEX_MAX
  }

  /** The window is closed, and not because so many calls are under way. */
  get stuck(): boolean {
    return !this.room && this.open <= this.#window / 2
  }

  /** The call's index. */
  take(call: C): number {
    assert(this.room && !this.stale, "a call waits for a session that takes it")
    const index = this.next++
    this.#calls[index % this.#window] = call
    this.open++
    return index
  }

  /** The open call of this index. */
  at(index: number): C | undefined {
    if (!(index >= this.ackedBelow && index < this.next)) return undefined
    return this.#calls[index % this.#window]
  }

  settle(index: number): void {
    assert(this.at(index) !== undefined, "a call settles once")
    const window = this.#window
    this.#calls[index % window] = undefined
    this.open--
    while (this.ackedBelow < this.next && this.#calls[this.ackedBelow % window] === undefined) {
      this.ackedBelow++
    }
  }
}

export interface SessionPoolOptions<C> {
  readonly limits: Limits
  readonly nowMs: () => number
  readonly key: (openedMs: number) => LaneKey
  /** The sessions of all pools that hold or take calls, for replies. */
  readonly byKey: Map<LaneKey, ClientSession<C>>
  /** The horizon a new session must be above; `undefined`: none may open yet. */
  readonly above: () => number | undefined
}

/**
 * The sessions of one kind of call: `clientSessionsMax`, and stale ones that still hold calls.
 * One is used until a call that stays open while most others have settled closes its window; then
 * the next takes over, so that a slow call does not stop all. Costs `windowCalls` words each, and a
 * session at the nodes; when all are closed, calls wait.
 */
export class SessionPool<C> {
  readonly #options: SessionPoolOptions<C>
  /** Those that take calls; the one in use first. */
  readonly #sessions: Array<ClientSession<C>> = []

  constructor(options: SessionPoolOptions<C>) {
    this.#options = options
  }

  /** A session with room for one more call; `undefined`: the call has to wait. */
  pick(): ClientSession<C> | undefined {
    const sessions = this.#sessions
    const current = sessions[0]
    if (current === undefined) return this.#open()
    if (current.spent) {
      this.#end(0)
      return this.pick()
    }
    if (current.open === 0 && this.#idle(current)) {
      sessions.shift()
      this.#options.byKey.delete(current.key)
      return this.#open()
    }
    if (current.room) return current
    const other = sessions.findIndex((session) => session.room)
    if (other > 0) {
      sessions[0] = sessions[other]!
      sessions[other] = current
      return sessions[0]
    }
    return sessions.length < this.#options.limits.clientSessionsMax && current.stuck
      ? this.#open()
      : undefined
  }

  /** Ends a call; a session nobody uses any more is forgotten. */
  settle(session: ClientSession<C>, index: number): void {
    session.settle(index)
    if (session.open === 0) session.idleMs = this.#options.nowMs()
    if (session.stale && session.open === 0) this.#options.byKey.delete(session.key)
  }

  /** Sessions opened at or below the horizon take no more calls. False: there were none. */
  endBelow(horizonMs: number): boolean {
    const sessions = this.#sessions
    const before = sessions.length
    for (let i = before - 1; i >= 0; i--) {
      const session = sessions[i]!
      if (session.openedMs <= horizonMs) this.#end(i)
    }
    return sessions.length < before
  }

  /** It takes no more calls, and is forgotten once it has none. */
  #end(i: number): void {
    const [session] = this.#sessions.splice(i, 1) as [ClientSession<C>]
    session.stale = true
    if (session.open === 0) this.#options.byKey.delete(session.key)
  }

  /** Old sessions are the first that nodes forget: who comes back after a while takes a new one. */
  #idle({ idleMs }: ClientSession<C>): boolean {
    const { limits, nowMs } = this.#options
    return nowMs() - idleMs > limits.clientIdleMsMax
  }

  #open(): ClientSession<C> | undefined {
    const { limits, nowMs, key, byKey, above } = this.#options
    const horizonMs = above()
    if (horizonMs === undefined) return undefined
    const openedMs = Math.max(nowMs(), horizonMs + 1)
    const session = new ClientSession<C>(key(openedMs), openedMs, limits.windowCalls)
    assert(!byKey.has(session.key), "a session's name is new")
    byKey.set(session.key, session)
    this.#sessions.unshift(session)
    return session
  }
}

/** What nodes have told of their horizons, and what of it is believed. */
export class Horizons {
  readonly #system: System
  readonly #limits: Limits
  readonly #nowMs: () => number
  /** Nodes that have said hello. */
  readonly #told: NodeSet
  /** By rank: the highest told, believed or not: it may come true as time goes on. */
  readonly #horizonsMs: Array<number>

  constructor(system: System, limits: Limits, nowMs: () => number) {
    this.#system = system
    this.#limits = limits
    this.#nowMs = nowMs
    this.#told = new NodeSet(system.size)
    this.#horizonsMs = new Array<number>(system.size).fill(0)
  }

  hello(rank: number, horizonMs: number): void {
    this.#told.add(rank)
    this.tell(rank, horizonMs)
  }

  tell(rank: number, horizonMs: number): void {
    if (horizonMs > HORIZON_MS_MAX) return
    if (horizonMs > this.#horizonsMs[rank]!) this.#horizonsMs[rank] = horizonMs
  }

  /** A horizon further ahead would make sessions that no other node takes. */
  believed(horizonMs: number): boolean {
    return (
      horizonMs <= this.#nowMs() + this.#limits.sessionAheadMsMax || horizonMs <= this.#vouchedMs()
    )
  }

  /**
   * Nodes that have just begun without a log tell the furthest horizon there is, by their clocks.
   * Where so many tell it that without them there is no quorum, this clock is behind theirs.
   */
  #vouchedMs(): number {
    const ranks = [...this.#horizonsMs.keys()]
    ranks.sort((a, b) => this.#horizonsMs[b]! - this.#horizonsMs[a]!)
    const tellers = new NodeSet(this.#system.size)
    const last = ranks.find((rank) => {
      tellers.add(rank)
      return this.#system.blocking.has(tellers)
    })
    return last === undefined ? 0 : this.#horizonsMs[last]! + this.#limits.sessionEvictAgeMs
  }

  /** Of one node, which is believed what concerns it alone; `undefined`: it has not said hello. */
  ofNode(rank: number): number | undefined {
    return this.#told.has(rank) ? this.#horizonsMs[rank]! : undefined
  }

  /** Hellos missing to a quorum. */
  get missing(): number {
    const { quorum } = this.#system
    return quorum.has(this.#told) ? 0 : Math.max(1, quorum.needed - this.#told.count)
  }

  /** The highest of all; `undefined`: a quorum has not said hello. */
  ofGroup(): number | undefined {
    if (this.missing > 0) return undefined
    const falling = this.#horizonsMs.toSorted((a, b) => b - a)
    // Few are not believed.
    return falling.find((horizonMs) => this.believed(horizonMs)) ?? 0
  }
}
