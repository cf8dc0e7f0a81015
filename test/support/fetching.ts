/** A receiver among peers of all kinds, in virtual time. */
import { type Blob, blobOf } from "../../src/base/blob.ts"
import { LIMITS } from "../../src/base/limits.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { Prng } from "../../src/base/prng.ts"
import { sha256 } from "../../src/base/sha256.ts"
import { type FetchAsk, FetchCore, type FetchResult } from "../../src/link/fetchCore.ts"
import { FetchStore } from "../../src/link/fetchStore.ts"

export const TINY = {
  ...LIMITS,
  fetchBytesMax: 10_000,
  fetchChunkBytes: 100,
  fetchOffersMax: 2,
  fetchIdleMs: 3_000,
  fetchBytesPerSecond: 1_000_000,
  fetchAsksMax: 2,
  fetchTimeoutMs: 200,
  fetchStallMs: 2_000
}

/** What a peer does with an ask; `undefined`: it is silent. */
export type Habit = (ask: FetchAsk, honest: FetchResult, nowMs: number) => FetchResult | undefined

export const HABITS = {
  honest: (_ask, honest) => honest,
  lying: (_ask, honest) =>
    honest.kind === "given" ? { kind: "given", bytes: honest.bytes.with(0, 255) } : honest,
  short: (_ask, honest) =>
    honest.kind === "given" ? { kind: "given", bytes: honest.bytes.subarray(1) } : honest,
  silent: () => undefined,
  busy: () => ({ kind: "later", waitMs: 1e9 }),
  empty: () => ({ kind: "not_offered" }),
  away: () => ({ kind: "unreachable" })
} satisfies { readonly [name: string]: Habit }

export const blobWith = (length: number, seed = 1): Blob => {
  const random = new Prng(seed)
  return blobOf(
    Uint8Array.from({ length }, () => random.below(255)),
    TINY.fetchChunkBytes
  )
}

export class FetchWorld {
  nowMs = 0
  readonly core: FetchCore
  readonly ended: Array<readonly [key: string, result: Uint8Array | string]> = []
  readonly asks: Array<FetchAsk> = []
  /** Bytes that each peer gave. */
  readonly gave = new Map<NodeId, number>()
  readonly habits = new Map<NodeId, Habit>()
  /** Milliseconds to an answer, by peer. */
  readonly delays = new Map<NodeId, number>()
  readonly stores = new Map<NodeId, FetchStore>()
  private readonly limits: typeof TINY
  private readonly random: Prng
  private readonly answers: Array<{ atMs: number; id: number; result: FetchResult }> = []

  constructor(limits: Partial<typeof TINY> = {}, seed = 1) {
    this.limits = { ...TINY, ...limits }
    this.random = new Prng(seed)
    const ended = (key: string, result: Uint8Array | string): void => {
      this.ended.push([key, result])
    }
    this.core = new FetchCore(this.limits, { ask: (a) => this.ask(a), ended, sha256 }, 0)
  }

  /** Some peers, numbered from `first`, that offer the blob. */
  peers(blob: Blob, habits: ReadonlyArray<Habit>, first = 1): ReadonlyArray<NodeId> {
    return habits.map((habit, i) => {
      const store = this.stores.get(first + i) ?? new FetchStore(this.limits)
      store.offer(blob, this.nowMs)
      this.stores.set(first + i, store)
      this.habits.set(first + i, habit)
      return first + i
    })
  }

  start(blob: Blob, from: ReadonlyArray<NodeId>, key = "a"): void {
    this.core.start(key, { digest: blob.digest, length: blob.bytes.length, from }, this.nowMs)
  }

  run(ms: number): void {
    for (const untilMs = this.nowMs + ms; this.nowMs < untilMs; ) {
      this.nowMs++
      const due = this.answers.filter(({ atMs }) => atMs <= this.nowMs)
      for (const answer of due) {
        this.answers.splice(this.answers.indexOf(answer), 1)
        this.core.answered(answer.id, answer.result, this.nowMs)
      }
      if (this.nowMs % 10 === 0) this.core.tick(this.nowMs)
    }
  }

  private ask(ask: FetchAsk): void {
    const { peer, id } = ask
    this.asks.push(ask)
    const honest = this.stores.get(peer)!.ask(9, ask, this.nowMs)
    const result = this.habits.get(peer)!(ask, honest, this.nowMs)
    if (result === undefined) return
    if (result.kind === "given") {
      this.gave.set(peer, (this.gave.get(peer) ?? 0) + result.bytes.length)
    }
    const delayMs = this.delays.get(peer) ?? 1 + this.random.below(20)
    this.answers.push({ atMs: this.nowMs + delayMs, id, result })
  }
}
