/**
 * What a node offers for others to fetch: a few blobs, by digest, until nobody asks any more. It
 * serves any range, whoever asks first, and holds each peer to its rate. Nothing of it is durable.
 */
import { type Blob, DIGEST_BYTES, listBytes } from "../base/blob.ts"
import { hexOf } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { TokenBucket } from "./tokenBucket.ts"

/** A range of a blob, or of its list. */
export interface FetchRange {
  readonly digest: Uint8Array
  /** The range is one of the blob's list of chunk digests. */
  readonly list: boolean
  readonly offset: number
  /** Bytes, at most; fewer where the blob ends. */
  readonly length: number
}
export type FetchAnswer =
  | { readonly kind: "given"; readonly bytes: Uint8Array }
  /** Nothing of that digest is here, or no longer. */
  | { readonly kind: "not_offered" }
  /** The rate is used up, or too much is under way. */
  | { readonly kind: "later"; readonly waitMs: number }

export type FetchLimits = Pick<
  Limits,
  | "fetchBytesMax"
  | "fetchChunkBytes"
  | "fetchOffersMax"
  | "fetchIdleMs"
  | "fetchBytesPerSecond"
  | "fetchAsksMax"
  | "fetchTimeoutMs"
  | "fetchStallMs"
>

/** What one answer may hold: a chunk, or the list of the largest blob. */
export const rangeBytesMax = ({ fetchBytesMax, fetchChunkBytes }: FetchLimits): number =>
  Math.max(fetchChunkBytes, listBytes(fetchBytesMax, fetchChunkBytes))

/** A tenth of a second's bytes, and at least one answer. */
export const makeBucket = (limits: FetchLimits, nowMs: number): TokenBucket => {
  const { fetchBytesPerSecond } = limits
  const burst = Math.max(Math.floor(fetchBytesPerSecond / 10), rangeBytesMax(limits))
  return new TokenBucket(fetchBytesPerSecond, burst, nowMs)
}

interface Offer {
  readonly blob: Blob
  /** When somebody asked last, or it was offered. */
  usedMs: number
  asked: boolean
}

const NOT_OFFERED: FetchAnswer = { kind: "not_offered" }

export class FetchStore {
  /** Asks that were given bytes, and how many; those that were told to come again. */
  readonly counters = { given: 0, givenBytes: 0, later: 0 }
  private readonly limits: FetchLimits
  /** By digest. */
  private readonly offers = new Map<string, Offer>()
  /** Members alone ask. */
  private readonly buckets = new Map<NodeId, TokenBucket>()
  private bytes = 0

  constructor(limits: FetchLimits) {
    this.limits = limits
  }

  /**
   * Keeps a blob until nobody has asked for `fetchIdleMs`. `false`: others are being fetched, and
   * there is no room; who wants this one asks again.
   */
  offer(blob: Blob, nowMs: number): boolean {
    const key = hexOf(blob.digest)
    const before = this.offers.get(key)
    if (before !== undefined) {
      before.usedMs = nowMs
      return true
    }
    this.expire(nowMs)
    if (this.offers.size >= this.limits.fetchOffersMax && !this.makeRoom(nowMs)) return false
    this.offers.set(key, { blob, usedMs: nowMs, asked: false })
    this.bytes += blob.bytes.length
    return true
  }

  ask(peer: NodeId, range: FetchRange, nowMs: number): FetchAnswer {
    const { digest, list, offset, length } = range
    const offer = digest.length === DIGEST_BYTES ? this.offers.get(hexOf(digest)) : undefined
    if (offer === undefined) return NOT_OFFERED
    const from = list ? offer.blob.list : offer.blob.bytes
    const fits = offset <= from.length && length <= rangeBytesMax(this.limits)
    if (!fits) return NOT_OFFERED
    offer.usedMs = nowMs
    offer.asked = true
    const bytes = from.subarray(offset, offset + length)
    const waitMs = this.bucketOf(peer, nowMs).take(bytes.length, nowMs)
    if (waitMs > 0) {
      this.counters.later++
      return { kind: "later", waitMs }
    }
    this.counters.given++
    this.counters.givenBytes += bytes.length
    return { kind: "given", bytes }
  }

  /** Lets go of what nobody asks for. */
  expire(nowMs: number): void {
    for (const [key, { usedMs }] of this.offers) {
      if (nowMs - usedMs >= this.limits.fetchIdleMs) this.drop(key)
    }
  }

  get size(): { readonly offers: number; readonly bytes: number } {
    return { offers: this.offers.size, bytes: this.bytes }
  }

  /** The one that was used least lately goes, unless somebody is fetching it. */
  private makeRoom(nowMs: number): boolean {
    const { fetchTimeoutMs } = this.limits
    const idle = [...this.offers].filter(
      ([, { asked, usedMs }]) => !asked || nowMs - usedMs >= fetchTimeoutMs
    )
    const [first, ...others] = idle
    if (first === undefined) return false
    const [key] = others.reduce((a, b) => (b[1].usedMs < a[1].usedMs ? b : a), first)
    this.drop(key)
    return true
  }

  private drop(key: string): void {
    this.bytes -= this.offers.get(key)!.blob.bytes.length
    this.offers.delete(key)
  }

  private bucketOf(peer: NodeId, nowMs: number): TokenBucket {
    let bucket = this.buckets.get(peer)
    if (bucket === undefined) this.buckets.set(peer, (bucket = makeBucket(this.limits, nowMs)))
    return bucket
  }
}
