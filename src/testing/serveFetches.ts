import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { FetchAnswer } from "../link/fetchStore.ts"
import type { HostCore } from "../link/hostCore.ts"
import type { Decorate } from "./simHostOptions.ts"
import { garbled } from "./inventions.ts"
import type { ServeFetch } from "./simFetches.ts"

/** Half of what a node gives that lies is something else. */
export const servedBy =
  (
    core: HostCore,
    {
      node,
      adversary,
      random,
      decorate
    }: {
      readonly node: NodeId
      readonly adversary: object | undefined
      readonly random: Prng
      readonly decorate: Decorate
    }
  ): ServeFetch =>
  (peer, range) => {
    const answer = core.fetches.serve(peer, range)
    if (adversary !== undefined && random.chance(500)) return lyingAnswer(random, answer)
    return decorate.fetch === undefined ? answer : decorate.fetch(answer, node)
  }

/** What a member that lies gives instead. */
export const lyingAnswer = (random: Prng, answer: FetchAnswer): FetchAnswer | undefined => {
  if (random.chance(200)) return undefined
  if (random.chance(200)) return { kind: "later", waitMs: random.below(10_000) }
  if (answer.kind !== "given") return { kind: "given", bytes: garbled(random, new Uint8Array(99)) }
  if (random.chance(200)) return { kind: "not_offered" }
  return { kind: "given", bytes: garbled(random, answer.bytes) }
}
