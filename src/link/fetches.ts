/** What one node fetches for its protocols, and what it gives to others. */
import type { Blob, Sha256 } from "../base/blob.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { sha256 } from "../base/sha256.ts"
import type { Input } from "../server/Input.ts"
import type { MethodId } from "../server/Message.ts"
import type { Output } from "../server/Output.ts"
import { type FetchAsk, FetchCore, type FetchResult } from "./fetchCore.ts"
import { type FetchAnswer, type FetchRange, FetchStore } from "./fetchStore.ts"
import type { Clock } from "./ports.ts"

export interface FetchesOptions {
  readonly limits: Limits
  /** What the engine goes by. */
  readonly clock: Clock
  /** Time as it passes: a wall clock that is set back must not stop a fetch. */
  readonly steady: Clock
  /** Asks a peer; absent: nothing is ever fetched. */
  readonly ask: ((ask: FetchAsk) => void) | undefined
  /** Absent: the one that needs no host. */
  readonly sha256: Sha256 | undefined
  readonly hand: (input: Input) => void
}

export class Fetches {
  private readonly options: FetchesOptions
  private readonly store: FetchStore
  private readonly core: FetchCore
  /** Of each protocol: what it fetches. */
  private readonly wanted = new Map<MethodId, Uint8Array>()

  constructor(options: FetchesOptions) {
    const { limits, steady } = options
    this.options = options
    this.store = new FetchStore(limits)
    const ports = {
      ask: (ask: FetchAsk): void => options.ask?.(ask),
      ended: (key: string, result: Uint8Array | string): void => this.ended(Number(key), result),
      sha256: options.sha256 ?? sha256
    }
    this.core = new FetchCore(limits, ports, steady.nowMs())
  }

  offer(blob: Blob): void {
    this.store.offer(blob, this.options.steady.nowMs())
  }

  start({ protocol, ...wanted }: Extract<Output, { kind: "fetch" }>): void {
    this.wanted.set(protocol, wanted.digest)
    if (this.options.ask === undefined) return this.ended(protocol, "this host fetches nothing")
    this.core.start(String(protocol), wanted, this.options.steady.nowMs())
  }

  /** What a peer answered to an ask, or that it did not. */
  answered(id: number, result: FetchResult): void {
    this.core.answered(id, result, this.options.steady.nowMs())
  }

  /** A member asks; who it is has been proven. */
  serve(peer: NodeId, range: FetchRange): FetchAnswer {
    return this.store.ask(peer, range, this.options.steady.nowMs())
  }

  tick(): void {
    const nowMs = this.options.steady.nowMs()
    this.store.expire(nowMs)
    this.core.tick(nowMs)
  }

  /** For bounds and tests. */
  get size(): { readonly offers: number; readonly offered: number; readonly fetched: number } {
    const { offers, bytes } = this.store.size
    return { offers, offered: bytes, fetched: this.core.size.bytes }
  }
  get counters(): FetchCore["counters"] & FetchStore["counters"] {
    return { ...this.core.counters, ...this.store.counters }
  }

  private ended(protocol: MethodId, result: Uint8Array | string): void {
    const digest = this.wanted.get(protocol)!
    this.wanted.delete(protocol)
    const atMs = this.options.clock.nowMs()
    this.options.hand({ kind: "fetched", atMs, protocol, digest, result })
  }
}
