/**
 * One large envelope that comes in fragments. What it holds in memory grows with what came, however
 * small the parts are, and whatever is said to be still to come.
 */
import { NO_BYTES } from "../base/bytes.ts"

export class LargeEnvelope {
  private bytes = NO_BYTES
  private length = 0
  /** What is still to come of the one that is coming; 0: none is. */
  private left = 0

  /** Memory it takes now, for bounds and tests. */
  get size(): number {
    return this.bytes.length
  }

  /** The next part. A string: what is wrong with it; bytes: the whole envelope. */
  take(part: Uint8Array, left: number, bytesMax: number): Uint8Array | string | undefined {
    const came = this.length + part.length
    const total = came + left
    if (total > bytesMax) return `an envelope of ${total} bytes, at most ${bytesMax} are taken`
    if (this.left > 0 && total !== this.length + this.left) {
      return `a fragment that leaves ${left} bytes, where ${this.left} were due`
    }
    if (came > this.bytes.length) {
      const grown = new Uint8Array(Math.min(total, Math.max(came, 2 * this.bytes.length)))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(part, this.length)
    this.length = came
    this.left = left
    if (left > 0) return undefined
    const whole = this.bytes
    this.clear()
    return whole
  }

  clear(): void {
    this.bytes = NO_BYTES
    this.length = 0
    this.left = 0
  }
}
