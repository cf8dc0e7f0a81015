/** What a third party, or a handler, can tell of a proof. */
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import { jobsOf } from "../link/proofs.ts"
import type { Quorum, System } from "../quorum/QuorumSystem.ts"
import { methodId } from "../server/Message.ts"
import type { Certificate } from "../server/Proof.ts"
import type { Group } from "./Group.ts"

export type { Certificate, SignedRequest, SignedWord } from "../server/Proof.ts"

/** Whether `key` (32 bytes, ed25519) signed these bytes: `NodeGroup.verify` on Node. */
export type Verify = (key: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean

export interface CertificateOptions {
  readonly verify: Verify
  /** The phase it must be of: "package.Service/Method". */
  readonly method: string
  /** What its authors must be; default: the group's quorum. */
  readonly quorum?: (system: System) => Quorum
}

export type CertificateVerdict =
  | { readonly holds: true; readonly authors: ReadonlyArray<NodeId> }
  | { readonly holds: false; readonly why: string }

/**
 * Whether a quorum of the group signed what the certificate says: lane, index, round and bodies.
 * Needs the group file and nothing else, so that whoever was not there can tell.
 */
export const verifyCertificate = (
  group: Group["Service"],
  certificate: Certificate,
  { verify, method, quorum = (system) => system.quorum }: CertificateOptions
): CertificateVerdict => {
  const { digest, keys, system } = group
  if (keys.size === 0) return no("the group file has no keys")
  if (certificate.method !== methodId(method)) return no(`it is not of ${method}`)
  const scope = { digest, epoch: 0 }
  const jobs = jobsOf({ scope, keys }, { kind: "certificate", ...certificate })
  if (jobs === undefined) return no("an author is no member, or is there twice")
  const bad = jobs.findIndex(({ key, message, signature }) => !verify(key, message, signature))
  const authors = certificate.votes.map(({ author }) => author)
  if (bad >= 0) return no(`node ${authors[bad]} did not sign it`)
  if (!certifies(system, certificate, quorum(system))) {
    return no(`nodes ${authors.join(", ")} are no such quorum`)
  }
  return { holds: true, authors }
}

const no = (why: string): CertificateVerdict => ({ holds: false, why })

/**
 * Whether the authors of a certificate are such a quorum. In a handler the signatures are verified
 * already; what the certificate is about (index, round, value) is for the handler to compare.
 */
export const certifies = (system: System, certificate: Certificate, quorum: Quorum): boolean => {
  const ranks = certificate.votes.map(({ author }) => system.rank(author))
  return ranks.every((rank) => rank >= 0) && quorum.has(NodeSet.of(system.size, ranks))
}
