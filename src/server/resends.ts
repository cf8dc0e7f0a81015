/**
 * What a peer dropped and wants again: words of some lanes, found in the tail a piece at a time, so
 * that no want of a peer costs a step more than a bounded walk.
 */
import type { Range } from "./lanes.ts"
import type { LaneKey } from "./laneKey.ts"
import type { Word } from "./Message.ts"
import type { Says } from "./says.ts"

/** Words of the tail that one turn looks at; about 0.1 ms. */
const WALK_WORDS = 8192

/** Invariant: at most one range a lane in each map, so lanes bound them. */
export class Resends {
  /** What the walk under way looks for. */
  private ranges = new Map<LaneKey, Range>()
  /** Asked for meanwhile: the next walk's. */
  private later = new Map<LaneKey, Range>()
  private at = 0
  private end = 0

  ask(lane: LaneKey, range: Range): void {
    const before = this.later.get(lane)
    const from = Math.min(range.from, before?.from ?? range.from)
    const to = Math.max(range.to, before?.to ?? range.to)
    this.later.set(lane, { from, to })
  }

  /** All that was asked for was said again. */
  get idle(): boolean {
    return this.ranges.size + this.later.size === 0
  }

  clear(): void {
    this.ranges.clear()
    this.later.clear()
  }

  /**
   * Hands over some of the words that are wanted again.
   * @param cursor positions from here on come anyway
   * @param send says a word again; false: there is no room for more now
   */
  walk(says: Says, cursor: number, send: (word: Word) => boolean): void {
    if (this.ranges.size === 0 && !this.begin(cursor)) return
    const stop = Math.min(this.end, cursor)
    let slot = says.slot(this.at)
    for (let left = WALK_WORDS; left > 0; left--) {
      const word = says.at(slot++)
      if (word === undefined || word.position >= stop) return this.ranges.clear()
      this.at = word.position
      const range = this.ranges.get(word.lane)
      if (range === undefined || word.index < range.from || word.index >= range.to) continue
      if (!send(word)) return
    }
    this.at++
  }

  private begin(cursor: number): boolean {
    if (this.later.size === 0) return false
    const { ranges } = this
    this.ranges = this.later
    this.later = ranges
    this.at = 0
    this.end = cursor
    return true
  }
}
