/** What a node does about members and clients that do more than they may. */
import type { NodeId } from "../base/NodeId.ts"
import type { PenaltyOptions, PenaltyPolicy } from "../link/penalties.ts"
import type { FaultModel } from "../quorum/FaultModel.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Evidence as Kept } from "../server/evidence.ts"
import { signedWord } from "../server/Proof.ts"
import type { Evidence } from "./Proof.ts"

/** See docs/guide/running-groups.md. */
export interface Penalties extends Partial<PenaltyPolicy> {
  /** Members that an operator keeps out: their links are refused with `banned`. */
  readonly banned?: ReadonlyArray<NodeId>
  /** Told of each member that said two values where it may say one. It must not throw. */
  readonly onEvidence?: (evidence: Evidence) => void
  /** Told of each member that is banned; `lift` lets it in again. It must not throw. */
  readonly onBan?: (ban: Ban) => void
}
export interface Ban {
  readonly member: NodeId
  readonly evidence: Evidence
  readonly lift: () => void
}

/** What is wrong with the penalties of a member, and what to do. */
export const penaltiesProblem = (
  { onSpam, onFault, onProof, banned = [] }: Penalties,
  model: FaultModel,
  system: System
): { readonly what: string; readonly remedy: string } | undefined => {
  const wrong = [
    ["onSpam", onSpam, ["report", "throttle", "disconnect"]],
    ["onFault", onFault, ["report", "disconnect"]],
    ["onProof", onProof, ["report", "ban"]]
  ] as const
  for (const [name, value, values] of wrong) {
    if (value === undefined || (values as ReadonlyArray<string>).includes(value)) continue
    const remedy = `write ${values.map((it) => `"${it}"`).join(" or ")}`
    return { what: `penalties: ${name} is ${JSON.stringify(value)}`, remedy }
  }
  if (onProof === "ban" && model === "crash") {
    const what = 'penalties: onProof is "ban", and no member of a crash group lies'
    return { what, remedy: 'leave it out, or write "faults": "byzantine" in the group file' }
  }
  const strange = banned.find((node) => system.rank(node) < 0)
  if (strange === undefined) return undefined
  const what = `penalties: node ${strange} is banned, and no member`
  return { what, remedy: `its members are ${system.members.join(", ")}` }
}

/** @param proven links prove who is at the other end */
export const penaltyOptions = (
  { onEvidence, onBan, ...same }: Penalties,
  proven: boolean
): PenaltyOptions => ({
  ...same,
  unproven: !proven,
  ...(onEvidence && { onEvidence: (kept) => onEvidence(shown(kept)) }),
  ...(onBan && { onBan: ({ evidence, ...ban }) => onBan({ ...ban, evidence: shown(evidence) }) })
})

/** As the words that anybody can verify. */
const shown = ({ first, second, signatures, ...place }: Kept): Evidence => ({
  author: place.author,
  proven: signatures !== undefined,
  words: [
    signedWord({ ...place, body: first, signature: signatures?.[0] ?? NONE }),
    signedWord({ ...place, body: second, signature: signatures?.[1] ?? NONE })
  ]
})
const NONE = new Uint8Array(0)
