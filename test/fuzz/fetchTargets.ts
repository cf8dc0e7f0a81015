/** What members ask each other for beside their links, what they are given, and lists of blobs. */
import fc from "fast-check"
import { blobOf, chunkBytesOf, chunkDigest } from "../../src/base/blob.ts"
import { LIMITS } from "../../src/base/limits.ts"
import { FetchStore } from "../../src/link/fetchStore.ts"
import {
  decodeFetchAnswer,
  decodeFetchCall,
  encodeFetchAnswer,
  encodeFetchCall
} from "../../src/runtime/platform-node/wireFetch.ts"
import { exactly } from "../support/wire.ts"
import type { Target } from "./fuzz.ts"
import { roundTrip } from "./roundTrip.ts"

const LENGTH = 50
const blob = blobOf(new Uint8Array(LENGTH).fill(7), 16)

const call = fc.record({
  groupDigest: exactly(32),
  node: fc.integer({ min: 1, max: 65_535 }),
  token: exactly(16),
  digest: fc.oneof(exactly(32), fc.constant(blob.digest)),
  list: fc.boolean(),
  offset: fc.integer({ min: 0, max: 60 }),
  length: fc.integer({ min: 0, max: 60 })
})
const answer = fc.oneof(
  fc.record({ kind: fc.constant("given" as const), bytes: fc.uint8Array({ maxLength: 40 }) }),
  fc.constant({ kind: "not_offered" as const }),
  fc.record({ kind: fc.constant("later" as const), waitMs: fc.nat(100_000) })
)

const calls: Target = {
  name: "fetch call",
  cost: 4,
  corpus: (seed) => fc.sample(call, { seed, numRuns: 300 }).map(encodeFetchCall),
  run: (bytes) => {
    const read = roundTrip(bytes, decodeFetchCall, encodeFetchCall)
    const asked = decodeFetchCall(bytes)
    if (asked === undefined) return read
    const store = new FetchStore(LIMITS)
    store.offer(blob, 0)
    const given = store.ask(asked.node, asked, 0)
    if (given.kind === "given" && given.bytes.length > blob.list.length) throw new Error("too much")
    return read
  }
}

const answers: Target = {
  name: "fetch answer",
  cost: 4,
  corpus: (seed) => fc.sample(answer, { seed, numRuns: 300 }).map(encodeFetchAnswer),
  run: (bytes) => roundTrip(bytes, decodeFetchAnswer, encodeFetchAnswer)
}

const lists: Target = {
  name: "blob list",
  cost: 1,
  corpus: () =>
    [1, 7, 16, 49, 50, 51].map((size) => blobOf(new Uint8Array(LENGTH).fill(size), size).list),
  run: (bytes) => {
    const chunkBytes = chunkBytesOf(bytes, LENGTH)
    if (chunkBytes === undefined) return false
    const last = Math.ceil(LENGTH / chunkBytes) - 1
    if (chunkDigest(bytes, last).length !== 32) throw new Error("a chunk without a digest")
    return true
  }
}

export const FETCHES: ReadonlyArray<Target> = [calls, answers, lists]
