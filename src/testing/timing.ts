/** How long things take in a run, and how much there may be of them, drawn from its seed. */
import { LIMITS, type Limits } from "../base/limits.ts"
import type { Prng } from "../base/prng.ts"

export const networkTiming = (random: Prng) => ({
  delayMsMax: 1 + random.below(20),
  slowPerMille: random.below(100),
  slowMsMax: 20 + random.below(200),
  dialMsMax: 1 + random.below(200),
  noticeMsMax: 1 + random.below(300)
})

export const diskTiming = (random: Prng) => ({
  syncMsMax: 1 + random.below(15),
  slowPerMille: random.below(100),
  slowMsMax: 20 + random.below(150)
})

/** One run in three has limits that are hit at once: small windows, segments and turns. */
export const limitsDrawn = (random: Prng): Limits => {
  const tight: Partial<Limits> = {
    bodyBytesMax: 1024,
    batchBytesMax: 4096,
    batchBytesTarget: 1024,
    fragmentBytes: 512,
    creditBytes: 8192,
    linkBytes: 65_536,
    cursorBytesMax: 1024,
    windowCalls: 4,
    earlyVotesMax: 4,
    logSegmentBytes: 8192,
    drainInputsMax: 2
  }
  return { ...LIMITS, ...(random.chance(333) && tight) }
}
