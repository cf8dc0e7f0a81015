/** What a third party, or a handler, can tell of a proof. */
import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import { jobsOf } from "../link/proofs.ts"
import type { Quorum, System } from "../quorum/QuorumSystem.ts"
import { type Agreement, agreementEquals } from "../quorum/Tally.ts"
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
  /** What its votes agree on, as `agreeOn` of the phase, of a message's bytes; default: all. */
  readonly agreeOn?: (body: Uint8Array) => Agreement
}

export type CertificateVerdict =
  | { readonly holds: true; readonly authors: ReadonlyArray<NodeId> }
  | { readonly holds: false; readonly why: string }

/**
 * Whether a quorum of the group signed what the certificate says: lane, index, round and body.
 * Needs the group file and nothing else, so that whoever was not there can tell.
 */
export const verifyCertificate = (
  group: Group["Service"],
  certificate: Certificate,
  { verify, method, quorum = (system) => system.quorum, agreeOn }: CertificateOptions
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
  if (!isOfOne(certificate, agreeOn)) return no("its votes are not for one message")
  if (!certifies(system, certificate, quorum(system), agreeOn)) {
    return no(`nodes ${authors.join(", ")} are no such quorum`)
  }
  return { holds: true, authors }
}

const no = (why: string): CertificateVerdict => ({ holds: false, why })

/**
 * Whether the authors of a certificate are such a quorum, and said what stands in it. In a handler
 * the signatures are verified already; what the certificate is about (index, round, value) is for
 * the handler to compare. `agreeOn`: where votes for one value may differ in their bytes.
 */
export const certifies = (
  system: System,
  certificate: Certificate,
  quorum: Quorum,
  agreeOn?: (body: Uint8Array) => Agreement
): boolean => {
  if (!isOfOne(certificate, agreeOn)) return false
  const ranks = certificate.votes.map(({ author }) => system.rank(author))
  return ranks.every((rank) => rank >= 0) && quorum.has(NodeSet.of(system.size, ranks))
}

/** A vote may hold a body of its own: signed, and for another value than the one shown. */
const isOfOne = (
  { body, votes }: Certificate,
  agreeOn: ((body: Uint8Array) => Agreement) | undefined
): boolean =>
  votes.every((vote) => {
    if (vote.body === undefined || bytesEqual(vote.body, body)) return true
    try {
      return agreeOn !== undefined && agreementEquals(agreeOn(vote.body), agreeOn(body))
    } catch {
      // Its author signed what is no message.
      return false
    }
  })
