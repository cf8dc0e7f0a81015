/**
 * Fetches blobs from several peers at once, range by range. Each chunk is checked against the
 * blob's digest as it comes: a peer that lies is found at its first bad chunk and asked no more, a
 * slow one holds up its own ranges only. What has come stays while peers come and go, and is taken
 * into the next fetch, chunk by chunk.
 */
import { listBytes, type Sha256 } from "../base/blob.ts"
import { bytesEqual } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import {
  type FetchAnswer,
  type FetchLimits,
  type FetchRange,
  makeBucket,
  rangeBytesMax
} from "./fetchStore.ts"
import { IncomingBlob, type Parts, type Source } from "./incomingBlob.ts"
import type { TokenBucket } from "./tokenBucket.ts"

/** One range that one peer is asked for; its answer names the id. */
export interface FetchAsk extends FetchRange {
  readonly id: number
  readonly peer: NodeId
}
export interface Wanted {
  readonly digest: Uint8Array
  /** Bytes of the blob; at most `fetchBytesMax`. */
  readonly length: number
  /** Who offers it. */
  readonly from: ReadonlyArray<NodeId>
}
/** `unreachable`: there was no answer, and there will be none. */
export type FetchResult = FetchAnswer | { readonly kind: "unreachable" }

export interface FetchPorts {
  /** Never answers within the call. */
  readonly ask: (ask: FetchAsk) => void
  /** Once for each fetch: its bytes, which nobody may write into, or why there are none. */
  readonly ended: (key: string, result: Uint8Array | string) => void
  readonly sha256: Sha256
}

type CoreLimits = FetchLimits & Pick<Limits, "redialMsMin" | "redialMsMax">

/** So often in a row a peer may let time run out; it is asked for one range at a time meanwhile. */
const TIMEOUTS_MAX = 3
/** Back-off doubles so often. */
const DOUBLINGS_MAX = 10
/** In place of a chunk: the list of the chunks' digests. */
const LIST = -1

interface Asked {
  readonly blob: IncomingBlob
  readonly source: Source
  /** Or {@link LIST}. */
  readonly chunk: number
  readonly dueMs: number
}

export class FetchCore {
  /** What happened, for the operator. */
  readonly counters = { chunks: 0, reused: 0, lied: 0, slow: 0, late: 0 }
  private readonly limits: CoreLimits
  private readonly ports: FetchPorts
  private readonly blobs = new Map<string, IncomingBlob>()
  /** What the last fetch under a key had: the next one may need the same, or nearly. */
  private readonly earlier = new Map<string, { readonly parts: Parts; readonly atMs: number }>()
  private readonly asked = new Map<number, Asked>()
  private readonly bucket: TokenBucket
  private lastId = 0

  constructor(limits: CoreLimits, ports: FetchPorts, nowMs: number) {
    this.limits = limits
    this.ports = ports
    this.bucket = makeBucket(limits, nowMs)
  }

  /**
   * Begins a fetch, or adds peers to one of the same digest. One of another digest under this key
   * gives way, without an end of its own.
   * @param key whose it is
   */
  start(key: string, wanted: Wanted, nowMs: number): void {
    let blob = this.blobs.get(key)
    if (blob === undefined || !bytesEqual(blob.digest, wanted.digest)) {
      if (blob !== undefined) this.end(blob, nowMs)
      blob = new IncomingBlob(key, wanted, this.earlier.get(key)?.parts, nowMs)
      this.earlier.delete(key)
      this.blobs.set(key, blob)
    }
    blob.offered(wanted.from)
    this.turn(blob, nowMs)
  }

  /** The answer to an ask, or that none will come. */
  answered(id: number, result: FetchResult, nowMs: number): void {
    const asked = this.asked.get(id)
    if (asked === undefined) {
      this.counters.late++
      return
    }
    const { blob, source } = asked
    this.forget(id, asked)
    if (this.took(asked, result, nowMs)) {
      source.timeouts = 0
      source.breaks = 0
      blob.progressMs = nowMs
    } else this.putBack(asked)
    this.turn(blob, nowMs)
  }

  /** Often: what is due is given up or asked for. */
  tick(nowMs: number): void {
    const late = new Set<Source>()
    for (const [id, asked] of this.asked) {
      if (asked.dueMs > nowMs) continue
      this.forget(id, asked)
      this.putBack(asked)
      late.add(asked.source)
    }
    for (const source of late) this.timedOut(source)
    for (const [key, { atMs }] of this.earlier) {
      if (nowMs - atMs >= this.limits.fetchIdleMs) this.earlier.delete(key)
    }
    for (const blob of [...this.blobs.values()]) this.turn(blob, nowMs)
  }

  /** Fetches under way, their bytes, and what is asked for; for bounds and tests. */
  get size(): { readonly fetches: number; readonly bytes: number; readonly asks: number } {
    const parts = [...this.earlier.values()].map((kept) => kept.parts)
    for (const { kept } of this.blobs.values()) parts.push(...kept)
    const bytes = parts.reduce((sum, part) => sum + part.bytes.length, 0)
    return { fetches: this.blobs.size, bytes, asks: this.asked.size }
  }

  // ---------------------------------------------------------------- what comes

  /** Whether a part was taken. */
  private took(asked: Asked, result: FetchResult, nowMs: number): boolean {
    const { blob, source, chunk } = asked
    switch (result.kind) {
      case "given": {
        const good =
          chunk === LIST
            ? this.tookList(blob, result.bytes, nowMs)
            : blob.took(chunk, result.bytes, this.ports.sha256)
        if (good && chunk !== LIST) this.counters.chunks++
        if (good) return true
        this.drop(source, "lied")
        return false
      }
      case "not_offered":
        source.gone ??= "not_offered"
        return false
      case "later":
        source.notBeforeMs = nowMs + Math.min(result.waitMs, this.limits.fetchTimeoutMs)
        return false
      case "unreachable": {
        const { redialMsMin, redialMsMax } = this.limits
        const doubled = redialMsMin * 2 ** Math.min(source.breaks++, DOUBLINGS_MAX)
        source.notBeforeMs = nowMs + Math.min(doubled, redialMsMax)
        return false
      }
    }
  }

  private tookList(blob: IncomingBlob, list: Uint8Array, nowMs: number): boolean {
    if (blob.parts !== undefined) return bytesEqual(blob.parts.list, list)
    if (!bytesEqual(this.ports.sha256(list), blob.digest)) return false
    if (blob.begin(list, rangeBytesMax(this.limits))) {
      this.counters.reused += blob.reused
      return true
    }
    // The digest is right, so its maker wrote this: it is not the sender's lie.
    this.end(blob, nowMs)
    this.ports.ended(blob.key, `the digest names no list of ${blob.length} bytes`)
    return true
  }

  private putBack({ blob, chunk }: Asked): void {
    if (chunk !== LIST) blob.putBack(chunk)
  }

  private timedOut(source: Source): void {
    if (++source.timeouts >= TIMEOUTS_MAX && source.gone === undefined) this.drop(source, "slow")
  }

  /** What it is asked for, others may be asked for at once. */
  private drop(source: Source, why: "lied" | "slow"): void {
    source.gone = why
    this.counters[why]++
    for (const [id, asked] of this.asked) {
      if (asked.source !== source) continue
      this.forget(id, asked)
      this.putBack(asked)
    }
  }

  // ---------------------------------------------------------------- what is asked for

  /** Asks for what can be asked for now, or ends the fetch. */
  private turn(blob: IncomingBlob, nowMs: number): void {
    if (this.blobs.get(blob.key) !== blob) return
    if (blob.whole) {
      this.end(blob, nowMs)
      return this.ports.ended(blob.key, blob.parts!.bytes)
    }
    const sources = [...blob.sources.values()].filter(({ gone }) => gone === undefined)
    const stalled = nowMs - blob.progressMs >= this.limits.fetchStallMs
    if (sources.length === 0 || stalled) {
      this.end(blob, nowMs)
      return this.ports.ended(blob.key, whyNot(blob, stalled))
    }
    for (let asking = true; asking; ) {
      asking = false
      // In turns, so that all of them are at work.
      for (const source of sources) {
        if (source.notBeforeMs <= nowMs && this.askOne(blob, source, nowMs)) asking = true
      }
    }
  }

  private askOne(blob: IncomingBlob, source: Source, nowMs: number): boolean {
    const { fetchAsksMax, fetchChunkBytes } = this.limits
    if (blob.parts === undefined) {
      // Of everybody: it is small, and the first good one will do.
      if (source.asks > 0) return false
      if (this.bucket.take(listBytes(blob.length, fetchChunkBytes), nowMs) > 0) return false
      // The whole list: where the length was a lie, it was not this peer's.
      const length = rangeBytesMax(this.limits)
      this.ask(blob, source, LIST, { list: true, offset: 0, length }, nowMs)
      return true
    }
    if (source.asks >= (source.timeouts > 0 ? 1 : fetchAsksMax)) return false
    const chunk = blob.take()
    if (chunk === undefined) return false
    const length = blob.lengthOf(chunk)
    if (this.bucket.take(length, nowMs) > 0) {
      blob.putBack(chunk)
      return false
    }
    const offset = chunk * blob.parts.chunkBytes
    this.ask(blob, source, chunk, { list: false, offset, length }, nowMs)
    return true
  }

  private ask(
    blob: IncomingBlob,
    source: Source,
    chunk: number,
    range: Omit<FetchRange, "digest">,
    nowMs: number
  ): void {
    const id = ++this.lastId
    const dueMs = nowMs + this.limits.fetchTimeoutMs
    source.asks++
    this.asked.set(id, { blob, source, chunk, dueMs })
    this.ports.ask({ id, peer: source.peer, digest: blob.digest, ...range })
  }

  private forget(id: number, { source }: Asked): void {
    this.asked.delete(id)
    source.asks--
  }

  /** What has come is kept for the next fetch under this key. */
  private end(blob: IncomingBlob, nowMs: number): void {
    this.blobs.delete(blob.key)
    for (const [id, asked] of this.asked) if (asked.blob === blob) this.asked.delete(id)
    const [parts] = blob.kept
    if (parts !== undefined) this.earlier.set(blob.key, { parts, atMs: nowMs })
  }
}

const whyNot = ({ sources }: IncomingBlob, stalled: boolean): string => {
  const texts = [...sources.values()].map(
    ({ peer, gone }) => `node ${peer} ${TEXT[gone ?? "none"]}`
  )
  return `${stalled ? "nothing came for too long" : "nobody is left to ask"}: ${texts.join(", ")}`
}
const TEXT = {
  lied: "gave other bytes than the digest names",
  slow: "did not answer in time",
  not_offered: "has it no more",
  none: "was asked"
} as const
