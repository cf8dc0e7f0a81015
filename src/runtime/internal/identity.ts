/** Who a host is to others, and whether they are who they say: src/link/handshake.ts for groups. */
import { bytesEqual, hexOf } from "../../base/bytes.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Hello } from "../../link/groupHello.ts"
import {
  acceptorHandshake,
  dialerHandshake,
  type Handshake,
  type LinkSession
} from "../../link/handshake.ts"
import { isAtLeast } from "../../link/linkHello.ts"
import type { Crypto, Signer } from "../../link/ports.ts"
import type { Group } from "../Group.ts"
import { mayCall, mayLink } from "./groupLinks.ts"

type Linked = Pick<Group["Service"], "addresses" | "clients" | "keys" | "links">

/** What a host proves itself with; both absent: plaintext links only. */
export interface Identity {
  readonly signer?: Signer | undefined
  readonly suite?: Crypto | undefined
}

const keyed = ({ signer, suite }: Identity) => ({
  ...(signer && { signer }),
  ...(suite && { suite })
})

/** Of two members the one with the lower key dials; without keys, the one with the lower id. */
export const dials = ({ keys }: Linked, self: NodeId, other: NodeId): boolean => {
  const [ours, theirs] = [keys.get(self), keys.get(other)]
  if (ours === undefined || theirs === undefined) return self < other
  return hexOf(ours) < hexOf(theirs)
}

/** Of members with the same name a host has one link: where they are, and what is asked of it. */
export const lineTo = ({ addresses, keys, links }: Linked, node: NodeId): string => {
  const key = links === "plaintext" ? undefined : keys.get(node)
  return `${addresses.get(node)} ${links} ${key === undefined ? "" : hexOf(key)}`
}

/** The handshake of links that others dial, for the groups that share the host. */
export const acceptsLinks = (groups: ReadonlyArray<Linked>, identity: Identity): Handshake =>
  acceptorHandshake({
    ...keyed(identity),
    strengths: [...new Set(groups.map(({ links }) => links))],
    allow: (key) => (groups.some((group) => mayLink(group, key)) ? undefined : unlisted(key))
  })

/** The handshake of links to a member. */
export const dialsMember = (group: Linked, node: NodeId, identity: Identity): Handshake => {
  const expected = group.keys.get(node)
  return dialerHandshake({
    ...keyed(identity),
    strength: group.links,
    ...(expected && { expected })
  })
}

/** Whether the host at the other end is the node, or the client, that its hello names. */
export const checkIdentity = (
  group: Linked,
  theirs: Hello,
  session: LinkSession | undefined
): Goodbye | undefined => {
  const strength = session?.strength ?? "plaintext"
  if (!isAtLeast(strength, group.links)) {
    const what = `the group's links are ${group.links}, and this one is ${strength}`
    return unproven(`${what}: write the same "links" in every group file`)
  }
  if (group.links === "plaintext") return undefined
  const shown = session!.proven!.peerKey
  if (theirs.node === 0) {
    if (!bytesEqual(shown, theirs.clientKey)) {
      return unproven(`the client's key is ${hexOf(theirs.clientKey)}, and its host's is another`)
    }
    return mayCall(group, shown) ? undefined : unlisted(shown)
  }
  const key = group.keys.get(theirs.node)
  if (key !== undefined && bytesEqual(shown, key)) return undefined
  const what = `the host says that it is node ${theirs.node}, and proved another key`
  return unproven(`${what}, ${hexOf(shown)}: check "key" in every group file`)
}

/** Why a call outside any link is refused; `undefined`: it is not. Nobody proves a key there. */
export const unlinkedProblem = (group: Linked, isStranger: boolean): string | undefined => {
  if (group.links === "plaintext" || (isStranger && group.clients === undefined)) return undefined
  const remedy = 'call over links (transport "link")'
  return `the group's links are ${group.links}, and this call came outside any: ${remedy}`
}

const unproven = (detail: string): Goodbye => ({ code: "unauthenticated", detail })
const unlisted = (key: Uint8Array): Goodbye => {
  const remedy = 'give the client the file of a listed key, or list this one under "clients"'
  return unproven(`the key ${hexOf(key)} is not listed: ${remedy}`)
}
