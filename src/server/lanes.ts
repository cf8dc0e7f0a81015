/**
 * Lanes and their instances: what a node knows of one run of agreement, and which runs it takes
 * votes for. Memory is bounded by windows, never by age.
 */
import { assert } from "../base/assert.ts"
import { IndexTable } from "../base/indexTable.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { NodeSet } from "../base/nodeSet.ts"
import type { Quorum } from "../quorum/QuorumSystem.ts"
import { Tally } from "../quorum/Tally.ts"
import type { CallState } from "./calls.ts"
import type { LaneView } from "./handlers.ts"
import type { LaneKey } from "./laneKey.ts"
import type { LaneKept } from "./LogRecord.ts"
import type { Word } from "./Message.ts"
import type { LaneSpec } from "./Protocol.ts"
import type { Says } from "./says.ts"
import type { WantedState } from "./snapshot.ts"

/** One author's message in a phase, as kept. */
export interface CastVote {
  readonly message: object
  readonly body: Uint8Array
  /** In a signed phase: what a proof is made of. */
  readonly word: Word | undefined
}

/** One (phase, round) of an instance: the votes that came, and the word this node said. */
export interface Row {
  readonly tally: Tally<CastVote>
  said: Word | undefined
}

/** One run of agreement on this node: (lane, index). */
export class Instance {
  readonly lane: Lane
  readonly index: number
  /** The client's own request, once it came here; session lanes only. */
  call: CallState | undefined = undefined
  /** The latest tentative answer of this node, for copies that come later. */
  tentative: Uint8Array | undefined = undefined
  /** Set once: from then on the instance takes no vote and says nothing. */
  ended = false
  private readonly rows = new Map<number, Row>()
  /** Where the lane keeps the latest rounds: each author's, by phase. */
  private readonly latest = new Map<number, number>()

  constructor(lane: Lane, index: number) {
    this.lane = lane
    this.index = index
  }

  /**
   * The votes among which one of `rank` counts; absent where it has spoken in a higher round and
   * the lane keeps the latest ones.
   * @param slot the phase's number on this node
   */
  row(slot: number, round: number, rank: number, core: Seats): Row | undefined {
    if (this.lane.latest && !this.advance(slot, round, rank, core)) return undefined
    const key = round * SLOTS_MAX + slot
    let row = this.rows.get(key)
    if (row === undefined) {
      row = { tally: new Tally<CastVote>(core.system.size), said: undefined }
      this.rows.set(key, row)
    }
    return row
  }

  /** Whether some phase can have the quorum without another word of these members. */
  reaches(quorum: Quorum, silent: NodeSet): boolean {
    const speaking = silent.complement()
    if (quorum.has(speaking)) return true
    return [...this.rows.values()].some(({ tally }) => {
      const set = speaking.clone()
      for (const rank of silent.ranks()) if (tally.of(rank) !== undefined) set.add(rank)
      return quorum.has(set)
    })
  }

  /** What this node said. */
  words(): ReadonlyArray<Word> {
    return [...this.rows.values()].flatMap(({ said }) => said ?? [])
  }

  /** Forgets what the author said in a lower round of the phase; false: it said a higher one. */
  private advance(slot: number, round: number, rank: number, core: Seats): boolean {
    const author = rank * SLOTS_MAX + slot
    const before = this.latest.get(author) ?? round
    if (round < before) return false
    this.latest.set(author, round)
    if (round === before) return true
    const key = before * SLOTS_MAX + slot
    // Not there where nothing of it counted, as when `agreeOn` threw.
    const row = this.rows.get(key)
    row?.tally.remove(rank)
    if (row?.said !== undefined && rank === core.rank) {
      core.says.outdate(row.said, core.self)
      row.said = undefined
    }
    if (row?.tally.count === 0 && row.said === undefined) this.rows.delete(key)
    return true
  }
}

/** Who this node is among the members. */
interface Seats {
  readonly self: NodeId
  readonly rank: number
  readonly says: Says
  readonly system: { readonly size: number }
}

/** Phases of one node; part of an instance's row key. */
export const SLOTS_MAX = 1024
/** Rounds are below it, so that keys of rows are exact. */
export const ROUND_MAX = 2 ** 32

/** One instance, that never finishes: each round takes the place of those before. */
export const isStanding = (lane: LaneSpec): boolean =>
  lane.rounds === "latest" && lane.floor === undefined

/** Indexes of one lane, [from, to). */
export interface Range {
  readonly from: number
  readonly to: number
}

/**
 * A lane takes votes for [own, own + window).
 * Invariant: every open instance is unfinished; own never goes back.
 */
export abstract class Lane {
  readonly key: LaneKey
  readonly window: number
  /** Of an author only the word of its highest round counts, phase by phase. */
  readonly latest: boolean
  readonly open: IndexTable<Instance>
  /** Per peer (by rank), the indexes of its words that were dropped above the window. */
  private readonly dropped = new Map<number, { low: number; high: number }>()
  /** Per peer, what was asked of it again and may not have come yet. */
  private readonly asked = new Map<number, Range>()
  /** Lowest unfinished index (in a session: at or above `ackedBelow`). */
  own = 1

  constructor(key: LaneKey, window: number, latest = false) {
    this.key = key
    this.window = window
    this.latest = latest
    this.open = new IndexTable(window)
  }

  abstract finished(index: number): boolean

  /** Lowest unfinished index of all. */
  protected get lowest(): number {
    return this.own
  }

  /** Notes that a peer's word at `index` was dropped: it is asked for again once it fits. */
  drop(rank: number, index: number): void {
    const range = this.dropped.get(rank)
    if (range === undefined) {
      this.dropped.set(rank, { low: index, high: index })
    } else {
      range.low = Math.min(range.low, index)
      range.high = Math.max(range.high, index)
    }
  }

  /**
   * The dropped words of a peer that fit now, as [from, to). Waits until half a window fits, so
   * that a lane which falls behind asks rarely.
   */
  regain(rank: number): Range | undefined {
    const range = this.dropped.get(rank)
    const end = this.own + this.window
    if (range === undefined) return undefined
    if (range.high >= end && end - range.low < this.window / 2) return undefined
    const from = Math.max(range.low, this.lowest)
    const to = Math.min(range.high + 1, end)
    if (range.high >= end) range.low = end
    else this.dropped.delete(rank)
    if (from >= to) return undefined
    this.asked.set(rank, { from: this.missing(rank, to) ?? from, to })
    return { from, to }
  }

  /** Words of the peer were dropped here that may come again. */
  awaits(rank: number): boolean {
    return this.dropped.has(rank) || this.asked.has(rank)
  }

  /** What was asked of the peer may be gone. */
  unawait(rank: number): void {
    this.asked.delete(rank)
  }

  /** The link to a peer broke: what was asked of it may never have come. */
  unasked(rank: number): void {
    const range = this.asked.get(rank)
    if (range === undefined) return
    const low = this.missing(rank, range.to)
    this.asked.delete(rank)
    if (low === undefined) return
    this.drop(rank, low)
    this.drop(rank, range.to - 1)
  }

  /** Lowest unfinished index of what was asked, no more than two windows below `to`. */
  private missing(rank: number, to: number): number | undefined {
    const range = this.asked.get(rank)
    if (range === undefined) return undefined
    for (let index = Math.max(range.from, to - 2 * this.window); index < range.to; index++) {
      if (!this.finished(index)) return index
    }
    return undefined
  }

  inWindow(index: number): boolean {
    return index < this.own + this.window
  }

  /** The unfinished instance at `index`, made when it is not there yet. */
  instance(index: number): Instance {
    assert(!this.finished(index), "a finished instance is never opened again")
    let instance = this.open.get(index)
    if (instance === undefined) {
      instance = new Instance(this, index)
      this.open.set(index, instance)
    }
    return instance
  }
}

/** A lane of the protocol's own. */
export class ProtocolLane extends Lane {
  /** Highest index that the application has run. */
  applied = 0
  /** The application's state that is being fetched. */
  wanted: WantedState | undefined
  /** Finished above `own`. At most `window`. */
  private readonly ahead = new Set<number>()
  readonly standing: boolean
  /** Its instances are over below the floor that its protocol sets, whatever is decided in them. */
  readonly floored: boolean

  constructor(key: LaneKey, spec: LaneSpec) {
    super(key, spec.window ?? 1, spec.rounds === "latest")
    this.standing = isStanding(spec)
    this.floored = spec.floor === "set"
  }

  override finished(index: number): boolean {
    return index < this.own || this.ahead.has(index)
  }

  /** Nothing below `index` is needed any more. */
  raise(index: number): void {
    for (const instance of this.open.values()) {
      if (instance.index >= index) break
      instance.ended = true
      this.open.delete(instance.index)
    }
    this.own = Math.max(this.own, index)
    for (const at of this.ahead) if (at < this.own) this.ahead.delete(at)
    while (this.ahead.delete(this.own)) this.own++
  }

  /** For the log. */
  get kept(): LaneKept {
    const ahead = [...this.ahead].sort((a, b) => a - b)
    return { kind: "lane", lane: this.key, own: this.own, ahead }
  }

  /** From the log: it never goes back. */
  restore(own: number, ahead: ReadonlyArray<number>): void {
    this.raise(own)
    for (const index of ahead) this.finish(index)
  }

  /** In any order within the window: `own` moves past what is finished without a hole. */
  finish(index: number): void {
    if (this.finished(index)) return
    const instance = this.open.get(index)
    if (instance !== undefined) instance.ended = true
    this.open.delete(index)
    this.ahead.add(index)
    while (this.ahead.delete(this.own)) this.own++
  }
}

/** Handlers look at a lane after the engine is made: what is declared is checked first. */
export const viewOf = (lane: () => ProtocolLane): LaneView => ({
  get last() {
    return lane().own + lane().window - 1
  },
  get own() {
    return lane().own
  },
  get applied() {
    return lane().applied
  },
  get fetching() {
    return lane().wanted?.index ?? 0
  }
})
