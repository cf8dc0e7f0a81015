/** An epoch's group file as bytes: what members and clients of a group tell each other of it. */
import { bytesEqual, hexOf } from "../../base/bytes.ts"
import { LIMITS } from "../../base/limits.ts"
import type { EpochPlan } from "../../link/epochs.ts"
import { GroupInvalid } from "../Errors.ts"
import { type Group, parseGroup } from "../Group.ts"

export interface GroupPlan extends EpochPlan {
  readonly group: Group["Service"]
}

/** Of files that say the same, in whatever order, the same bytes. */
export const planOf = (group: Group["Service"]): GroupPlan => {
  const { name, epoch, faults, durable, links, linksTold, transport, clients, system } = group
  const text = JSON.stringify({
    group: name,
    epoch,
    ...{ faults, f: system.faults, durable },
    ...(linksTold && { links }),
    transport,
    ...(clients && { clients: [...clients].sort() }),
    nodes: system.members.map((id) => {
      const address = group.addresses.get(id)!
      const key = group.keys.get(id)
      return {
        ...{ id, address: address.replace(TLS, ""), tls: TLS.test(address) },
        ...(key && { key: hexOf(key) })
      }
    })
  })
  return { number: epoch, system, description: new TextEncoder().encode(text), group }
}
const TLS = /^https:\/\//

/** `undefined`: these bytes describe no epoch of the group. They may be anybody's. */
export const readPlan = (description: Uint8Array, name: string): GroupPlan | undefined => {
  if (description.length > LIMITS.bodyBytesMax) return undefined
  let value: unknown
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(description))
  } catch {
    return undefined
  }
  const group = parseGroup(value, `an epoch of group "${name}"`)
  if (group instanceof GroupInvalid || group.name !== name) return undefined
  const plan = planOf(group)
  // One epoch, one text: what members say of it is compared as bytes.
  return bytesEqual(plan.description, description) ? plan : undefined
}
