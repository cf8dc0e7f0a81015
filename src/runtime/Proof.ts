/** What a third party, or a handler, can tell of a proof. */
import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import { evidenceJobs } from "../link/evidence.ts"
import { jobsOf } from "../link/proofs.ts"
import type { Quorum, System } from "../quorum/QuorumSystem.ts"
import { type Agreement, agreementEquals } from "../quorum/Tally.ts"
import { methodId } from "../server/Message.ts"
import { type Certificate, type SignedWord, wordsOf } from "../server/Proof.ts"
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

/** What a node kept of a member that said two values where it may say one. */
export interface Evidence {
  readonly author: NodeId
  /** Both are signed, so that anybody can tell; else a suspicion, whose signatures are empty. */
  readonly proven: boolean
  /** As quorate.v1.SignedWord has them: of one lane, index, method and round. */
  readonly words: readonly [SignedWord, SignedWord]
}
export type EvidenceVerdict =
  | { readonly holds: true; readonly author: NodeId }
  | { readonly holds: false; readonly why: string }

/**
 * Whether a member of the group signed two values for one place, which no correct one does. Needs
 * the group file and nothing else, so that whoever was not there can tell.
 */
export const verifyEvidence = (
  group: Group["Service"],
  { words }: Pick<Evidence, "words">,
  { verify }: { readonly verify: Verify }
): EvidenceVerdict => {
  const { digest, keys } = group
  const [first, second] = words
  const { author } = first
  if (!samePlace(first, second)) return no("the two words are not of one author and place")
  const [one, other] = words.flatMap((word) => wordsOf(word) ?? [])
  if (one === undefined || other === undefined) return no("its index is none")
  const { body, signature, ...place } = one
  const signatures = [signature, other.signature] as const
  const evidence = { ...place, first: body, second: other.body, signatures }
  const jobs = evidenceJobs({ scope: { digest, epoch: 0 }, keys }, evidence)
  if (jobs === undefined) return no(`the two are one value, or node ${author} has no key`)
  const holds = jobs.every(({ key, message, signature }) => verify(key, message, signature))
  return holds ? { holds, author } : no(`node ${author} did not sign both`)
}

const samePlace = (a: SignedWord, b: SignedWord): boolean =>
  a.author === b.author &&
  a.index === b.index &&
  a.method === b.method &&
  a.round === b.round &&
  bytesEqual(a.lane, b.lane)

const no = (why: string): { readonly holds: false; readonly why: string } => ({ holds: false, why })

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
