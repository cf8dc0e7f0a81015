/**
 * Messages whose handler asked to see them again: their votes are tallied, and wait for a key.
 * Charged to their authors, so that one of them fills only its own share.
 */
import type { Limits } from "../base/limits.ts"
import type { Cast } from "./contexts.ts"

interface Entry {
  readonly key: string
  readonly cast: Cast
}
interface Share {
  /** In the order in which they were parked. */
  readonly entries: Set<Entry>
  bytes: number
}

export class Parked {
  private readonly waiting = new Map<string, Set<Entry>>()
  /** By rank of the author. */
  private readonly shares: ReadonlyArray<Share>
  private readonly limits: Limits

  constructor(limits: Limits, members: number) {
    this.limits = limits
    this.shares = Array.from({ length: members }, () => ({ entries: new Set(), bytes: 0 }))
  }

  /** @returns how many older messages of its author had to go, which nobody hands in again */
  add(key: string, cast: Cast): number {
    const share = this.shares[cast.rank]!
    const entry = { key, cast }
    const before = this.waiting.get(key)
    if (before === undefined) this.waiting.set(key, new Set([entry]))
    else before.add(entry)
    share.entries.add(entry)
    share.bytes += cast.word.body.length
    return this.fits(share) ? 0 : this.shrink(share)
  }

  /** Those that wait for `key`, in the order in which they were parked. They wait no more. */
  take(key: string): ReadonlyArray<Cast> {
    const entries = [...(this.waiting.get(key) ?? [])]
    for (const entry of entries) this.remove(entry)
    return entries.map(({ cast }) => cast)
  }

  get count(): number {
    return this.shares.reduce((sum, { entries }) => sum + entries.size, 0)
  }

  private shrink(share: Share): number {
    for (const entry of share.entries) if (entry.cast.instance.ended) this.remove(entry)
    let dropped = 0
    for (const oldest of share.entries) {
      if (this.fits(share)) break
      this.remove(oldest)
      dropped++
    }
    return dropped
  }

  private fits({ entries, bytes }: Share): boolean {
    return entries.size <= this.limits.parkedMax && bytes <= this.limits.cursorBytesMax
  }

  private remove(entry: Entry): void {
    const share = this.shares[entry.cast.rank]!
    share.entries.delete(entry)
    share.bytes -= entry.cast.word.body.length
    const waiting = this.waiting.get(entry.key)!
    waiting.delete(entry)
    if (waiting.size === 0) this.waiting.delete(entry.key)
  }
}
