import type { Limits } from "../base/limits.ts"
import { type WorstGroup, worstCase } from "../base/worstCase.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"

/** What the worst case of a node goes by, of a group that runs one protocol. */
export const worstGroupOf = (spec: ProtocolSpec, members: number): WorstGroup => {
  const lanes = spec.world?.lanes ?? {}
  let rows = 0
  for (const { call, handler } of spec.methods) {
    if (call !== "phase") continue
    const lane = typeof handler === "function" ? undefined : lanes[handler.lane ?? ""]
    rows += typeof lane?.rounds === "number" ? lane.rounds : 1
  }
  const laneInstances = Object.values(lanes).reduce((sum, { window = 1 }) => sum + window, 0)
  return { members, rows, laneInstances, applications: spec.world?.application ? 1 : 0 }
}

/** Most that each table of one engine may hold (P8), by the name that `size()` gives it. */
export const boundsOf = (
  limits: Limits,
  group: WorstGroup
): { readonly [table: string]: number } => {
  const tables = worstCase(limits, group).flatMap(
    ({ table, count }): ReadonlyArray<[string, number]> => (table ? [[table, count]] : [])
  )
  const bounds: { [table: string]: number } = Object.fromEntries(tables)
  // Calls are refused above `tailBytesMax`; what is open still speaks, a word a phase and round.
  const words = bounds["instances"]! * group.rows
  bounds["tailBytes"] = limits.tailBytesMax + words * (limits.bodyBytesMax + WORD_BYTES)
  return bounds
}

/** Of a said word, beside its body. */
const WORD_BYTES = 256

/** The first table that is larger than it may be. */
export const overfull = (
  size: { readonly [table: string]: number },
  bounds: { readonly [table: string]: number }
): string | undefined => {
  for (const [table, most] of Object.entries(bounds)) {
    const count = size[table]
    if (count === undefined) return `table ${table} is not there`
    if (count > most) return `table ${table} holds ${count}, at most ${most} may be`
  }
  return undefined
}
