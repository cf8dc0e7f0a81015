/**
 * The golden service of signatures as a protocol: a signed request is proposed, prepared and
 * committed, and what commits it carries the certificate of what prepared it.
 */
import { fromBinary } from "@bufbuild/protobuf"
import { Proof } from "quorate"
import { CommandSchema, Proofs } from "../plugin/golden/ts/proofs/v1/proofs_quorate.ts"

export { Proofs }
export const PREPARE = "proofs.v1.Proofs/Prepare"

/** What nodes committed, with the certificate they saw. */
export interface Committed {
  readonly node: number
  readonly certificate: Proof.Certificate
}

export const proving = (committed: Array<Committed> = []) =>
  Proofs.protocol({
    submit: ({ proof, forward }) => forward.propose({ request: proof }),
    // Every node proposes what it was asked; the signature says that the client asked it.
    propose: ({ message, forward, ignore }) =>
      message.request === undefined
        ? ignore("no request")
        : forward.prepare({ digest: message.request.body }),
    prepare: {
      agreeOn: (m) => m.digest,
      quorum: ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum)
          ? forward.commit({ digest: votes.value, prepared: votes.proof })
          : wait
    },
    commit: {
      agreeOn: (m) => m.digest,
      quorum: ({ votes, system, self, reply, ignore, count }) => {
        const { prepared } = votes.message
        if (prepared === undefined || !Proof.certifies(system, prepared, system.quorum)) {
          return ignore("no certificate")
        }
        committed.push({ node: self, certificate: prepared })
        const counted = count(prepared)
        if (!votes.agreed(system.quorum)) return counted
        const { text } = fromBinary(CommandSchema, votes.value)
        return [counted, reply({ text })]
      }
    }
  })
