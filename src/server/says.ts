/**
 * What this node said and somebody may still need: the tail of its say records, by position.
 * A position is given once, in this life and later ones.
 */
import { assert } from "../base/assert.ts"
import type { Word } from "./Message.ts"

/** Bytes a word takes beside its body, for accounting. */
const WORD_BYTES = 64
export const wordBytes = (word: Word): number => word.body.length + WORD_BYTES

/** Invariant: the tail holds the positions first … last without a gap. */
export class Says {
  /** Position of the newest word; 0: none. */
  last = 0
  private words: Array<Word | undefined> = []
  /** starts[i]: bytes said before words[i], ever. */
  private starts: Array<number> = []
  private head = 0
  private total = 0

  /** Position of the oldest word kept; last + 1 when there is none. */
  get first(): number {
    return this.last + 1 - (this.words.length - this.head)
  }

  get count(): number {
    return this.words.length - this.head
  }

  get bytes(): number {
    return this.bytesBetween(this.first, this.last + 1)
  }

  push(word: Word): void {
    assert(word.position === this.last + 1 || this.count === 0, "positions have no gap")
    this.last = word.position
    this.words.push(word)
    this.starts.push(this.total)
    this.total += wordBytes(word)
  }

  at(position: number): Word {
    assert(position >= this.first && position <= this.last, "only a position of the tail is read")
    return this.words[this.head + position - this.first]!
  }

  /** Bytes of the words in [from, to). */
  bytesBetween(from: number, to: number): number {
    return to <= from ? 0 : this.startOf(to) - this.startOf(from)
  }

  /** Drops all words up to `position`: every member has finished with them. */
  trim(position: number): void {
    while (this.count > 0 && this.first <= position) this.words[this.head++] = undefined
    if (this.head > 1024 && this.head * 2 > this.words.length) {
      this.words = this.words.slice(this.head)
      this.starts = this.starts.slice(this.head)
      this.head = 0
    }
  }

  private startOf(position: number): number {
    if (position > this.last) return this.total
    return this.starts[this.head + Math.max(position, this.first) - this.first] ?? this.total
  }
}
