import { assert } from "../base/assert.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import { atLeast, type Quorum, type System } from "./QuorumSystem.ts"
import { RankMap } from "./rankMap.ts"
import { type Agreement, agreementEquals, Tally } from "./Tally.ts"
import type { Vote } from "./Vote.ts"

/** When a call to many nodes is done, and with what: `R` is a reply, `A` the answer. */
export interface Policy<in R, out A> {
  /** Begins one call. @param targets ranks of the nodes the call goes to; read, never changed */
  readonly start: (system: System, targets: NodeSet) => Count<R, A>
}

/** The replies of one call. Nodes outside the targets and second replies of a node do not count. */
export interface Count<in R, out A> {
  /** The answer, once; after it, `undefined`. */
  readonly on: (from: NodeId, reply: R) => { readonly answer: A } | undefined
  /**
   * A tentative reply: its node's final one is still to come and replaces it; so does a later
   * tentative one. Absent: such replies do not count.
   */
  readonly tentative?: (from: NodeId, reply: R) => { readonly answer: A } | undefined
  /** False once no answer is possible, whatever the `pending` ranks will reply. */
  readonly possible: (pending: NodeSet) => boolean
  /** Replies an answer takes at least. */
  readonly needed: number
  /** Replies so far that count towards the answer that is nearest. */
  readonly got: () => number
}

/** The first reply, whoever sends it: right where every node can be believed. */
export const first = <R>(): Policy<R, R> => ({
  start: (system, targets) => {
    const gate = new Gate(system, targets)
    return {
      on: (from, reply) => (gate.admit(from) < 0 ? undefined : gate.done(reply)),
      possible: (pending) => gate.open(pending),
      needed: 1,
      got: () => gate.seen.count
    }
  }
})

/**
 * The replies of more than half of the nodes the call goes to, in member order. In a configuration
 * of some members that is no quorum of the group: {@link quorum} is.
 */
export const majority = <R>(): Policy<R, ReadonlyArray<Vote<R>>> =>
  collect((system, targets) => atLeast("majority", system.size, Math.floor(targets.count / 2) + 1))

/** The replies of a quorum of the group, in member order. */
export const quorum = <R>(): Policy<R, ReadonlyArray<Vote<R>>> => collect((system) => system.quorum)

/** The replies of all nodes the call goes to, in member order. */
export const all = <R>(): Policy<R, ReadonlyArray<Vote<R>>> =>
  collect((system, targets) => atLeast("all", system.size, targets.count))

/**
 * The replies of `needed` nodes, in member order. Prefer a quorum by name where one fits: numbers
 * stay behind when the group grows.
 * @param needed a positive integer, else a RangeError; a call to fewer nodes fails at once
 */
export const threshold = <R>(needed: number): Policy<R, ReadonlyArray<Vote<R>>> => {
  if (!Number.isSafeInteger(needed) || needed < 1) {
    throw new RangeError(`threshold(${needed}): write a positive integer`)
  }
  return collect((system) => atLeast("threshold", system.size, needed))
}

export interface MatchingOptions {
  /** Who must agree; default: `oneHonest`, so that a correct node is among them. */
  readonly quorum?: (system: System) => Quorum
  /**
   * The call is also done once a quorum of the group agrees on replies of which some, or all, are
   * tentative: sooner, for protocols that promise that what a quorum told tentatively is final.
   */
  readonly tentative?: boolean
}

/**
 * One of the replies that enough nodes agree on: those with equal `key`. Only the key is agreed,
 * what else the reply holds is the word of one node, which may lie. A reply on which `key` throws,
 * or that has none (`undefined`), agrees with no other.
 */
export const matching = <R>(
  key: (reply: R) => Agreement,
  options?: MatchingOptions
): Policy<R, R> => ({
  start: (system, targets) => {
    const enough = (options?.quorum ?? oneHonest)(system)
    const sooner = options?.tentative === true ? system.quorum : undefined
    const gate = new Gate(system, targets)
    const tally = new Tally<R>(system.size)
    /** What nodes without a final reply said last, by rank. */
    const latest = new Map<number, Agreement>()
    const soon = (value: Agreement): boolean => {
      const voters = tally.groups.find((g) => agreementEquals(g.value, value))?.voters.clone()
      const set = voters ?? new NodeSet(system.size)
      for (const [rank, other] of latest) if (agreementEquals(other, value)) set.add(rank)
      return sooner?.has(set) === true
    }
    const tentative = (from: NodeId, reply: R): { readonly answer: R } | undefined => {
      const rank = gate.rank(from)
      if (rank < 0) return undefined
      const value = attempt(() => key(reply))
      latest.delete(rank)
      if (value === undefined) return undefined
      latest.set(rank, value)
      return soon(value) ? gate.done(reply) : undefined
    }
    return {
      ...(sooner && { tentative }),
      on: (from, reply) => {
        const rank = gate.admit(from)
        if (rank < 0) return undefined
        latest.delete(rank)
        const value = attempt(() => key(reply))
        if (value === undefined) return undefined
        const group = tally.add(rank, value, reply)
        assert(typeof group === "object", "a node's second reply does not get here")
        return enough.has(group.voters) || soon(value) ? gate.done(reply) : undefined
      },
      possible: (pending) => {
        if (!gate.open(pending)) return false
        const rest = pending.minus(gate.seen)
        if (enough.has(rest)) return true
        return tally.groups.some((group) => enough.has(group.voters.clone().unionWith(rest)))
      },
      needed: enough.needed,
      got: () => tally.groups.reduce((most, group) => Math.max(most, group.count), 0)
    }
  }
})

/**
 * An answer made reply by reply: `step` returns the next one (it must not change the one it is
 * given: `initial` is shared by all calls), `done` says whether it is final, `count` replies in.
 * A reply on which `step` throws leaves the answer as it was and does not count. No answer is
 * possible any more when every node has replied or failed and `done` has not said so.
 */
export const fold = <R, A>(
  initial: A,
  step: (answer: A, reply: R, from: NodeId) => A,
  done: (answer: A, count: number) => boolean
): Policy<R, A> => ({
  start: (system, targets) => {
    const gate = new Gate(system, targets)
    let answer = initial
    let count = 0
    return {
      on: (from, reply) => {
        if (gate.admit(from) < 0) return undefined
        const next = attempt(() => ({ answer: step(answer, reply, from) }))
        if (next === undefined) return undefined
        answer = next.answer
        return done(answer, ++count) ? gate.done(answer) : undefined
      },
      possible: (pending) => gate.open(pending),
      needed: 1,
      got: () => count
    }
  }
})

const oneHonest = (system: System): Quorum => system.oneHonest

/** The replies of the first set of nodes that has the quorum. */
const collect = <R>(
  choose: (system: System, targets: NodeSet) => Quorum
): Policy<R, ReadonlyArray<Vote<R>>> => ({
  start: (system, targets) => {
    const enough = choose(system, targets)
    const gate = new Gate(system, targets)
    const votes = new RankMap<Vote<R>>(system.size)
    return {
      on: (from, message) => {
        const rank = gate.admit(from)
        if (rank < 0) return undefined
        votes.add(rank, { from, message })
        return enough.has(gate.seen) ? gate.done(votes.values) : undefined
      },
      possible: (pending) => gate.open(pending) && enough.has(gate.seen.clone().unionWith(pending)),
      needed: enough.needed,
      got: () => gate.seen.count
    }
  }
})

/** Lets one reply of each target through, and none after the answer. */
class Gate {
  readonly seen: NodeSet
  readonly #system: System
  readonly #targets: NodeSet
  #done = false

  constructor(system: System, targets: NodeSet) {
    assert(targets.size === system.size, "targets are ranks of the group")
    this.#system = system
    this.#targets = targets.clone()
    this.seen = new NodeSet(system.size)
  }

  /** The rank of a reply that counts; -1 for one that does not. */
  admit(from: NodeId): number {
    const rank = this.rank(from)
    return rank >= 0 && this.seen.add(rank) ? rank : -1
  }

  /** The rank of a node whose reply would count; -1 for another one. */
  rank(from: NodeId): number {
    const rank = this.#system.rank(from)
    return !this.#done && this.#targets.has(rank) && !this.seen.has(rank) ? rank : -1
  }

  done<A>(answer: A): { readonly answer: A } {
    this.#done = true
    return { answer }
  }

  /** Whether some reply is still to come. */
  open(pending: NodeSet): boolean {
    return !this.#done && pending.minus(this.seen).count > 0
  }
}

/** What a peer sent must not break a call, even where the caller's own function trips over it. */
const attempt = <A>(body: () => A): A | undefined => {
  try {
    return body()
  } catch {
    return undefined
  }
}
