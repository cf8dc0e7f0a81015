/** What somebody does who has the group file and a certificate, and was not there. */
import { Effect } from "effect"
import { Group, Proof } from "quorate"
import { NodeGroup } from "quorate/platform-node"

/** `method`: the phase whose votes it must hold, "package.Service/Method". */
export const check = (groupFile: string, certificate: Proof.Certificate, method: string) =>
  Effect.gen(function* () {
    const group = yield* Group
    return Proof.verifyCertificate(group, certificate, { verify: NodeGroup.verify, method })
  }).pipe(Effect.provide(NodeGroup.layerFile(groupFile)))
