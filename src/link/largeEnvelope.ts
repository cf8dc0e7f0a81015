/** One large envelope that comes in fragments. */
import { Gathered } from "../base/gathered.ts"

export class LargeEnvelope {
  private readonly bytes = new Gathered()
  /** What is still to come of the one that is coming; 0: none is. */
  private left = 0

  /** Memory it takes now, for bounds and tests. */
  get size(): number {
    return this.bytes.size
  }

  /** The next part. A string: what is wrong with it; bytes: the whole envelope. */
  take(part: Uint8Array, left: number, bytesMax: number): Uint8Array | string | undefined {
    const due = this.bytes.length + this.left
    const total = this.bytes.length + part.length + left
    if (total > bytesMax) return `an envelope of ${total} bytes, at most ${bytesMax} are taken`
    if (this.left > 0 && total !== due) {
      return `a fragment that leaves ${left} bytes, where ${this.left} were due`
    }
    this.bytes.add(part, total)
    this.left = left
    return left > 0 ? undefined : this.bytes.take()
  }

  clear(): void {
    this.bytes.clear()
    this.left = 0
  }
}
