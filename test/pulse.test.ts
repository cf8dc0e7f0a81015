import { describe, expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { Pulse } from "../src/link/pulse.ts"

const { keepAliveMs, silenceMsMax, tickMs } = LIMITS

describe("a pulse", () => {
  it("asks to speak after a while of silence of its own, again and again", () => {
    const pulse = new Pulse(LIMITS)
    const spoke: Array<number> = []
    for (let ms = 0; ms <= 3 * keepAliveMs; ms += tickMs) {
      pulse.took()
      if (pulse.tick(ms) !== "speak") continue
      pulse.said()
      spoke.push(ms)
    }
    expect(spoke.length).toBe(2)
    expect(spoke[0]).toBe(keepAliveMs)
  })

  it("is dead once nothing came for too long", () => {
    const pulse = new Pulse(LIMITS)
    let ms = 0
    while (pulse.tick(ms) !== "dead") ms += tickMs
    expect(ms).toBe(silenceMsMax + tickMs)
  })

  it("of a process that stood still goes on by what came meanwhile", () => {
    const pulse = new Pulse(LIMITS)
    pulse.tick(0)
    const wokenMs = 2 * silenceMsMax
    expect(pulse.tick(wokenMs)).toBe("speak")
    pulse.took()
    expect(pulse.tick(wokenMs + tickMs)).not.toBe("dead")
    expect(pulse.tick(wokenMs + silenceMsMax)).not.toBe("dead")
  })
})
