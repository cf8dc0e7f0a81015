/**
 * A map from rising numbers to values, for entries that come and go in about the order of their
 * numbers: calls, instances, answers.
 *
 * A Map would do but for one thing: when it is rebuilt, as it often is, its old table points to the
 * new one. Once such a table has grown old, V8's young collector takes all that was in the later
 * ones for alive, and copies it. Where every call passes through that cost a third of all CPU.
 *
 * A ring that grows up to `ringMax`; entries further apart than that are kept in a Map after all.
 */
const EMPTY = -1
const RING_MIN = 16

export class IndexTable<T> {
  private readonly ringMax: number
  private mask = RING_MIN - 1
  private ringKeys: Array<number> = new Array<number>(RING_MIN).fill(EMPTY)
  private ringValues: Array<T | undefined> = new Array<T | undefined>(RING_MIN).fill(undefined)
  /** Invariant: no number is here and in the ring. */
  private far: Map<number, T> | undefined
  private count = 0

  /**
   * @param ringMax numbers that are less than that apart never meet; rounded up to a power of two
   */
  constructor(ringMax: number) {
    this.ringMax = ringMax
  }

  get size(): number {
    return this.count
  }

  get(key: number): T | undefined {
    const at = key & this.mask
    return this.ringKeys[at] === key ? this.ringValues[at] : this.far?.get(key)
  }

  has(key: number): boolean {
    return this.ringKeys[key & this.mask] === key || this.far?.has(key) === true
  }

  /** @param key a whole number from 0 */
  set(key: number, value: T): void {
    if (this.far?.has(key) === true) {
      this.far.set(key, value)
      return
    }
    while (!this.fits(key) && this.mask + 1 < this.ringMax) this.grow()
    const at = key & this.mask
    const before = this.ringKeys[at]!
    if (before !== key) this.count++
    if (before !== key && before !== EMPTY) {
      this.far ??= new Map()
      if (before > key) {
        this.far.set(key, value)
        return
      }
      this.far.set(before, this.ringValues[at]!)
    }
    this.ringKeys[at] = key
    this.ringValues[at] = value
  }

  delete(key: number): void {
    const at = key & this.mask
    if (this.ringKeys[at] === key) {
      this.ringKeys[at] = EMPTY
      this.ringValues[at] = undefined
      this.count--
    } else if (this.far?.delete(key) === true) {
      this.count--
    }
  }

  /** The numbers that are here now, rising. */
  keys(): ReadonlyArray<number> {
    const keys = this.ringKeys.filter((key) => key !== EMPTY)
    if (this.far !== undefined) keys.push(...this.far.keys())
    return keys.sort((a, b) => a - b)
  }

  /** What is here now, by rising number. */
  values(): ReadonlyArray<T> {
    return this.keys().map((key) => this.get(key)!)
  }

  private fits(key: number): boolean {
    const before = this.ringKeys[key & this.mask]!
    return before === EMPTY || before === key
  }

  /** What met in the smaller ring may part; what did not meet there does not meet now. */
  private grow(): void {
    const { ringKeys: keys, ringValues: values } = this
    const size = 2 * keys.length
    this.mask = size - 1
    this.ringKeys = new Array<number>(size).fill(EMPTY)
    this.ringValues = new Array<T | undefined>(size).fill(undefined)
    for (let i = 0; i < keys.length; i++) {
      const key = keys[i]!
      if (key === EMPTY) continue
      this.ringKeys[key & this.mask] = key
      this.ringValues[key & this.mask] = values[i]
    }
  }
}
