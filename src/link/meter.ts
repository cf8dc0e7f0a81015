/**
 * How far somebody is ahead of a rate: a token bucket kept as the one time at which it is full.
 * @source Turner, New directions in communications (or which way to the information age?), IEEE
 * Communications Magazine, 1986; in this form ITU-T I.371, annex A (GCRA)
 */
export interface Rate {
  readonly messagesPerSecond: number
  readonly bytesPerSecond: number
  /** What one may be ahead of the rate, told as time. */
  readonly burstMs: number
}

export class Meter {
  private readonly messageMs: number
  private readonly byteMs: number
  private readonly burstMs: number
  /** When all that was taken is paid for. */
  private messagesPaidMs = 0
  private bytesPaidMs = 0

  constructor({ messagesPerSecond, bytesPerSecond, burstMs }: Rate) {
    this.messageMs = 1_000 / messagesPerSecond
    this.byteMs = 1_000 / bytesPerSecond
    this.burstMs = burstMs
  }

  /** @returns how long, in milliseconds, until another one is within the rate; 0: it is now */
  take(bytes: number, atMs: number): number {
    const messagesMs = Math.max(this.messagesPaidMs, atMs) + this.messageMs
    const bytesMs = Math.max(this.bytesPaidMs, atMs) + this.byteMs * bytes
    this.messagesPaidMs = messagesMs
    this.bytesPaidMs = bytesMs
    return Math.max(0, Math.max(messagesMs, bytesMs) - atMs - this.burstMs)
  }

  /** Takes it only where it is within the rate. */
  allows(bytes: number, atMs: number): boolean {
    const paidMs = Math.max(this.messagesPaidMs, this.bytesPaidMs)
    if (paidMs > atMs + this.burstMs) return false
    this.take(bytes, atMs)
    return true
  }

  /** Nothing is owed: as if it were new. */
  idle(atMs: number): boolean {
    return this.messagesPaidMs <= atMs && this.bytesPaidMs <= atMs
  }
}
