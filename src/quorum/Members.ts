import { LIMITS } from "../base/limits.ts"
import { isNodeId, NODE_ID_MAX, type NodeId } from "../base/NodeId.ts"
import { type FaultModel, faultsMax, isFaultModel, membersMin } from "./FaultModel.ts"

/** Members that `makeSystem` takes. */
export interface Members {
  /** Ascending, without duplicates, at least one. */
  readonly members: ReadonlyArray<NodeId>
  readonly model: FaultModel
  /** Invariant: `membersMin(model, faults) <= members.length`. */
  readonly faults: number
}

/** Why a list of members cannot be used, for the operator: each one line, without a full stop. */
export interface MembersInvalid {
  readonly what: string
  readonly remedy: string
}

export const isMembersInvalid = (result: Members | MembersInvalid): result is MembersInvalid =>
  "what" in result

/**
 * Checks what a configuration says of a group's members. Never throws on what JSON can hold.
 * @param ids a list of node ids, in any order
 * @param f faults to withstand; absent: as many as the members withstand
 */
export const parseMembers = (
  ids: unknown,
  model: unknown,
  f?: unknown
): Members | MembersInvalid => {
  const members = parseIds(ids)
  if ("what" in members) return members
  if (!isFaultModel(model)) {
    return {
      what: `${show(model)} is no fault model`,
      remedy: `write "crash" (members may stop) or "byzantine" (members may lie)`
    }
  }
  const most = faultsMax(model, members.length)
  if (f === undefined) return { members, model, faults: most }
  if (typeof f !== "number" || !Number.isSafeInteger(f) || f < 0) {
    return {
      what: `"f": ${show(f)} is no number of faulty members`,
      remedy: `write a whole number from 0 to ${most}, or leave it out for ${most}`
    }
  }
  if (f > most) {
    const listed = members.length === 1 ? "1 member is" : `${members.length} members are`
    return {
      what: `${listed} too few for "f": ${f} in a ${model} group`,
      remedy: `list at least ${membersMin(model, f)}, or write "f": ${most}`
    }
  }
  return { members, model, faults: f }
}

const parseIds = (ids: unknown): ReadonlyArray<NodeId> | MembersInvalid => {
  if (!Array.isArray(ids)) {
    return { what: `${show(ids)} is no list of members`, remedy: "list the ids of the members" }
  }
  if (ids.length === 0) {
    return { what: '"nodes" lists no member', remedy: "list at least one" }
  }
  if (ids.length > LIMITS.membersMax) {
    return {
      what: `${ids.length} members are too many`,
      remedy: `list at most ${LIMITS.membersMax} members`
    }
  }
  const seen = new Set<NodeId>()
  for (let i = 0; i < ids.length; i++) {
    const id: unknown = ids[i]
    if (!isNodeId(id)) {
      return {
        what: `${show(id)} is no node id`,
        remedy: `number the members with integers from 1 to ${NODE_ID_MAX}`
      }
    }
    if (seen.has(id)) {
      return { what: `node ${id} is listed twice`, remedy: "give each member an id of its own" }
    }
    seen.add(id)
  }
  return [...seen].sort((a, b) => a - b)
}

/** A value as the operator wrote it, as far as that fits into a line. */
const show = (value: unknown): string => {
  if (typeof value === "string") {
    return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)
  }
  if (Array.isArray(value)) return "a list"
  if (typeof value === "object" && value !== null) return "an object"
  return typeof value === "function" ? "a function" : String(value)
}
