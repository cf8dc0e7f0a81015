/** How long things take in a run, drawn from its seed. */
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
