/** What a node offers for others to fetch, and for how long. */
import { describe, expect, it } from "vitest"
import { type Blob, blobOf } from "../src/base/blob.ts"
import { LIMITS } from "../src/base/limits.ts"
import { FetchStore } from "../src/link/fetchStore.ts"

const limits = {
  ...LIMITS,
  fetchBytesMax: 1_000,
  fetchChunkBytes: 100,
  fetchOffersMax: 2,
  fetchIdleMs: 1_000,
  fetchTimeoutMs: 100,
  fetchBytesPerSecond: 1_000
}
const blob = (fill: number): Blob => blobOf(new Uint8Array(250).fill(fill), 100)
const ask = (store: FetchStore, { digest }: Blob, nowMs: number, peer = 2) =>
  store.ask(peer, { digest, list: false, offset: 200, length: 100 }, nowMs)
const has = (store: FetchStore, of: Blob): boolean =>
  store.ask(9, { digest: of.digest, list: false, offset: 0, length: 0 }, 0).kind === "given"

describe("a store of offers", () => {
  it("gives ranges of a blob, and of its list, as views", () => {
    const store = new FetchStore(limits)
    const offered = blob(1)
    expect(ask(store, offered, 0)).toEqual({ kind: "not_offered" })
    expect(store.offer(offered, 0)).toBe(true)
    const given = ask(store, offered, 0)
    expect(given).toEqual({ kind: "given", bytes: new Uint8Array(50).fill(1) })
    expect(given.kind === "given" && given.bytes.buffer).toBe(offered.bytes.buffer)
    const { digest, list } = offered
    const all = store.ask(2, { digest, list: true, offset: 0, length: 300 }, 0)
    expect(all).toEqual({ kind: "given", bytes: list })
  })

  it("gives nothing beyond what an answer may hold, or behind the end", () => {
    const store = new FetchStore(limits)
    const { digest } = blob(1)
    store.offer(blob(1), 0)
    const range = { digest, list: false, offset: 0, length: 100 }
    for (const wrong of [
      { ...range, length: 349 },
      { ...range, offset: 251 },
      { ...range, digest: digest.subarray(1) }
    ]) {
      expect(store.ask(2, wrong, 0)).toEqual({ kind: "not_offered" })
    }
  })

  it("lets go of what nobody asks for", () => {
    const store = new FetchStore(limits)
    store.offer(blob(1), 0)
    ask(store, blob(1), 900)
    store.expire(1_800)
    expect(store.size).toEqual({ offers: 1, bytes: 250 })
    store.expire(1_900)
    expect(store.size).toEqual({ offers: 0, bytes: 0 })
  })

  it("P8: keeps a few, and takes a new one for one that nobody is fetching", () => {
    const store = new FetchStore(limits)
    for (const fill of [1, 2]) expect(store.offer(blob(fill), fill)).toBe(true)
    ask(store, blob(1), 10)
    expect(store.offer(blob(3), 20)).toBe(true)
    expect([1, 2, 3].map((fill) => has(store, blob(fill)))).toEqual([true, false, true])
    ask(store, blob(3), 30)
    ask(store, blob(1), 31)
    expect(store.offer(blob(4), 40)).toBe(false)
    expect(store.offer(blob(3), 40)).toBe(true)
    expect(store.offer(blob(4), 131)).toBe(true)
    expect([1, 3, 4].map((fill) => has(store, blob(fill)))).toEqual([false, true, true])
  })

  it("holds each peer to its rate", () => {
    const store = new FetchStore(limits)
    const { digest } = blob(1)
    store.offer(blob(1), 0)
    const range = { digest, list: false, offset: 0, length: 100 }
    const kinds = (peer: number, nowMs: number) =>
      Array.from({ length: 5 }, () => store.ask(peer, range, nowMs).kind)
    const burst = ["given", "given", "given", "later", "later"]
    expect(kinds(2, 0)).toEqual(burst)
    expect(kinds(3, 0)).toEqual(burst)
    expect(store.ask(2, range, 10)).toEqual({ kind: "later", waitMs: 42 })
    expect(store.ask(2, range, 52).kind).toBe("given")
  })
})
