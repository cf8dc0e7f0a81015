/** One call of the client's table, and the list in which calls wait for their session. */
import { assert } from "../base/assert.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { Count } from "../quorum/Policy.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { CallSpec } from "./callTypes.ts"
import type { Timed } from "./callTimers.ts"
import type { ClientSession } from "./clientSession.ts"

/** Of a peer's text, this much is kept per node and call. */
const DETAIL_MAX = 256

/** Where the copy for one target is. The node's final word is in from `REPLIED` on. */
export const WAITING = 0 // not sent over the present link
export const SENT = 1
export const BACKING_OFF = 2 // refused for now, sent again later
export const REPLIED = 3 // one-way: handed to the link
export const DISAGREED = 4
export const FAILED = 5
export const SKIPPED = 6 // no target of this call

/** The targets of a configuration in member order; made once per array of node ids. */
export class Targets {
  readonly nodes: ReadonlyArray<NodeId>
  readonly ranks: ReadonlyArray<number>
  readonly set: NodeSet

  constructor(system: System, nodes: ReadonlyArray<NodeId>) {
    this.set = NodeSet.of(system.size, nodes.map(system.rank))
    this.ranks = this.set.ranks()
    this.nodes = this.ranks.map(system.member)
  }

  /** Place of a rank in `nodes`, -1: no target. */
  slot(rank: number): number {
    return this.set.has(rank) ? this.set.before(rank) : -1
  }
}

/** What a node refused, and when it is asked again. */
export interface Trouble {
  code: ErrorCode
  detail: string | undefined
  /** Copies it refused for now. */
  tries: number
  retryMs: number
  /** A redirect has cut this back-off short; it does so once, or two nodes that point at each other spin. */
  hastened: boolean
}

export class OpenCall implements Timed {
  /** When something is due: a copy to send again, or the deadline. */
  atMs: number
  place = -1
  readonly id: number
  readonly spec: CallSpec<unknown, unknown>
  readonly targets: Targets
  readonly dueMs: number
  /** By slot, as all below that has one entry per target. */
  readonly states: Array<number>
  /** Of all targets, or of each where they differ. */
  body: Uint8Array | undefined
  bodies: Array<Uint8Array | undefined> | undefined
  /** Of the largest body. */
  bytes = 0
  /** Absent: one-way. */
  count: Count<unknown, unknown> | undefined
  /** What `count.got()` was last. */
  got = 0
  /** Targets whose final word is out. Invariant: the number of `states` below `REPLIED`. */
  pending: number
  /** Their ranks; made when first needed. */
  #pendingSet: NodeSet | undefined
  session: ClientSession<OpenCall> | undefined
  /** In its session; 0: not numbered yet. */
  index = 0
  troubles: Array<Trouble | undefined> | undefined
  over = false
  queue: CallQueue | undefined
  before: OpenCall | undefined
  after: OpenCall | undefined

  constructor(id: number, spec: CallSpec<unknown, unknown>, targets: Targets, dueMs: number) {
    this.id = id
    this.spec = spec
    this.targets = targets
    this.dueMs = dueMs
    this.atMs = dueMs
    this.pending = targets.nodes.length
    this.states = []
    for (let i = 0; i < this.pending; i++) this.states.push(WAITING)
  }

  get oneWay(): boolean {
    return this.spec.call === "unicast" || this.spec.call === "multicast"
  }

  get multiparty(): boolean {
    return this.spec.call === "multiparty"
  }

  bodyOf(slot: number): Uint8Array {
    const body = this.bodies === undefined ? this.body : this.bodies[slot]
    assert(body !== undefined, "a node that is no target gets nothing")
    return body
  }

  /** The final word for one target. */
  end(slot: number, state: number): void {
    assert(this.states[slot]! < REPLIED && state >= REPLIED, "a node has one final word")
    this.states[slot] = state
    this.pending--
    this.#pendingSet?.remove(this.targets.ranks[slot]!)
  }

  /** Ranks of the targets whose final word is out. */
  pendingSet(): NodeSet {
    if (this.#pendingSet === undefined) {
      const { set, ranks } = this.targets
      this.#pendingSet = set.clone()
      for (let slot = 0; slot < ranks.length; slot++) {
        if (this.states[slot]! >= REPLIED) this.#pendingSet.remove(ranks[slot]!)
      }
    }
    return this.#pendingSet
  }

  /** The targets that got a body: those the policy may count on. */
  calledSet(): NodeSet {
    if (!this.states.includes(SKIPPED)) return this.targets.set
    const set = this.targets.set.clone()
    for (const [slot, rank] of this.targets.ranks.entries()) {
      if (this.states[slot] === SKIPPED) set.remove(rank)
    }
    return set
  }

  trouble(slot: number, code: ErrorCode, detail: string | undefined): Trouble {
    this.troubles ??= this.states.map(() => undefined)
    const trouble = this.troubles[slot]
    const text = detail === undefined || detail === "" ? undefined : detail.slice(0, DETAIL_MAX)
    if (trouble === undefined) {
      return (this.troubles[slot] = {
        code,
        detail: text,
        tries: 0,
        retryMs: 0,
        hastened: false
      })
    }
    trouble.code = code
    trouble.detail = text
    return trouble
  }
}

/** Asks for the bodies and starts the policy. Throws what these throw. */
export const prepare = (call: OpenCall, system: System, bodyBytesMax: number): void => {
  const { nodes } = call.targets
  for (let slot = 0; slot < nodes.length; slot++) {
    const body = call.spec.body(nodes[slot]!)
    if (slot === 0) call.body = body
    else if (body !== call.body) call.bodies ??= new Array(slot).fill(call.body)
    call.bodies?.push(body)
    if (body === undefined) call.end(slot, SKIPPED)
    else if (body.length > bodyBytesMax) {
      call.end(slot, FAILED)
      call.trouble(slot, "too_large", `${body.length} bytes, at most ${bodyBytesMax}`)
    } else if (body.length > call.bytes) call.bytes = body.length
  }
  if (!call.oneWay) call.count = call.spec.policy.start(system, call.calledSet())
}

/**
 * Calls in the order in which they get their numbers. A list through the calls themselves, so that
 * one which ends while it waits leaves at once.
 */
export class CallQueue {
  first: OpenCall | undefined
  #last: OpenCall | undefined
  count = 0

  push(call: OpenCall): void {
    assert(call.queue === undefined, "a call waits once")
    call.queue = this
    call.before = this.#last
    if (this.#last === undefined) this.first = call
    else this.#last.after = call
    this.#last = call
    this.count++
  }

  remove(call: OpenCall): void {
    assert(call.queue === this, "a call leaves the list it waits in")
    if (call.before === undefined) this.first = call.after
    else call.before.after = call.after
    if (call.after === undefined) this.#last = call.before
    else call.after.before = call.before
    call.queue = call.before = call.after = undefined
    this.count--
  }
}
