/**
 * What this node said and somebody may still need: the tail of its say records, by position.
 * A position is given once, in this life and later ones.
 */
import { assert } from "../base/assert.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Word } from "./Message.ts"

/** Bytes a word takes beside its body, for accounting. */
const WORD_BYTES = 64
export const wordBytes = (word: Word): number => word.body.length + WORD_BYTES

/** Words are found by their slot: a place in the tail that holds until the tail is next cut. */
export class Says {
  /** Position of the newest word; 0: none. */
  last = 0
  /** From here on no word is missing; below, those alone that the last `cut` kept. */
  first = 1
  /** By rising position. */
  private list: Array<Word | undefined> = []
  /** starts[i]: bytes said before list[i], ever. */
  private starts: Array<number> = []
  private head = 0
  private total = 0
  /** The last `cut` looked at the words up to here, and kept those that are still in the list. */
  private sifted = 0

  get count(): number {
    return this.list.length - this.head
  }

  get bytes(): number {
    return this.count === 0 ? 0 : this.total - this.starts[this.head]!
  }

  /** Of the words that may still go: a tail full of those that `cut` kept is not full. */
  get siftable(): number {
    return this.bytesBetween(this.sifted + 1, this.last + 1)
  }

  words(): ReadonlyArray<Word> {
    return this.list.slice(this.head) as ReadonlyArray<Word>
  }

  /** From a checkpoint, before its words. */
  begin(first: number, last: number): void {
    this.first = first
    this.last = last
  }

  push(word: Word): void {
    const before = this.list.length > this.head ? this.list.at(-1)!.position : 0
    assert(word.position > before, "positions rise")
    this.last = Math.max(this.last, word.position)
    this.list.push(word)
    this.starts.push(this.total)
    this.total += wordBytes(word)
  }

  /** Where the words from `position` on begin. */
  slot(position: number): number {
    const { list, last } = this
    if (position > last) return list.length
    // Nothing is missing behind it.
    if (position >= this.first) return list.length - (last + 1 - position)
    let [low, high] = [this.head, list.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if (list[middle]!.position < position) low = middle + 1
      else high = middle
    }
    return low
  }

  /** `undefined` behind the newest. */
  at(slot: number): Word | undefined {
    return this.list[slot]
  }

  /** Bytes of the words with positions in [from, to). */
  bytesBetween(from: number, to: number): number {
    return to <= from ? 0 : this.startOf(this.slot(to)) - this.startOf(this.slot(from))
  }

  /** Bytes of the words before this slot, ever. */
  startOf(slot: number): number {
    return this.starts[slot] ?? this.total
  }

  /** One of a higher round has taken its place: it is for no other member any more. */
  outdate(word: Word, self: NodeId): void {
    const slot = this.slot(word.position)
    if (this.list[slot]?.position === word.position) this.list[slot] = { ...word, to: [self] }
  }

  /** Drops all words up to `position`: every member has finished with them. */
  trim(position: number): void {
    if (position >= this.first) this.first = position + 1
    const { list } = this
    while (this.head < list.length && list[this.head]!.position <= position) {
      list[this.head++] = undefined
    }
    if (this.head > 1024 && this.head * 2 > list.length) {
      this.list = list.slice(this.head)
      this.starts = this.starts.slice(this.head)
      this.head = 0
    }
  }

  /**
   * Drops the oldest words up to `position` until no more than `bytesMax` bytes are left, but for
   * those that `keep` names, which count no more.
   */
  cut(position: number, bytesMax: number, keep: (word: Word) => boolean): void {
    // Called in every turn of a node whose tail is full: nothing is looked at twice.
    if (position <= this.sifted) return
    const { list, head } = this
    const kept: Array<Word> = []
    let over = this.siftable - bytesMax
    let slot = head
    for (; slot < list.length && over > 0 && list[slot]!.position <= position; slot++) {
      const word = list[slot]!
      if (word.position > this.sifted) {
        over -= wordBytes(word)
        this.sifted = word.position
      }
      if (keep(word)) {
        kept.push(word)
        continue
      }
      this.first = Math.max(this.first, word.position + 1)
    }
    if (kept.length === slot - head) return
    const rest = list.slice(slot) as ReadonlyArray<Word>
    this.list = []
    this.starts = []
    this.head = 0
    for (const word of [...kept, ...rest]) this.push(word)
  }
}
