/**
 * Bytes that come in parts. The memory grows with what came, at most to twice of it and never above
 * `bytesMax`, however small the parts are and whatever is said to be still to come.
 */
import { NO_BYTES } from "./bytes.ts"

export class Gathered {
  /** Bytes that came. */
  length = 0
  private bytes = NO_BYTES

  /** Memory it takes now, for bounds and tests. */
  get size(): number {
    return this.bytes.length
  }

  /** @param bytesMax what comes at most in all, this part included */
  add(part: Uint8Array, bytesMax: number): void {
    const came = this.length + part.length
    if (came > this.bytes.length) {
      const grown = new Uint8Array(Math.min(bytesMax, Math.max(came, 2 * this.bytes.length)))
      grown.set(this.bytes.subarray(0, this.length))
      this.bytes = grown
    }
    this.bytes.set(part, this.length)
    this.length = came
  }

  /** All that came, as bytes of their own; it is empty again. */
  take(): Uint8Array {
    const { bytes, length } = this
    this.clear()
    return length === bytes.length ? bytes : bytes.slice(0, length)
  }

  clear(): void {
    this.bytes = NO_BYTES
    this.length = 0
  }
}
