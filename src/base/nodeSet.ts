import { assert } from "./assert.ts"
import { LIMITS } from "./limits.ts"

const WORD = 32

/**
 * A mutable set of member ranks 0 … size-1. The first 32 ranks live in one word, so the usual group
 * costs no array; a larger one has a word per 32 ranks (128 bytes at `membersMax`).
 *
 * Sets of different sizes speak of different groups and never meet: that is a defect.
 */
export class NodeSet {
  /** Ranks this set speaks of, 0 … `membersMax`. */
  readonly size: number
  // Words are kept as signed 32-bit integers: V8 stores those without boxing.
  #low = 0
  readonly #high: Array<number> | undefined
  /** Invariant: the number of bits set in `#low` and `#high`. */
  #count = 0

  constructor(size: number) {
    assert(Number.isInteger(size) && size >= 0, "a set's size is a natural number")
    assert(size <= LIMITS.membersMax, "a set is at most as large as the largest group")
    this.size = size
    this.#high = size <= WORD ? undefined : zeros(Math.ceil(size / WORD) - 1)
  }

  /** The set of `ranks`, in any order; a rank named twice counts once. */
  static of(size: number, ranks: Iterable<number>): NodeSet {
    const set = new NodeSet(size)
    for (const rank of ranks) set.add(rank)
    return set
  }

  get count(): number {
    return this.#count
  }

  /** False when `rank` was in the set already. A rank outside 0 … size-1 is a defect. */
  add(rank: number): boolean {
    assert(this.#speaksOf(rank), "a rank is an integer below the set's size")
    if (this.has(rank)) return false
    if (rank < WORD) this.#low |= 1 << rank
    else this.#high![(rank >>> 5) - 1]! |= 1 << (rank & 31)
    this.#count++
    return true
  }

  /** False when `rank` was not in the set. */
  remove(rank: number): boolean {
    if (!this.has(rank)) return false
    if (rank < WORD) this.#low &= ~(1 << rank)
    else this.#high![(rank >>> 5) - 1]! &= ~(1 << (rank & 31))
    this.#count--
    return true
  }

  /** False for what is no rank of this group, as -1 for "no member". */
  has(rank: number): boolean {
    if (!this.#speaksOf(rank)) return false
    if (rank < WORD) return (this.#low & (1 << rank)) !== 0
    return (this.#high![(rank >>> 5) - 1]! & (1 << (rank & 31))) !== 0
  }

  /** How many ranks below `rank` are in the set: where `rank` stands in {@link ranks}. */
  before(rank: number): number {
    assert(this.#speaksOf(rank), "a rank is an integer below the set's size")
    const below = (1 << (rank & 31)) - 1
    if (rank < WORD) return bits(this.#low & below)
    const last = (rank >>> 5) - 1
    let count = bits(this.#low)
    for (let i = 0; i < last; i++) count += bits(this.#high![i]!)
    return count + bits(this.#high![last]! & below)
  }

  clone(): NodeSet {
    return new NodeSet(this.size).unionWith(this)
  }

  /** The ranks that are not in this set. */
  complement(): NodeSet {
    const set = new NodeSet(this.size)
    set.#low = ~this.#low & mask(this.size)
    if (set.#high !== undefined) {
      for (let i = 0; i < set.#high.length; i++) {
        set.#high[i] = ~this.#high![i]! & mask(this.size - (i + 1) * WORD)
      }
    }
    set.#count = this.size - this.#count
    return set
  }

  /** Adds what is in `other`, and returns this set. */
  unionWith(other: NodeSet): this {
    assert(other.size === this.size, "sets of different groups never meet")
    this.#low |= other.#low
    let count = bits(this.#low)
    if (this.#high !== undefined) {
      for (let i = 0; i < this.#high.length; i++) {
        count += bits((this.#high[i]! |= other.#high![i]!))
      }
    }
    this.#count = count
    return this
  }

  /** A new set: what is in this one and not in `other`. */
  minus(other: NodeSet): NodeSet {
    assert(other.size === this.size, "sets of different groups never meet")
    const set = new NodeSet(this.size)
    set.#low = this.#low & ~other.#low
    let count = bits(set.#low)
    if (set.#high !== undefined) {
      for (let i = 0; i < set.#high.length; i++) {
        count += bits((set.#high[i] = this.#high![i]! & ~other.#high![i]!))
      }
    }
    set.#count = count
    return set
  }

  /** Ascending. */
  ranks(): Array<number> {
    const ranks: Array<number> = []
    pushBits(ranks, this.#low, 0)
    if (this.#high !== undefined) {
      for (let i = 0; i < this.#high.length; i++) pushBits(ranks, this.#high[i]!, (i + 1) * WORD)
    }
    return ranks
  }

  #speaksOf(rank: number): boolean {
    // `>>> 0` changes whatever is no natural number below 2^32: -1, 1.5, NaN.
    return rank >>> 0 === rank && rank < this.size
  }
}

const zeros = (length: number): Array<number> => {
  const words: Array<number> = []
  for (let i = 0; i < length; i++) words.push(0)
  return words
}

/** The lowest `count` bits. */
const mask = (count: number): number => (count >= WORD ? -1 : (1 << count) - 1)

/** Bits set in a word. @source Warren, Hacker's Delight, 5-1 */
const bits = (word: number): number => {
  word -= (word >>> 1) & 0x55555555
  word = (word & 0x33333333) + ((word >>> 2) & 0x33333333)
  word = (word + (word >>> 4)) & 0x0f0f0f0f
  return Math.imul(word, 0x01010101) >>> 24
}

const pushBits = (ranks: Array<number>, word: number, base: number): void => {
  for (let rest = word; rest !== 0; rest &= rest - 1) {
    ranks.push(base + 31 - Math.clz32(rest & -rest))
  }
}
