/** What hosts and clients take from a real process: clock and randomness. */
import type { Clock } from "../../link/ports.ts"

export const randomBytes = (length: number): Uint8Array =>
  globalThis.crypto.getRandomValues(new Uint8Array(length))

/** The wall clock, held where it would go back. */
export const makeClock = (): Clock => {
  let last = 0
  return {
    nowMs: () => {
      const now = Date.now()
      if (now > last) last = now
      return last
    }
  }
}

/**
 * Time as it passes, whatever is done to the wall clock: for keep-alive, back-off and age of links,
 * which would all stand still for as long as the clock was set back.
 */
export const makeSteadyClock = (): Clock => {
  const { timeOrigin } = performance
  return { nowMs: () => Math.floor(timeOrigin + performance.now()) }
}
