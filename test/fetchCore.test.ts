/** Blobs from several peers, some of which lie, are slow or go away. */
import { describe, expect, it } from "vitest"
import { blobOf } from "../src/base/blob.ts"
import { Prng } from "../src/base/prng.ts"
import type { FetchAsk } from "../src/link/fetchCore.ts"
import { blobWith, FetchWorld, HABITS, type Habit, TINY } from "./support/fetching.ts"

const { honest, lying, short, silent, busy, empty, away } = HABITS
const blob = blobWith(5_050)

const fetched = (habits: ReadonlyArray<Habit>, ms = 5_000): FetchWorld => {
  const world = new FetchWorld()
  world.start(blob, world.peers(blob, habits))
  world.run(ms)
  return world
}
const done = [["a", blob.bytes]]
const reasonOf = ({ ended }: FetchWorld): unknown => ended[0]?.[1]

describe("a fetch", () => {
  it("asks all that offer the blob, in turns, and ends with its bytes", () => {
    const world = fetched([honest, honest, honest], 500)
    expect(world.ended).toEqual(done)
    for (const peer of [1, 2, 3]) expect(world.gave.get(peer)).toBeGreaterThan(1_200)
    expect(world.core.size).toEqual({ fetches: 0, bytes: 5_050, asks: 0 })
    world.run(TINY.fetchIdleMs)
    expect(world.core.size).toEqual({ fetches: 0, bytes: 0, asks: 0 })
  })

  it("asks for no chunk twice where all answer", () => {
    const { asks, core } = fetched([honest, honest, honest])
    const chunks = asks.filter(({ list }) => !list)
    expect(new Set(chunks.map(({ offset }) => offset)).size).toBe(chunks.length)
    expect(core.counters).toEqual({ chunks: 51, reused: 0, lied: 0, slow: 0, late: 0 })
  })

  it("ends at once with no bytes, and with a single one", () => {
    for (const length of [0, 1, 100, 101]) {
      const small = blobWith(length)
      const world = new FetchWorld()
      world.start(small, world.peers(small, [honest]))
      world.run(100)
      expect(world.ended).toEqual([["a", small.bytes]])
    }
  })

  it("never has more than so many asks at one peer", () => {
    const world = new FetchWorld()
    world.delays.set(1, 50)
    world.start(blob, world.peers(blob, [honest]))
    for (let i = 0; i < 100; i++) {
      world.run(1)
      expect(world.core.size.asks).toBeLessThanOrEqual(TINY.fetchAsksMax)
    }
  })

  it("keeps to its rate, over all fetches together", () => {
    const world = new FetchWorld({ fetchBytesPerSecond: 5_000 })
    for (const [key, seed] of [
      ["a", 1],
      ["b", 2]
    ] as const) {
      const one = blobWith(9_000, seed)
      world.start(one, world.peers(one, [honest, honest]), key)
    }
    world.run(2_000)
    const gave = (): number => world.gave.get(1)! + world.gave.get(2)!
    expect(gave()).toBeLessThanOrEqual(3_228 + 10_000)
    expect(gave()).toBeGreaterThan(9_000)
    world.run(3_000)
    expect(world.ended).toHaveLength(2)
  })
})

describe("a peer that lies", () => {
  it.each([
    ["about bytes", lying],
    ["about their number", short]
  ])("%s is found at its first range and asked no more", (_, habit) => {
    const world = fetched([habit, honest])
    expect(world.ended).toEqual(done)
    expect(world.asks.filter(({ peer }) => peer === 1)).toHaveLength(1)
    expect(world.core.counters).toMatchObject({ lied: 1 })
  })

  it("about a chunk costs that chunk alone", () => {
    const late: Habit = (ask, given) => (ask.offset > 2_000 ? lying(ask, given) : given)
    const world = fetched([late, honest])
    expect(world.ended).toEqual(done)
    expect(world.core.counters).toMatchObject({ lied: 1, chunks: 51 })
    const wasted = world.asks.filter(({ list }) => !list).length - 51
    expect(wasted).toBeLessThanOrEqual(TINY.fetchAsksMax)
  })

  it("and offers again is not believed again", () => {
    const world = new FetchWorld()
    world.start(blob, world.peers(blob, [lying, honest]))
    world.run(30)
    world.start(blob, [1])
    world.run(1_000)
    expect(world.asks.filter(({ peer }) => peer === 1)).toHaveLength(1)
  })

  it("alone lets the fetch fail, which says so", () => {
    expect(reasonOf(fetched([lying]))).toBe(
      "nobody is left to ask: node 1 gave other bytes than the digest names"
    )
  })
})

describe("a peer that is slow", () => {
  it("costs its own ranges, is asked for one at a time, and is dropped", () => {
    const world = fetched([silent, honest], 600)
    expect(world.ended).toEqual(done)
    const mute: Habit = (ask, given) => (ask.list ? given : undefined)
    const other = fetched([mute, honest], 3_000)
    expect(other.ended).toEqual(done)
    expect(other.asks.filter(({ peer, list }) => peer === 1 && !list).length).toBeLessThanOrEqual(
      TINY.fetchAsksMax + 2
    )
  })

  it("is dropped after three times", () => {
    const world = fetched([silent], 3_000)
    expect(world.asks).toHaveLength(3)
    expect(reasonOf(world)).toBe("nobody is left to ask: node 1 did not answer in time")
    expect(world.core.counters).toMatchObject({ slow: 1 })
  })

  it("whose answer comes late is thanked for nothing", () => {
    const world = new FetchWorld()
    world.delays.set(1, 300)
    world.start(blob, world.peers(blob, [honest]))
    world.run(320)
    expect(world.core.counters).toMatchObject({ late: 1, chunks: 0 })
  })
})

describe("a peer that is away", () => {
  it("is tried again, and what came before it went stays", () => {
    const world = new FetchWorld()
    const gone: Habit = (_ask, given, nowMs) =>
      nowMs > 60 && nowMs < 1_500 ? { kind: "unreachable" } : given
    world.start(blob, world.peers(blob, [gone]))
    world.run(1_000)
    const before = world.core.counters.chunks
    expect(before).toBeGreaterThan(5)
    expect(before).toBeLessThan(51)
    world.run(1_500)
    expect(world.ended).toEqual(done)
    expect(world.core.counters.chunks).toBe(51)
  })

  it("or busy, or without the blob, is waited for until nothing has come for long", () => {
    expect(reasonOf(fetched([away]))).toBe("nothing came for too long: node 1 was asked")
    expect(reasonOf(fetched([busy]))).toBe("nothing came for too long: node 1 was asked")
    const none = fetched([empty, empty], 100)
    expect(reasonOf(none)).toBe(
      "nobody is left to ask: node 1 has it no more, node 2 has it no more"
    )
  })

  it("is no hindrance while another has the blob", () => {
    for (const habit of [away, busy, empty, silent]) {
      expect(fetched([habit, honest], 1_000).ended).toEqual(done)
    }
  })

  it("is asked again where it offers again", () => {
    const world = new FetchWorld()
    const later: Habit = (ask, given, nowMs) => (nowMs < 50 ? empty() : honest(ask, given))
    world.start(blob, world.peers(blob, [later, silent]))
    world.run(100)
    world.start(blob, [1])
    world.run(500)
    expect(world.ended).toEqual(done)
  })
})

describe("a fetch that is over", () => {
  const half = (): FetchWorld => {
    const world = new FetchWorld()
    const some: Habit = (ask, given) => (ask.offset < 2_500 ? given : undefined)
    world.start(blob, world.peers(blob, [some]))
    world.run(2_500)
    expect(world.ended).toHaveLength(1)
    return world
  }

  it("in vain leaves its chunks to the next one of the same digest", () => {
    const world = half()
    world.start(blob, world.peers(blob, [honest], 2))
    world.run(1_000)
    expect(world.ended[1]).toEqual(["a", blob.bytes])
    expect(world.core.counters).toMatchObject({ chunks: 51, reused: 25 })
  })

  it("leaves them to another blob too, wherever they stand in it", () => {
    const world = half()
    const moved = new Uint8Array(5_150)
    moved.set(blob.bytes, 100)
    const next = blobOf(moved, TINY.fetchChunkBytes)
    world.start(next, world.peers(next, [honest], 2))
    world.run(1_000)
    expect(world.ended[1]).toEqual(["a", moved])
    expect(world.core.counters).toMatchObject({ reused: 25 })
  })

  it("and one that did not leave them alike: a newer state costs what changed", () => {
    const world = fetched([honest], 1_000)
    const changed = blobOf(blob.bytes.with(2_222, 255).with(4_444, 255), TINY.fetchChunkBytes)
    world.start(changed, world.peers(changed, [honest], 2))
    world.run(100)
    expect(world.ended[1]).toEqual(["a", changed.bytes])
    expect(world.core.counters).toMatchObject({ chunks: 53, reused: 49 })
  })

  it("is forgotten after a while", () => {
    const world = half()
    expect(world.core.size).toMatchObject({ fetches: 0, bytes: 5_050 })
    world.run(TINY.fetchIdleMs)
    expect(world.core.size.bytes).toBe(0)
  })

  it("gives way to another digest without an end", () => {
    const world = new FetchWorld()
    const next = blobWith(700, 2)
    world.start(blob, world.peers(blob, [honest]))
    world.run(40)
    world.start(next, world.peers(next, [honest], 2))
    world.run(1_000)
    expect(world.ended).toEqual([["a", next.bytes]])
  })

  it("fails at once where the digest names what is no list of the length", () => {
    const world = new FetchWorld()
    const [peer] = world.peers(blob, [honest])
    for (const [i, length] of [5_049, 100, 9_999].entries()) {
      world.core.start("a", { digest: blob.digest, length, from: [peer!] }, world.nowMs)
      world.run(100)
      expect(world.ended[i]).toEqual(["a", `the digest names no list of ${length} bytes`])
    }
    expect(world.core.counters.lied).toBe(0)
  })
})

it("whatever peers do, what ends with bytes ends with the right ones, within bounds", () => {
  const kinds: ReadonlyArray<Habit> = [honest, lying, short, silent, busy, empty, away]
  let whole = 0
  for (let seed = 1; seed <= 150; seed++) {
    const random = new Prng(seed)
    const world = new FetchWorld({}, seed)
    // Each peer changes its ways now and then.
    const habits = Array.from({ length: 1 + random.below(4) }, (): Habit => {
      let now = random.pick(kinds)
      return (ask: FetchAsk, given, nowMs) => {
        if (random.chance(100)) now = random.pick(kinds)
        return now(ask, given, nowMs)
      }
    })
    const one = blobWith(1 + random.below(5_000), seed)
    const from = world.peers(one, habits)
    for (let tries = 0; tries < 20 && !world.ended.some(([, end]) => typeof end !== "string"); ) {
      if (world.ended.length === tries++) world.start(one, from)
      for (let i = 0; i < 50 && world.ended.length < tries; i++) {
        world.run(100)
        expect(world.core.size.bytes).toBeLessThanOrEqual(2 * one.bytes.length)
      }
    }
    for (const [, end] of world.ended) if (typeof end !== "string") expect(end).toEqual(one.bytes)
    if (world.ended.some(([, end]) => typeof end !== "string")) whole++
  }
  expect(whole).toBeGreaterThan(40)
})
