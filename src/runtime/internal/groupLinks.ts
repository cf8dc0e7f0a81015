/** How the links of a group are kept, and whose links it takes: what its file says, and means. */
import { hexOf } from "../../base/bytes.ts"
import { LIMITS } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import { type LinkStrength, STRENGTHS } from "../../link/linkHello.ts"
import type { Group } from "../Group.ts"
import { keyOf, shown, Wrong } from "./groupFields.ts"

const LOOPBACK = /^(https:\/\/)?(localhost|127(\.[0-9]{1,3}){3}|\[::1\]):[0-9]+$/i
/** Whether nobody but processes of this machine reaches the address. */
const isNear = (address: string): boolean => LOOPBACK.test(address)

interface Nodes {
  readonly addresses: ReadonlyMap<NodeId, string>
  readonly keys: ReadonlyMap<NodeId, Uint8Array>
}

/** What `links` says; without it, as safe as the group's nodes allow. */
export const linksOf = (links: unknown, nodes: Nodes, where: string): LinkStrength => {
  const far = [...nodes.addresses].find(([, address]) => !isNear(address))
  if (links === undefined && far === undefined) return "plaintext"
  const strength = links === undefined ? "authenticated" : STRENGTHS.find((one) => one === links)
  if (strength === undefined) {
    const names = STRENGTHS.map((one) => `"${one}"`).join(", ")
    throw new Wrong(`${where}: "links"`, `${shown(links)} is no strength`, `write one of ${names}`)
  }
  if (strength === "plaintext" || nodes.keys.size > 0) return strength
  if (links === undefined) {
    const [id, address] = far!
    const what = `node ${id}'s address ${address} is not on this machine, and nodes have no keys`
    throw new Wrong(where, what, KEYGEN)
  }
  throw new Wrong(`${where}: "links"`, `${strength} links need a key of each node`, KEYGEN)
}
const KEYGEN = "make keys with npx quorate keygen, and write each node's public one as its key"

/** Public keys of the clients that may call, in hexadecimal; `undefined`: any client. */
export const clientsOf = (
  clients: unknown,
  links: LinkStrength,
  where: string
): ReadonlySet<string> | undefined => {
  if (clients === undefined) return undefined
  const here = `${where}: "clients"`
  if (!Array.isArray(clients) || clients.length > LIMITS.clientsListedMax) {
    const what = Array.isArray(clients) ? `${clients.length} keys` : shown(clients)
    throw new Wrong(
      here,
      `${what} are no list`,
      `write up to ${LIMITS.clientsListedMax} public keys`
    )
  }
  if (links === "plaintext") {
    const what = "on plaintext links no client proves its key"
    throw new Wrong(here, what, 'write "links": "authenticated", or leave the list out')
  }
  return new Set(clients.map((key, i) => hexOf(keyOf(key, `${where}: clients[${i}]`))))
}

type Linked = Pick<Group["Service"], "addresses" | "clients" | "keys" | "links">

/** Whether a host that proved this key may call the group's methods. */
export const mayCall = ({ clients }: Linked, hostKey: Uint8Array): boolean =>
  clients === undefined || clients.has(hexOf(hostKey))

/** Whether there may be a link to this host at all: it may call, or is a member. */
export const mayLink = (group: Linked, hostKey: Uint8Array): boolean => {
  const hex = hexOf(hostKey)
  return mayCall(group, hostKey) || [...group.keys.values()].some((key) => hexOf(key) === hex)
}

/** Why a node may not listen there; `undefined`: it may. Plaintext off loopback is asked for. */
export const listenProblem = (
  { links, linksTold }: Pick<Group["Service"], "links" | "linksTold">,
  listen: string | undefined
): { readonly what: string; readonly remedy: string } | undefined => {
  if (links !== "plaintext" || linksTold || listen === undefined || isNear(listen)) return undefined
  const what = `${listen} is reached from other machines, and links are plaintext by default only`
  return { what, remedy: 'write "links": "authenticated" in the group file, or "plaintext"' }
}

/** For the operator, when a node starts; `undefined`: nothing to say. */
export const linksNotice = ({ addresses, links }: Linked): string | undefined => {
  if (links !== "plaintext") return undefined
  const near = [...addresses.values()].every(isNear)
  const who = near ? "any process of this machine" : "whoever reaches an address of the group"
  return `links are plaintext: ${who} can read all, and speak as any member or client`
}
