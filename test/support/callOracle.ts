/**
 * What a call table must do, slowly and obviously: it watches what the table sends and is told, and
 * says what must be open, what must have ended and how, and which sends are wrong.
 */
import type { NodeId } from "../../src/base/NodeId.ts"
import type { CallResult } from "../../src/link/callCore.ts"
import type { System } from "../../src/quorum/QuorumSystem.ts"
import { openedMs } from "../../src/server/laneKey.ts"
import type { Cancel, ClientMessage, OneWay, Request } from "../../src/server/Message.ts"

export interface Watched {
  readonly number: number
  readonly kind: "multiparty" | "quorum" | "rpc" | "multicast"
  readonly targets: ReadonlyArray<NodeId>
  readonly needed: number
  readonly dueMs: number
  readonly body: Uint8Array
  readonly replied: Set<NodeId>
  readonly failed: Set<NodeId>
  /** Of these, those that have forgotten the call's session. */
  readonly expired: Set<NodeId>
  /** Nodes whose replies the policy was given. */
  readonly counted: Array<NodeId>
  /** "session/index" by node; 0: the same at all. */
  readonly names: Map<NodeId, string>
  /** By node: the link it was last sent over, and whether it was refused since. */
  readonly copies: Map<NodeId, { link: number; refused: boolean }>
  repeated: boolean
  cancelled: boolean
  ends: number
  endedStep: number
  result: CallResult<unknown> | undefined
}

export interface OracleWorld {
  readonly system: System
  readonly nowMs: number
  readonly links: ReadonlySet<NodeId>
}

const nameOf = ({ session, index }: Request | Cancel): string => `${session}/${index}`

export class CallOracle {
  readonly calls: Array<Watched> = []
  /** Which link to a node is the present one. */
  readonly link = new Map<NodeId, number>()
  /** The highest horizon told and believed, by node. */
  readonly horizonMs = new Map<NodeId, number>()
  step = 0
  readonly #world: OracleWorld
  readonly #window: number
  readonly #owner = new Map<string, string>()

  constructor(world: OracleWorld, window: number) {
    this.#world = world
    this.#window = window
  }

  open(): Array<Watched> {
    return this.calls.filter((call) => this.expected(call) === "open")
  }

  /** What the table should have made of the call by now. */
  expected(
    call: Watched
  ): "open" | "cancelled" | "ok" | "deadline_exceeded" | "outcome_unknown" | "failed" {
    if (call.cancelled) return "cancelled"
    if (call.replied.size >= call.needed) return "ok"
    const pending = call.targets.length - call.replied.size - call.failed.size
    if (call.replied.size + pending < call.needed) return "failed"
    const { size, quorum, oneHonest } = this.#world.system
    const forgotten = call.kind === "multiparty" && call.expired.size >= oneHonest.needed
    if (forgotten && size - call.expired.size < quorum.needed) return "outcome_unknown"
    if (this.#world.nowMs < call.dueMs) return "open"
    return forgotten ? "outcome_unknown" : "deadline_exceeded"
  }

  final(call: Watched, node: NodeId): boolean {
    return call.replied.has(node) || call.failed.has(node)
  }

  called(call: Watched, node: NodeId): string | undefined {
    return call.names.get(call.kind === "multiparty" ? 0 : node)
  }

  /** Whether the node's `session_expired` gives the call another name there. */
  renames(call: Watched, node: NodeId, request: Request): boolean {
    if (call.kind === "multiparty" || call.repeated) return false
    return openedMs(request.session) <= (this.horizonMs.get(node) ?? 0)
  }

  sent(to: NodeId, message: ClientMessage): void {
    this.#must(this.#world.links.has(to), "nothing goes over a link that is down")
    if (message.kind === "request") this.#request(to, message)
    else if (message.kind === "cancel") this.#cancel(to, message)
    else this.#oneWay(to, message)
  }

  #request(to: NodeId, request: Request): void {
    const call = this.calls.find(({ body }) => body === request.body)
    if (call === undefined) throw new Error("a request has the bytes its caller gave")
    const { index, ackedBelow, deadlineMs } = request
    this.#must(call.kind !== "multicast" && call.targets.includes(to), "it goes to its targets")
    this.#must(this.#mayGo(call) && !this.final(call, to), "what is over is not sent")
    this.#must(deadlineMs >= 1 && deadlineMs <= call.dueMs, "it tells how long its caller waits")
    this.#must(index >= ackedBelow && index < ackedBelow + this.#window, "it is in the window")
    this.#name(call, to, nameOf(request))
    const copy = call.copies.get(to)
    const link = this.link.get(to)!
    if (copy !== undefined) {
      call.repeated = true
      this.#must(copy.link !== link || copy.refused, "it is not sent again needlessly")
    }
    call.copies.set(to, { link, refused: false })
    for (const other of this.open()) {
      const name = this.called(other, to)
      if (!name?.startsWith(`${request.session}/`)) continue
      if (other.kind !== "multiparty" && this.final(other, to)) continue
      const below = Number(name.slice(request.session.length + 1)) < ackedBelow
      this.#must(!below, "no open call is acknowledged")
    }
  }

  /** A name is of one call, and a call has one at each node. */
  #name(call: Watched, to: NodeId, name: string): void {
    const at = call.kind === "multiparty" ? 0 : to
    const owner = `${call.number}@${at}`
    this.#must((this.#owner.get(name) ?? owner) === owner, "a name is of one call")
    this.#owner.set(name, owner)
    this.#must((call.names.get(at) ?? name) === name, "a call keeps its name")
    call.names.set(at, name)
  }

  #cancel(to: NodeId, cancel: Cancel): void {
    const number = Number(this.#owner.get(nameOf(cancel))?.split("@")[0])
    const call = this.calls.find((other) => other.number === number)
    if (call === undefined) throw new Error("a cancel names a call that was sent")
    this.#must(this.expected(call) !== "open", "what is open is not cancelled")
    this.#must(call.copies.get(to)?.link === this.link.get(to), "a cancel goes where the copy went")
    this.#must(!this.final(call, to), "who answered is not told")
  }

  #oneWay(to: NodeId, { body }: OneWay): void {
    const call = this.calls.find((other) => other.body === body)
    if (call === undefined) throw new Error("a message has the bytes its caller gave")
    this.#must(call.kind === "multicast" && call.targets.includes(to), "it goes to its targets")
    this.#must(this.#mayGo(call) && !call.replied.has(to), "it goes once")
    call.replied.add(to)
  }

  /** Ends of this step may have come after what was sent in it. */
  #mayGo(call: Watched): boolean {
    return this.expected(call) === "open" || call.endedStep === this.step
  }

  /** After every step. */
  check(openCount: number): void {
    for (const call of this.calls) this.#checkCall(call)
    this.#must(openCount === this.open().length, "the table holds the calls that are open")
  }

  #checkCall(call: Watched): void {
    const expected = this.expected(call)
    const is = call.result === undefined ? "open" : JSON.stringify(call.result)
    const told = `call ${call.number} is ${is}, not ${expected}`
    this.#must(new Set(call.counted).size === call.counted.length, "one reply a node is counted")
    this.#must(call.ends === (expected === "open" || expected === "cancelled" ? 0 : 1), told)
    if (call.result === undefined) return
    this.#must(call.result.ok === (expected === "ok"), told)
    if (call.result.ok) return
    if (expected !== "failed") this.#must(call.result.code === expected, told)
    this.#must(call.result.got === call.replied.size, "it tells what it got")
    this.#must(call.result.needed === call.needed, "it tells what it needed")
    for (const { node, outcome } of call.result.outcomes) {
      const is = call.replied.has(node) ? "replied" : call.failed.has(node) ? "failed" : "pending"
      this.#must(outcome === is, `node ${node} ${is}: ${told}`)
    }
    this.#must(call.result.outcomes.length === call.targets.length, "it tells of every node")
  }

  #must(holds: boolean, promise: string): void {
    if (!holds) throw new Error(`step ${this.step}: ${promise}`)
  }
}
