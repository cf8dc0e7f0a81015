/**
 * A rolling hash of everything that happened in a run: two runs of one seed that differ anywhere
 * differ here (P13). Not for secrets.
 */
export class EventHash {
  #low = 0x811c9dc5 | 0
  #high = 0x2f0b4a27 | 0

  /** @param value an integer; what exceeds 32 bits counts with its low and its high word */
  int(value: number): void {
    this.#word(value | 0)
    if (value > 0x7fffffff || value < -0x80000000) this.#word(Math.floor(value / 0x100000000) | 0)
  }

  bytes(bytes: Uint8Array): void {
    const length = bytes.length
    this.#word(length)
    let at = 0
    for (; at + 4 <= length; at += 4) {
      this.#word(
        bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
      )
    }
    let rest = 0
    for (let shift = 0; at < length; at++, shift += 8) rest |= bytes[at]! << shift
    this.#word(rest)
  }

  /** @param text hashed by its UTF-16 code units */
  text(text: string): void {
    this.#word(text.length)
    for (let i = 0; i < text.length; i++) this.#word(text.charCodeAt(i))
  }

  /** 16 hexadecimal digits. */
  digest(): string {
    return hex(mix(this.#low)) + hex(mix(this.#high))
  }

  // Two multiplicative hashes with different factors; the rotation lets high bits reach low ones.
  // @source FNV-1a (Fowler, Noll, Vo 1991) a word at a time; factors of MurmurHash3
  #word(word: number): void {
    const low = Math.imul(this.#low ^ word, 0x01000193)
    this.#low = (low << 13) | (low >>> 19)
    const high = Math.imul(this.#high + word, 0xcc9e2d51)
    this.#high = (high << 15) | (high >>> 17)
  }
}

/** Finalizer of MurmurHash3. */
const mix = (word: number): number => {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b)
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
  return word ^ (word >>> 16)
}

const hex = (word: number): string => (word >>> 0).toString(16).padStart(8, "0")
