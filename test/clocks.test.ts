import { afterEach, describe, expect, it, vi } from "vitest"
import { makeClock, makeSteadyClock } from "../src/runtime/internal/random.ts"

afterEach(() => void vi.restoreAllMocks())

describe("a wall clock that is set back by an hour", () => {
  it("stands still for nodes, and goes on for their links", () => {
    const [wall, steady] = [makeClock(), makeSteadyClock()]
    const [wallMs, steadyMs] = [wall.nowMs(), steady.nowMs()]
    vi.spyOn(Date, "now").mockReturnValue(wallMs - 3_600_000)
    vi.spyOn(performance, "now").mockReturnValue(performance.now() + 5_000)
    expect(wall.nowMs()).toBe(wallMs)
    expect(steady.nowMs() - steadyMs).toBeGreaterThanOrEqual(5_000)
  })
})
