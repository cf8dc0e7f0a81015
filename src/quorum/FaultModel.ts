import { assert } from "../base/assert.ts"

/**
 * What up to `f` members may do. `crash`: stop, and perhaps come back with what they stored.
 * `byzantine`: anything, together.
 */
export type FaultModel = "crash" | "byzantine"

export const isFaultModel = (value: unknown): value is FaultModel =>
  value === "crash" || value === "byzantine"

/**
 * Fewest members that withstand `f` faults: 2f + 1 crashes, 3f + 1 liars.
 * @source crash: Lamport, The Part-Time Parliament, TOCS 1998; Byzantine: Pease, Shostak, Lamport,
 * JACM 1980, and Castro and Liskov, OSDI 1999, section 3
 */
export const membersMin = (model: FaultModel, f: number): number =>
  (model === "crash" ? 2 : 3) * f + 1

/** Most faults that `n` members withstand: the largest f with `membersMin(model, f) <= n`. */
export const faultsMax = (model: FaultModel, n: number): number => {
  assertMembers(n)
  return Math.floor((n - 1) / (model === "crash" ? 2 : 3))
}

/**
 * Fewest members of a quorum. Any two quorums share a member (crash), or more than `f` members and
 * so a correct one (Byzantine); the n - f members that are surely up are enough for one.
 *
 * Crash: a majority, whatever `f` is. Byzantine: more than (n + f) / 2.
 * @source crash: Thomas, TODS 1979; Byzantine: Malkhi and Reiter, Byzantine Quorum Systems, 1998
 */
export const quorumSize = (
  model: FaultModel,
  n: number,
  f: number = faultsMax(model, n)
): number => {
  assertFaults(model, n, f)
  return Math.floor((model === "crash" ? n : n + f) / 2) + 1
}

/** Fewest members among which one is surely correct, that is, tells the truth. */
export const oneHonestSize = (
  model: FaultModel,
  n: number,
  f: number = faultsMax(model, n)
): number => {
  assertFaults(model, n, f)
  return model === "crash" ? 1 : f + 1
}

/** Fewest members that every quorum meets: without them there is none. Never fewer than f + 1. */
export const blockingSize = (
  model: FaultModel,
  n: number,
  f: number = faultsMax(model, n)
): number => n - quorumSize(model, n, f) + 1

const assertMembers = (n: number): void =>
  assert(Number.isSafeInteger(n) && n >= 1, "a group has a positive number of members")

const assertFaults = (model: FaultModel, n: number, f: number): void => {
  assertMembers(n)
  assert(Number.isSafeInteger(f) && f >= 0, "the number of faults is a natural number")
  assert(membersMin(model, f) <= n, "a group has enough members for its faults")
}
