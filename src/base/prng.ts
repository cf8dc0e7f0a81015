import { assert } from "./assert.ts"

const WORDS = 4_294_967_296

/**
 * Seeded random numbers: the same seed gives the same numbers on every machine, since the state is
 * four 32-bit integers and no step leaves the integers. Not for secrets.
 *
 * @source sfc32 of C. Doty-Humphrey, PractRand 0.95 (a counter beside a chaotic state: every seed
 * has a period of at least 2^32), its seed spread by splitmix32 (Steele, Lea, Flood, OOPSLA 2014,
 * with the finalizer of MurmurHash3).
 */
export class Prng {
  #a: number
  #b: number
  #c: number
  #counter = 1

  /** @param seed any safe integer */
  constructor(seed: number) {
    assert(Number.isSafeInteger(seed), "a seed is a safe integer")
    let state = 0
    const spread = (word: number): number => {
      state = (state + 0x9e3779b9 + word) | 0
      let z = state
      z = Math.imul(z ^ (z >>> 16), 0x85ebca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35)
      return z ^ (z >>> 16)
    }
    this.#a = spread(seed | 0)
    // Rounded down, so that the two words of -1 are -1 and -1, not those of 2^32 - 1.
    this.#b = spread(Math.floor(seed / WORDS) | 0)
    this.#c = spread(0)
    // The first outputs of a fresh state are the least mixed ones: skipped.
    for (let i = 0; i < 15; i++) this.#next()
  }

  /** An integer in 0 … n-1, each as likely. @param n 1 … 2^32 */
  below(n: number): number {
    assert(Number.isInteger(n) && n >= 1 && n <= WORDS, "a bound is an integer in 1 … 2^32")
    // Above the largest multiple of n, low numbers would be likelier: draw again.
    const fair = WORDS - (WORDS % n)
    let word = this.#next()
    while (word >= fair) word = this.#next()
    return word % n
  }

  /** True `perMille` times of 1,000. Draws a number whatever `perMille` is. */
  chance(perMille: number): boolean {
    assert(perMille >= 0 && perMille <= 1000, "a chance is 0 … 1,000 per mille")
    return this.below(1000) < perMille
  }

  /** One of `xs`, which is not empty. */
  pick<T>(xs: ReadonlyArray<T>): T {
    assert(xs.length > 0, "nothing to pick from")
    return xs[this.below(xs.length)]!
  }

  /** A generator of its own: what is drawn from one does not move the other. */
  fork(): Prng {
    return new Prng(this.below(2_097_152) * WORDS + this.#next())
  }

  bytes(n: number): Uint8Array {
    const bytes = new Uint8Array(n)
    for (let i = 0; i < n; i++) bytes[i] = this.#next() >>> 24
    return bytes
  }

  /** 0 … 2^32-1 */
  #next(): number {
    const sum = (((this.#a + this.#b) | 0) + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }
}
