import type { Limits } from "../base/limits.ts"

/** Most entries that each table of one engine may hold (P8), by the name that `size()` gives it. */
export const boundsOf = (
  limits: Limits,
  members: number,
  lanes: number
): { readonly [table: string]: number } => {
  const calls = limits.sessionsMax * limits.windowCalls
  return {
    sessions: limits.sessionsMax,
    answers: calls,
    // Above what is acknowledged, and late ones below.
    instances: 2 * calls + lanes * limits.laneWindowMax,
    running: calls,
    early: members * limits.earlyVotesMax,
    // Calls are refused above it; those that are open still speak.
    tailBytes: 2 * limits.tailBytesMax,
    runs: limits.runsMax
  }
}

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
