import { afterEach, assert, describe, it, vi } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import type { ErrorCode } from "../src/base/errorCode.ts"
import { Dialer } from "../src/runtime/internal/dialer.ts"
import type { Link } from "../src/runtime/internal/link.ts"

/** A dialer whose links end at once; the waits between them are the longest there are. */
const dialer = () => {
  vi.useFakeTimers()
  vi.spyOn(Math, "random").mockReturnValue(1)
  const dials: Array<number> = []
  const link = { begin: () => dials.push(Date.now()), cut: () => {}, events: {} }
  const it = new Dialer({
    carrier: { dial: () => ({}), listen: () => ({}) } as never,
    address: "127.0.0.1:1",
    limits: LIMITS,
    makeLink: () => link as unknown as Link
  })
  it.dial()
  /** Ends the link and gives the milliseconds until the next is dialled. */
  const wait = (code?: ErrorCode): number => {
    const startMs = Date.now()
    const goodbye = code === undefined ? undefined : { code, detail: "why" }
    it.closed({ goodbye, byPeer: true, text: "why" })
    vi.advanceTimersToNextTimer()
    return dials.at(-1)! - startMs
  }
  return { it, wait }
}

describe("a link is dialled again", () => {
  afterEach(() => {
    vi.useRealTimers()
    vi.restoreAllMocks()
  })

  it("ever more seldom where one side refuses the other for good", () => {
    const { it, wait } = dialer()
    const waits = Array.from({ length: 6 }, () => {
      it.opened()
      return wait("wrong_group")
    })
    assert.deepEqual(waits, [1_000, 2_000, 4_000, 8_000, 16_000, 16_000])
    assert.strictEqual(wait(), 1_000)
  })

  it("every second where it may do better the next time, or nobody listens", () => {
    const { it, wait } = dialer()
    const waits = Array.from({ length: 6 }, () => wait("overloaded"))
    assert.deepEqual(waits, [1_000, 1_000, 1_000, 1_000, 1_000, 1_000])
    it.opened()
    const broken = Array.from({ length: 6 }, () => wait())
    assert.deepEqual(broken, [50, 100, 200, 400, 800, 1_000])
  })
})
