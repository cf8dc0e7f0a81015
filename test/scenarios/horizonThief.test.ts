import { describe, expect, it } from "vitest"
import { bracha, Nodes, session } from "../support/engines.ts"
import { rb } from "../support/tries.ts"

const NOW = 1_000_000

describe("the horizon thief", () => {
  it("fresh keys with `opened` in the future evict nobody who is new, and expire nobody", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { sessionsMax: 4 })
    nodes.atMs = NOW
    for (const n of [1, 2]) nodes.call(1, rb(1, { session: session(n, NOW - 5_000) }))
    for (let n = 3; n < 40; n++) {
      nodes.call(1, rb(1, { session: session(n, NOW + 60_000) }))
      nodes.call(1, rb(1, { session: session(n, NOW + 60_001) }))
    }
    const codes = nodes.replies.map(({ reply }) => reply.code)
    expect(new Set(codes)).toEqual(new Set(["overloaded", "too_early"]))
    nodes.replies.length = 0
    for (const n of [1, 2]) nodes.call(1, rb(1, { session: session(n, NOW - 5_000) }))
    expect(nodes.replies).toEqual([])
    expect(nodes.engines.get(1)!.counters["session_evicted"]).toBeUndefined()
  })

  it("old keys raise the horizon no further than sessionEvictAgeMs below the clock", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { sessionsMax: 4 })
    nodes.atMs = NOW
    for (let n = 1; n < 200; n++) {
      nodes.call(1, rb(1, { session: session(n, NOW - 10_100 + n) }))
    }
    const told = nodes.outputs.flatMap(({ output }) =>
      output.kind === "horizon" ? [output.horizonMs] : []
    )
    expect(Math.max(...told)).toBe(NOW - 10_000)
  })
})
