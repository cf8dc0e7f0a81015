/**
 * The members of a group, where they are, and the fault model they trust in: parsed once, at the
 * door.
 */
import { Context, Effect, Layer } from "effect"
import { hexOf } from "../base/bytes.ts"
import { type NodeId, NODE_ID_MAX, isNodeId } from "../base/NodeId.ts"
import { sha256 } from "../base/sha256.ts"
import type { LinkStrength } from "../link/linkHello.ts"
import { type FaultModel, membersMin } from "../quorum/FaultModel.ts"
import { parseMembers } from "../quorum/Members.ts"
import { makeSystem, type System } from "../quorum/QuorumSystem.ts"
import { GroupInvalid } from "./Errors.ts"
import { fields, keyOf, required, shown, VALUES, Wrong } from "./internal/groupFields.ts"
import { clientsOf, linksOf } from "./internal/groupLinks.ts"

export { GroupInvalid } from "./Errors.ts"

export type Transport = "link" | "unary"

/** What a group file holds. */
export interface GroupConfig {
  /** 1 to 64 letters, digits, `.`, `_` or `-`. */
  readonly group: string
  /**
   * Which members of the group these are: 1 (default), 2, 3 …. Each time its members change the
   * next file has a higher one.
   */
  readonly epoch?: number
  readonly faults: FaultModel
  /** Faulty members the group survives; default: the most its nodes allow, which must be one. */
  readonly f?: number
  /** Nodes write what they say to disk before they say it, and survive restarts. */
  readonly durable: boolean
  /**
   * `plaintext`: nobody proves who they are. `authenticated`: all do, and nobody changes what they
   * say; needs keys. `encrypted`: nobody else reads it either. Default: plaintext where all nodes
   * are on this machine, else authenticated.
   */
  readonly links?: LinkStrength
  /**
   * How members reach each other, the same in every file. `link` (default): one long-lived stream.
   * `unary`: each word an ordinary Connect call, for networks that let nothing else pass.
   */
  readonly transport?: Transport
  /** Public keys of the clients that may call; default: any client. */
  readonly clients?: ReadonlyArray<string>
  readonly nodes: ReadonlyArray<{
    readonly id: NodeId
    /** `host:port` */
    readonly address: string
    /** True: what listens there, the node or a proxy before it, is dialled with TLS. */
    readonly tls?: boolean
    /** Its ed25519 public key, 64 hexadecimal digits: for proven links, and signed methods. */
    readonly key?: string
  }>
}

/** The group in the context of a client or a node: see {@link Group.layer}. */
export class Group extends Context.Service<
  Group,
  {
    readonly name: string
    readonly epoch: number
    readonly system: System
    /** `host:port` per member, after `https://` where it is dialled with TLS. */
    readonly addresses: ReadonlyMap<NodeId, string>
    readonly faults: FaultModel
    readonly durable: boolean
    /** Ed25519 public keys, 32 bytes each: of all members, or of none. */
    readonly keys: ReadonlyMap<NodeId, Uint8Array>
    readonly links: LinkStrength
    /** Whether the file says so; else it is the default of where its nodes are. */
    readonly linksTold: boolean
    readonly transport: Transport
    /** Of those that may call, in hexadecimal; `undefined`: any client may. */
    readonly clients: ReadonlySet<string> | undefined
    /** SHA-256 over name, epoch, faults, f, durable, node ids and keys; others are refused. */
    readonly digest: Uint8Array
  }
>()("quorate/Group") {
  /** Fails with one line that says what to change in `config`. `where`: its file, for that line. */
  static readonly layer = (
    config: GroupConfig,
    where = "group"
  ): Layer.Layer<Group, GroupInvalid> =>
    Layer.effect(
      Group,
      Effect.suspend(() => {
        const group = parseGroup(config, where)
        return group instanceof GroupInvalid ? Effect.fail(group) : Effect.succeed(Group.of(group))
      })
    )
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const KEYS = ["group", "faults", "f", "durable", "links", "transport", "clients", "epoch", "nodes"]
const NODE_KEYS = ["id", "address", "tls", "key"]

/** Any value to a group, or to the first thing that is wrong with it. */
export const parseGroup = (value: unknown, where: string): Group["Service"] | GroupInvalid => {
  try {
    return groupOf(fields(value, where, KEYS), where)
  } catch (wrong) {
    if (wrong instanceof Wrong) return wrong.invalid
    throw wrong
  }
}

const groupOf = (config: Record<string, unknown>, where: string): Group["Service"] => {
  const name = required(config, "group", where)
  if (typeof name !== "string" || !NAME.test(name)) {
    throw new Wrong(
      `${where}: "group"`,
      `${shown(name)} is no group name`,
      'write 1 to 64 letters, digits, ".", "_" or "-"'
    )
  }
  const epoch = epochOf(config["epoch"], where)
  const faults = required(config, "faults", where)
  if (faults !== "crash" && faults !== "byzantine") {
    throw new Wrong(
      `${where}: "faults"`,
      `${shown(faults)} is no fault model`,
      'write "crash" or "byzantine"'
    )
  }
  const durable = required(config, "durable", where)
  if (typeof durable !== "boolean") {
    throw new Wrong(`${where}: "durable"`, `${shown(durable)} is no boolean`, "write true or false")
  }
  const nodes = required(config, "nodes", where)
  const addresses = addressesOf(nodes, where)
  const parsed = parseMembers([...addresses.keys()], faults, config["f"])
  if ("what" in parsed) throw new Wrong(where, parsed.what, parsed.remedy)
  if (parsed.faults === 0 && config["f"] === undefined) {
    throw new Wrong(
      where,
      `${parsed.members.length} nodes are too few to survive a fault in a ${faults} group`,
      `list at least ${membersMin(faults, 1)} nodes, or write "f": 0`
    )
  }
  const system = makeSystem(parsed.members, faults, parsed.faults)
  const keys = keysOf(nodes as ReadonlyArray<Record<string, unknown>>, where)
  const links = linksOf(config["links"], { addresses, keys }, where)
  const linksTold = config["links"] !== undefined
  const clients = clientsOf(config["clients"], links, where)
  const transport = transportOf(config["transport"], where)
  const digest = digestOf({ name, epoch, faults, durable, system, keys })
  return {
    ...{ name, epoch, system, addresses, faults, durable, keys, links, linksTold, transport },
    ...{ clients, digest }
  }
}

const epochOf = (value: unknown, where: string): number => {
  if (value === undefined) return 1
  if (isInteger(value) && value >= 1 && value <= EPOCH_MAX) return value
  throw new Wrong(
    `${where}: "epoch"`,
    `${shown(value)} is no epoch`,
    `write a whole number from 1 to ${EPOCH_MAX}`
  )
}
const EPOCH_MAX = 2 ** 32 - 1
const isInteger = (value: unknown): value is number => Number.isInteger(value)

const transportOf = (value: unknown, where: string): Transport => {
  if (value === undefined || value === "link" || value === "unary") return value ?? "link"
  throw new Wrong(
    `${where}: "transport"`,
    `${shown(value)} is no transport`,
    'write "link" or "unary"'
  )
}

/** After `addressesOf`: the nodes are objects with ids. */
const keysOf = (
  nodes: ReadonlyArray<Record<string, unknown>>,
  where: string
): ReadonlyMap<NodeId, Uint8Array> => {
  const keys = new Map<NodeId, Uint8Array>()
  const owners = new Map<string, NodeId>()
  for (const [i, node] of nodes.entries()) {
    const { key } = node
    const id = node["id"] as NodeId
    if (key === undefined) continue
    const here = `${where}: nodes[${i}]`
    const bytes = keyOf(key, here)
    const hex = hexOf(bytes)
    const owner = owners.get(hex)
    if (owner !== undefined) {
      throw new Wrong(here, `its key is node ${owner}'s already`, "give each node a key of its own")
    }
    owners.set(hex, id)
    keys.set(id, bytes)
  }
  if (keys.size === 0 || keys.size === nodes.length) return keys
  const missing = nodes.map(({ id }) => id as NodeId).find((id) => !keys.has(id))
  throw new Wrong(
    where,
    `node ${missing} has no key, and others have`,
    "give all nodes a key, or none"
  )
}

const addressesOf = (nodes: unknown, where: string): ReadonlyMap<NodeId, string> => {
  if (!Array.isArray(nodes)) {
    throw new Wrong(`${where}: "nodes"`, `${shown(nodes)} is no list`, `write ${VALUES["nodes"]}`)
  }
  const addresses = new Map<NodeId, string>()
  const owners = new Map<string, NodeId>()
  for (const [i, entry] of nodes.entries()) {
    const here = `${where}: nodes[${i}]`
    const node = fields(entry, here, NODE_KEYS)
    const id = required(node, "id", here)
    if (!isNodeId(id)) {
      throw new Wrong(
        here,
        `${shown(id)} is no node id`,
        `write a whole number from 1 to ${NODE_ID_MAX}`
      )
    }
    if (addresses.has(id)) {
      throw new Wrong(here, `node id ${id} is used twice`, "give each node an id of its own")
    }
    const address = addressOf(required(node, "address", here), here)
    const owner = owners.get(address)
    if (owner !== undefined) {
      throw new Wrong(
        here,
        `address ${address} is node ${owner}'s already`,
        "give each node an address of its own"
      )
    }
    const tls = node["tls"] ?? false
    if (typeof tls !== "boolean") {
      throw new Wrong(`${here}: "tls"`, `${shown(tls)} is no boolean`, "write true or false")
    }
    addresses.set(id, tls ? `https://${address}` : address)
    owners.set(address, id)
  }
  return addresses
}

/** `host:port`, with a port that there is. */
export const isAddress = (text: string): boolean => {
  const port = Number(ADDRESS.exec(text)?.[2])
  return port >= 1 && port <= 65_535
}
const ADDRESS = /^(\[[0-9a-fA-F:.]+\]|[^\s:/[\]]+):([0-9]{1,5})$/

const addressOf = (address: unknown, where: string): string => {
  const match = typeof address === "string" ? ADDRESS.exec(address) : null
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) {
    throw new Wrong(where, `${shown(address)} is no address`, 'write "host:port", port 1 to 65535')
  }
  return match[0]
}

type Digested = Pick<Group["Service"], "name" | "epoch" | "faults" | "durable" | "system" | "keys">

const digestOf = ({ name, epoch, faults, durable, system, keys }: Digested): Uint8Array => {
  const { members } = system
  const text = JSON.stringify([
    "quorate-group/1",
    name,
    faults,
    system.faults,
    durable,
    members,
    ...(keys.size === 0 ? [] : [members.map((node) => hexOf(keys.get(node)!))]),
    // Files of a time without epochs are of the first, and keep their digest.
    ...(epoch === 1 ? [] : [epoch])
  ])
  // Every character is below 128: the name's pattern sees to it.
  return sha256(Uint8Array.from(text, (character) => character.charCodeAt(0)))
}
