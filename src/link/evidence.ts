/** What makes two values of one author a proof to anybody. */
import { bytesEqual } from "../base/bytes.ts"
import type { Evidence } from "../server/evidence.ts"
import type { VerifyJob } from "./ports.ts"
import { type Proofs, wordJob } from "./proofs.ts"

/**
 * The signatures that must hold: both, by one author, of two values in one place. `undefined`: it
 * is no proof, whatever its signatures.
 */
export const evidenceJobs = (
  group: Pick<Proofs, "scope" | "keys">,
  { first, second, signatures, ...place }: Evidence
): ReadonlyArray<VerifyJob> | undefined => {
  if (signatures === undefined || bytesEqual(first, second)) return undefined
  const one = wordJob(group, { ...place, body: first, signature: signatures[0] })
  const other = wordJob(group, { ...place, body: second, signature: signatures[1] })
  return one && other && [one, other]
}
