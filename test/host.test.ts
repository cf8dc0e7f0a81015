/** The turns of a host: who has much to do gets no more of them than the others. */
import { afterEach, assert, describe, it, vi } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import type { Group } from "../src/runtime/Group.ts"
import { Host, type Hosted, STOPPING } from "../src/runtime/Host.ts"
import { makeClock } from "../src/runtime/internal/random.ts"
import { makeMemoryNetwork } from "../src/runtime/memoryCarrier.ts"

afterEach(() => {
  vi.useRealTimers()
})

const hostOf = (): Host => {
  const { carrier } = makeMemoryNetwork()
  const print = (): void => {}
  return new Host({ limits: LIMITS, clock: makeClock(), carrier, name: "host", print })
}

/** A node that takes `turns` turns for its work. */
const hosted = (host: Host, log: Array<string>, name: string, turns: number): Hosted => {
  let left = turns
  const node: Hosted = {
    group: { name } as Group["Service"],
    ways: { dial: () => assert.fail("nobody dials") },
    drain: () => {
      log.push(name)
      if (--left > 0) host.wake(node)
    },
    tick: () => {}
  }
  host.join(node)
  return node
}

describe("a host", () => {
  it("gives each node that has work its part of every turn", () => {
    vi.useFakeTimers({ toFake: ["setImmediate", "setInterval"] })
    const host = hostOf()
    const log: Array<string> = []
    const busy = hosted(host, log, "busy", 5)
    const other = hosted(host, log, "other", 2)
    hosted(host, log, "idle", 1)
    host.wake(busy)
    host.wake(other)
    vi.runAllTicks()
    for (let i = 0; i < 9; i++) vi.advanceTimersToNextTimer()
    assert.deepEqual(log, ["busy", "other", "busy", "other", "busy", "busy", "busy"])
    host.close(STOPPING)
    host.leave(busy)
    assert.strictEqual(host.size, 2)
  })
})
