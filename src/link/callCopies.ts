/** The copies of calls: over which links they go, when they are sent again, what they wait for. */
import type { ErrorCode } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { NodeSet } from "../base/nodeSet.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Reply, Request } from "../server/Message.ts"
import type { CallPorts } from "./callTypes.ts"
import { BACKING_OFF, FAILED, type OpenCall, REPLIED, SENT, WAITING } from "./openCall.ts"

export class CallCopies {
  /** Copies after the first, over a new link or after a back-off. */
  resent = 0
  readonly #limits: Limits
  readonly #ports: CallPorts
  /** By rank. */
  readonly #up: Array<boolean>
  /** By rank: why the link is down. */
  readonly #why: Array<string>
  /** By rank: nodes that refuse this client, or that it refuses. */
  readonly #refusals = new Map<number, { readonly code: ErrorCode; readonly detail: string }>()

  constructor(system: System, limits: Limits, ports: CallPorts) {
    this.#limits = limits
    this.#ports = ports
    this.#up = new Array<boolean>(system.size).fill(false)
    this.#why = new Array<string>(system.size).fill("not connected yet")
  }

  linkUp(rank: number): void {
    this.#up[rank] = true
    this.#refusals.delete(rank)
  }

  linkDown(rank: number, why: string): void {
    this.#up[rank] = false
    this.#why[rank] = why
    this.#refusals.delete(rank)
  }

  linkRefused(rank: number, code: ErrorCode, detail: string): void {
    this.linkDown(rank, `${code}: ${detail}`)
    this.#refusals.set(rank, { code, detail })
  }

  /** The nodes that may still answer. */
  hopeful(call: OpenCall): NodeSet {
    const pending = call.pendingSet()
    if (this.#refusals.size === 0) return pending
    const hopeful = pending.clone()
    for (const rank of this.#refusals.keys()) hopeful.remove(rank)
    return hopeful
  }

  /** Nodes that refuse this client have failed the call. */
  giveUp(call: OpenCall): void {
    for (const [slot, rank] of call.targets.ranks.entries()) {
      const refusal = this.#refusals.get(rank)
      if (refusal === undefined || call.states[slot]! >= REPLIED) continue
      call.end(slot, FAILED)
      call.trouble(slot, refusal.code, refusal.detail)
    }
  }

  isUp(rank: number): boolean {
    return this.#up[rank]!
  }

  /** Whether some target can be reached now. */
  reachable(call: OpenCall): boolean {
    for (const rank of call.targets.ranks) if (this.#up[rank]) return true
    return false
  }

  /** Sends what waits to the targets whose links are up; the call has one name, or none. */
  sendAll(call: OpenCall, nowMs: number): void {
    const { ranks } = call.targets
    let shared: Request | undefined
    for (let slot = 0; slot < ranks.length; slot++) {
      if (call.states[slot] !== WAITING || !this.#up[ranks[slot]!]) continue
      if (call.oneWay || call.bodies !== undefined) this.send(call, slot, nowMs)
      else {
        shared ??= this.#request(call, slot, nowMs)
        this.#sendRequest(call, slot, shared)
      }
      if (call.over) return
    }
  }

  /** Sends one copy; it waits where its link is down. */
  send(call: OpenCall, slot: number, nowMs: number): void {
    if (!this.#up[call.targets.ranks[slot]!]) call.states[slot] = WAITING
    else if (call.oneWay) this.#sendOneWay(call, slot)
    else this.#sendRequest(call, slot, this.#request(call, slot, nowMs))
  }

  /** The same, of a copy that may have been lost with its link. */
  sendAgain(call: OpenCall, slot: number, nowMs: number): void {
    if (call.states[slot] === SENT) this.#repeats(call)
    this.send(call, slot, nowMs)
  }

  /** Tells the nodes that work on the call that nobody waits any more. */
  cancel(call: OpenCall): void {
    const { nodes, ranks } = call.targets
    for (let slot = 0; slot < ranks.length; slot++) {
      if (call.states[slot] !== SENT || !this.#up[ranks[slot]!]) continue
      const session = call.sessions[slot]!.key
      this.#ports.send(nodes[slot]!, { kind: "cancel", session, index: call.indexes[slot]! })
    }
  }

  /** A node refused its copy for now. */
  refused(call: OpenCall, slot: number, reply: Reply, nowMs: number): void {
    const to = reply.code === "redirect" ? reply.node : undefined
    const detail = to === undefined ? reply.detail : `redirected to node ${to}`
    const trouble = call.trouble(slot, reply.code!, detail)
    const { retryMsMin, retryMsMax } = this.#limits
    const most = Math.min(retryMsMax, retryMsMin * 2 ** ++trouble.tries)
    trouble.retryMs = nowMs + retryMsMin + this.#ports.random(most - retryMsMin + 1)
    call.states[slot] = BACKING_OFF
  }

  /** A node said that this one takes the call: its back-off ends. */
  hasten(call: OpenCall, slot: number, nowMs: number): void {
    const trouble = call.troubles?.[slot]
    if (call.states[slot] !== BACKING_OFF || trouble!.hastened) return
    mark("redirected to a node that backs off")
    trouble!.hastened = true
    this.#repeats(call)
    this.send(call, slot, nowMs)
  }

  /** Sends the copies whose back-off is over, and returns when the next one's is. */
  sendDue(call: OpenCall, nowMs: number): number {
    let atMs = call.dueMs
    for (let slot = 0; slot < call.states.length; slot++) {
      if (call.states[slot] !== BACKING_OFF) continue
      const trouble = call.troubles![slot]!
      if (trouble.retryMs > nowMs) atMs = Math.min(atMs, trouble.retryMs)
      else {
        trouble.hastened = false
        this.#repeats(call)
        this.send(call, slot, nowMs)
        if (call.over) return atMs
      }
    }
    return atMs
  }

  /** What a copy without an answer waits for, for people. `hellos`: those its session waits for. */
  waitsFor(call: OpenCall, slot: number, hellos: number): string {
    const rank = call.targets.ranks[slot]!
    if (!this.#up[rank]) return `no link: ${this.#why[rank]}`
    if (call.states[slot] === SENT) return "no answer yet"
    if (call.states[slot] === BACKING_OFF) return "to be tried again"
    if (call.multiparty && hellos > 0) {
      const nodes = hellos === 1 ? "node" : "nodes"
      return `waiting for links to a quorum: ${hellos} more ${nodes} must answer`
    }
    return "not sent: earlier calls come first"
  }

  #repeats(call: OpenCall): void {
    call.repeated = true
    this.resent++
  }

  #sendRequest(call: OpenCall, slot: number, request: Request): void {
    call.states[slot] = SENT
    if (this.#ports.send(call.targets.nodes[slot]!, request)) return
    // Unless the answer, or the end of the call, was there before `send` came back.
    if (!call.over && call.states[slot] === SENT) call.states[slot] = WAITING
  }

  #sendOneWay(call: OpenCall, slot: number): void {
    const { method } = call.spec
    const message = { kind: "oneWay", method, body: call.bodyOf(slot) } as const
    if (this.#ports.send(call.targets.nodes[slot]!, message)) call.end(slot, REPLIED)
  }

  #request(call: OpenCall, slot: number, nowMs: number): Request {
    const session = call.sessions[slot]!
    return {
      kind: "request",
      session: session.key,
      index: call.indexes[slot]!,
      ackedBelow: session.ackedBelow,
      method: call.spec.method,
      deadlineMs: Math.max(1, call.dueMs - nowMs),
      body: call.bodyOf(slot),
      // Always there: requests of two shapes would slow all of them down.
      trace: call.spec.trace
    }
  }
}
