/** What a node fetches and gives, by its two clocks. */
import { expect, it } from "vitest"
import { blobOf } from "../src/base/blob.ts"
import { LIMITS } from "../src/base/limits.ts"
import type { FetchAsk } from "../src/link/fetchCore.ts"
import { Fetches } from "../src/link/fetches.ts"
import type { Input } from "../src/server/Input.ts"

const blob = blobOf(new Uint8Array(9), LIMITS.fetchChunkBytes)
const wanted = { kind: "fetch", protocol: 7, digest: blob.digest, length: 9, from: [2] } as const

const make = (ask?: (ask: FetchAsk) => void) => {
  const inputs: Array<Input> = []
  const steady = { atMs: 0 }
  const fetches = new Fetches({
    limits: LIMITS,
    clock: { nowMs: () => 5 },
    steady: { nowMs: () => steady.atMs },
    ask,
    sha256: undefined,
    hand: (input) => inputs.push(input)
  })
  return { fetches, inputs, steady }
}

it("a fetch goes on, and ends, while the wall clock stands still", () => {
  const asks: Array<FetchAsk> = []
  const { fetches, inputs, steady } = make((ask) => asks.push(ask))
  fetches.start(wanted)
  expect(asks).toHaveLength(1)
  steady.atMs += LIMITS.fetchTimeoutMs
  fetches.tick()
  expect(asks).toHaveLength(2)
  fetches.answered(asks[1]!.id, { kind: "given", bytes: blob.list })
  fetches.answered(asks[2]!.id, { kind: "given", bytes: blob.bytes })
  const { protocol, digest } = wanted
  expect(inputs).toEqual([{ kind: "fetched", atMs: 5, protocol, digest, result: blob.bytes }])
})

it("an offer is let go of while the wall clock stands still", () => {
  const { fetches, steady } = make()
  fetches.offer(blob)
  expect(fetches.size).toEqual({ offers: 1, offered: 9, fetched: 0 })
  steady.atMs += LIMITS.fetchIdleMs
  fetches.tick()
  expect(fetches.size.offers).toBe(0)
})

it("a host without a way to ask says so", () => {
  const { fetches, inputs } = make()
  fetches.start(wanted)
  expect(inputs).toMatchObject([{ kind: "fetched", result: "this host fetches nothing" }])
})
