/** What somebody does who has the group file and a certificate's bytes, and was not there. */
import { fromBinary } from "@bufbuild/protobuf"
import { Effect } from "effect"
import { Group, Proof } from "quorate"
import { CertificateSchema } from "quorate/gen/quorate/v1/proof_pb.js"
import { NodeGroup } from "quorate/platform-node"

/** `method`: the phase whose votes it must hold, "package.Service/Method". */
export const check = (groupFile: string, bytes: Uint8Array, method: string) =>
  Effect.gen(function* () {
    const group = yield* Group
    const certificate = yield* Effect.try(() => fromBinary(CertificateSchema, bytes))
    return Proof.verifyCertificate(group, certificate, { verify: NodeGroup.verify, method })
  }).pipe(Effect.provide(NodeGroup.layerFile(groupFile)))
