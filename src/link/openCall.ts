/** One call of the client's table. */
import { assert } from "../base/assert.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { Count } from "../quorum/Policy.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Timed } from "./callTimers.ts"
import type { CallSpec } from "./callTypes.ts"
import type { ClientSession } from "./clientSession.ts"

/** Of a peer's text, this much is kept per node and call. */
const DETAIL_MAX = 256

/** Where the copy for one target is. The node's final word is in from `REPLIED` on. */
export const WAITING = 0 // for the link, or for the call's number
export const QUEUED = 1 // for its number at this node
export const SENT = 2
export const BACKING_OFF = 3 // refused for now, sent again later
export const REPLIED = 4 // one-way: handed to the link
export const DISAGREED = 5
export const FAILED = 6
export const SKIPPED = 7 // no target of this call

/** The targets of a configuration in member order; made once per array of node ids. */
export class Targets {
  readonly nodes: ReadonlyArray<NodeId>
  readonly ranks: ReadonlyArray<number>
  readonly set: NodeSet
  /** What a new call has per target: `WAITING`, no index, no session. */
  readonly zeros: ReadonlyArray<number>
  readonly nothing: ReadonlyArray<undefined>

  constructor(system: System, nodes: ReadonlyArray<NodeId>) {
    for (const node of nodes) assert(system.rank(node) >= 0, "a call goes to members")
    this.set = NodeSet.of(system.size, nodes.map(system.rank))
    this.ranks = this.set.ranks()
    this.nodes = this.ranks.map(system.member)
    this.zeros = this.ranks.map(() => 0)
    this.nothing = this.ranks.map(() => undefined)
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
  /** A redirect cut this back-off short: only once, or nodes that point at each other spin. */
  hastened: boolean
}

export class OpenCall implements Timed {
  /** When something is due: a copy to send again, or the deadline. */
  atMs: number
  place = -1
  readonly id: number
  readonly spec: CallSpec<unknown, unknown>
  readonly oneWay: boolean
  /** One name for all nodes; other calls have a name of their own at each. */
  readonly multiparty: boolean
  readonly targets: Targets
  readonly dueMs: number
  /** By slot, as all below that has an entry per target. */
  readonly states: Array<number>
  /** Invariant: until it is over, `sessions[slot].at(indexes[slot])` is this call. */
  readonly sessions: Array<ClientSession<OpenCall> | undefined>
  readonly indexes: Array<number>
  /** Of the first target, and of each where they differ. */
  body: Uint8Array | undefined
  bodies: Array<Uint8Array | undefined> | undefined
  /** Of the largest body. */
  bytes = 0
  /** Absent: one-way. */
  count: Count<unknown, unknown> | undefined
  /** What `count.got()` was last. */
  got = 0
  troubles: Array<Trouble | undefined> | undefined
  /** Multiparty: it waits for its number. */
  queued = false
  over = false
  /** As who looks on has it. */
  started = 0
  /** Some node may have got more than one copy. */
  repeated = false
  /** Targets without a final word. Invariant: the number of `states` below `REPLIED`. */
  #pending: number
  /** Their ranks; made when first needed. */
  #pendingSet: NodeSet | undefined

  constructor(id: number, spec: CallSpec<unknown, unknown>, targets: Targets, dueMs: number) {
    const { call } = spec
    this.id = id
    this.spec = spec
    this.oneWay = call === "unicast" || call === "multicast"
    this.multiparty = call === "multiparty"
    this.targets = targets
    this.dueMs = dueMs
    this.atMs = dueMs
    this.#pending = targets.nodes.length
    // Copies of what is there: a fifth of the time of new arrays filled.
    this.states = targets.zeros.slice()
    this.sessions = targets.nothing.slice()
    this.indexes = targets.zeros.slice()
  }

  get pending(): number {
    return this.#pending
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
    this.#pending--
    this.#pendingSet?.remove(this.targets.ranks[slot]!)
  }

  /** Ranks of the targets without a final word. */
  pendingSet(): NodeSet {
    if (this.#pendingSet === undefined) {
      const { set, ranks } = this.targets
      this.#pendingSet = set.clone()
      if (this.#pending < ranks.length) {
        for (let slot = 0; slot < ranks.length; slot++) {
          if (this.states[slot]! >= REPLIED) this.#pendingSet.remove(ranks[slot]!)
        }
      }
    }
    return this.#pendingSet
  }

  /** What a node refused or failed with. */
  trouble(slot: number, code: ErrorCode, detail: string | undefined): Trouble {
    this.troubles ??= this.states.map(() => undefined)
    const text = detail === undefined || detail === "" ? undefined : detail.slice(0, DETAIL_MAX)
    let trouble = this.troubles[slot]
    if (trouble === undefined) {
      trouble = { code, detail: text, tries: 0, retryMs: 0, hastened: false }
      this.troubles[slot] = trouble
    }
    trouble.code = code
    trouble.detail = text
    return trouble
  }
}

/** Asks for the bodies and starts the policy. Throws what these throw. */
export const prepare = (call: OpenCall, system: System, bodyBytesMax: number): void => {
  const { nodes, ranks, set } = call.targets
  let called = set
  for (let slot = 0; slot < nodes.length; slot++) {
    const body = call.spec.body(nodes[slot]!)
    if (slot === 0) call.body = body
    else if (body !== call.body) call.bodies ??= new Array(slot).fill(call.body)
    call.bodies?.push(body)
    if (body === undefined) {
      call.end(slot, SKIPPED)
      if (called === set) called = set.clone()
      called.remove(ranks[slot]!)
    } else if (body.length > bodyBytesMax) {
      call.end(slot, FAILED)
      call.trouble(slot, "too_large", `${body.length} bytes, at most ${bodyBytesMax}`)
    } else if (body.length > call.bytes) call.bytes = body.length
  }
  if (!call.oneWay) call.count = call.spec.policy.start(system, called)
}
