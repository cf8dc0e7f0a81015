import type { NodeSet } from "../base/nodeSet.ts"
import type { Quorum } from "./QuorumSystem.ts"

/** Three answers, never a boolean: a caller must see early that a quorum cannot be reached. */
export type Verdict = "pending" | "won" | "lost"

/**
 * Where a vote stands once `agreed` have said yes and `refused` never will (they said no, failed,
 * or voted otherwise). Final: more votes never turn won or lost into anything else.
 */
export const verdict = (quorum: Quorum, agreed: NodeSet, refused: NodeSet): Verdict => {
  if (quorum.has(agreed)) return "won"
  return quorum.has(refused.complement()) ? "pending" : "lost"
}
