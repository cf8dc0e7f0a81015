/** A rate: so many bytes a second, and at most a burst of them at once. Whole numbers only. */
export class TokenBucket {
  private readonly bytesPerSecond: number
  /** In thousandths of a byte, so that every millisecond counts. */
  private readonly burst: number
  private level: number
  private atMs: number

  /** Full at `nowMs`. */
  constructor(bytesPerSecond: number, burstBytes: number, nowMs: number) {
    this.bytesPerSecond = bytesPerSecond
    this.burst = burstBytes * 1000
    this.level = this.burst
    this.atMs = nowMs
  }

  /** Takes `bytes`, or none and says how many milliseconds to wait. More than a burst takes all. */
  take(bytes: number, nowMs: number): number {
    const passedMs = Math.max(0, nowMs - this.atMs)
    this.atMs = Math.max(nowMs, this.atMs)
    const filled = passedMs * this.bytesPerSecond
    this.level = Math.min(this.burst, this.level + filled)
    const needed = Math.min(bytes * 1000, this.burst)
    if (this.level >= needed) {
      this.level -= needed
      return 0
    }
    return Math.ceil((needed - this.level) / this.bytesPerSecond)
  }
}
