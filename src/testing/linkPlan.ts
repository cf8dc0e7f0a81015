/** What the links of a run are like, and what goes wrong with them alone: from its seed. */
import { LIMITS, type Limits } from "../base/limits.ts"
import type { Prng } from "../base/prng.ts"
import type { LinkStrength } from "../link/linkHello.ts"
import type { Endpoint } from "./simNetwork.ts"

export interface LinkPlan {
  readonly strength: LinkStrength
  /** What a socket takes. */
  readonly bytesPerMs: number
  /** A second group floods the same links, and is stuck now and then. */
  readonly noise: boolean
}

export const linkPlanOf = (random: Prng): LinkPlan => ({
  strength: random.pick(["plaintext", "plaintext", "authenticated", "encrypted"] as const),
  bytesPerMs: random.pick([100_000, 100_000, 2000, 300]),
  noise: random.chance(250)
})

/** Bounds are hit within a run's few seconds. */
export const linkLimitsOf = (random: Prng, limits: Limits): Partial<Limits> => {
  const { bodyBytesMax, creditBytes, batchBytesTarget } = limits
  const fragmentBytes = random.pick([24, 64, limits.fragmentBytes])
  const least = Math.max(
    4 * (batchBytesTarget + fragmentBytes),
    Math.ceil((4 * (bodyBytesMax + 1024)) / 3)
  )
  const keepAliveMs = 100 + random.below(600)
  return {
    keepAliveMs,
    unaryKeepAliveMs: keepAliveMs,
    silenceMsMax: 2 * keepAliveMs + 800 + random.below(1000),
    helloTimeoutMs: 1500 + random.below(2000),
    linkAgeMsMax: random.chance(400) ? 400 + random.below(4000) : LIMITS.linkAgeMsMax,
    streamBytesMax: random.chance(300) ? 2000 + random.below(60_000) : LIMITS.streamBytesMax,
    fragmentBytes,
    creditBytes: random.chance(500) ? creditBytes : least,
    backlogBytesMax: random.pick([1, 1000, LIMITS.backlogBytesMax]),
    redialRefusedMsMax: 3000
  }
}

/** What happens to connections beside what the `envelopes` network knows. */
export type LinkFault =
  /** What is before a node takes no new streams, and ends those it has a while later. */
  | { readonly kind: "leave"; readonly node: Endpoint; readonly endsMs: number }
  /** Sockets between the two take little. */
  | {
      readonly kind: "slow"
      readonly between: readonly [Endpoint, Endpoint]
      readonly bytesPerMs: number
      readonly forMs: number
    }
  /** A process stands still: what comes waits for it, and its timers are late. */
  | { readonly kind: "still"; readonly node: Endpoint; readonly forMs: number }
  /** Packets between the two are changed, left out, said again and invented. */
  | {
      readonly kind: "meddle"
      readonly between: readonly [Endpoint, Endpoint]
      readonly forMs: number
    }

export const linkFaultOf = (
  random: Prng,
  nodes: ReadonlyArray<Endpoint>,
  ends: ReadonlyArray<Endpoint>
): LinkFault => {
  const node = random.pick(nodes)
  const between = [node, random.pick(ends.filter((end) => end !== node))] as const
  const forMs = 50 + random.below(1000)
  const dice = random.below(5)
  if (dice === 0) return { kind: "leave", node, endsMs: random.below(2000) }
  if (dice === 4) return { kind: "still", node, forMs: random.below(4000) }
  if (dice === 1) return { kind: "slow", between, bytesPerMs: 1 + random.below(40), forMs }
  return { kind: "meddle", between, forMs }
}
