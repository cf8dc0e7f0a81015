/** The copies of calls: over which links they go, when they are sent again, what they wait for. */
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Reply, Request } from "../server/Message.ts"
import type { CallPorts } from "./callTypes.ts"
import { BACKING_OFF, type OpenCall, REPLIED, SENT, WAITING } from "./openCall.ts"

export class CallCopies {
  /** Copies after the first, over a new link or after a back-off. */
  resent = 0
  readonly #limits: Limits
  readonly #ports: CallPorts
  /** By rank. */
  readonly #up: Array<boolean>
  /** By rank: why the link is down. */
  readonly #why: Array<string>

  constructor(system: System, limits: Limits, ports: CallPorts) {
    this.#limits = limits
    this.#ports = ports
    this.#up = new Array<boolean>(system.size).fill(false)
    this.#why = new Array<string>(system.size).fill("not connected yet")
  }

  linkUp(rank: number): void {
    this.#up[rank] = true
  }

  linkDown(rank: number, why: string): void {
    this.#up[rank] = false
    this.#why[rank] = why
  }

  /** Whether some target can be reached now. */
  reachable(call: OpenCall): boolean {
    for (const rank of call.targets.ranks) if (this.#up[rank]) return true
    return false
  }

  /** Sends what has not been sent to the targets whose links are up. */
  sendAll(call: OpenCall): void {
    const { ranks } = call.targets
    let shared: Request | undefined
    for (let slot = 0; slot < ranks.length; slot++) {
      if (call.states[slot] !== WAITING || !this.#up[ranks[slot]!]) continue
      if (call.oneWay || call.bodies !== undefined) this.send(call, slot)
      else {
        shared ??= this.#request(call, slot)
        this.#send(call, slot, shared)
      }
      if (call.over) return
    }
  }

  /** Sends one copy; it waits where its link is down. */
  send(call: OpenCall, slot: number): void {
    if (!this.#up[call.targets.ranks[slot]!]) call.states[slot] = WAITING
    else if (!call.oneWay) this.#send(call, slot, this.#request(call, slot))
    else if (this.#handOver(call, slot)) call.end(slot, REPLIED)
  }

  /** The same, of a copy that was lost with its link. */
  sendAgain(call: OpenCall, slot: number): void {
    if (call.states[slot] === SENT) this.resent++
    this.send(call, slot)
  }

  /** Tells the nodes that work on the call that nobody waits any more. */
  cancel(call: OpenCall): void {
    const { session, index, targets } = call
    if (session === undefined) return
    const cancel = { kind: "cancel", session: session.key, index } as const
    for (let slot = 0; slot < targets.ranks.length; slot++) {
      if (call.states[slot] !== SENT || !this.#up[targets.ranks[slot]!]) continue
      this.#ports.send(targets.nodes[slot]!, cancel)
    }
  }

  /** A node refused its copy for now. */
  refused(call: OpenCall, slot: number, reply: Reply, nowMs: number): void {
    const trouble = call.trouble(slot, reply.code!, reply.detail)
    const { retryMsMin, retryMsMax } = this.#limits
    const most = Math.min(retryMsMax, retryMsMin * 2 ** ++trouble.tries)
    trouble.retryMs = nowMs + retryMsMin + this.#ports.random(most - retryMsMin + 1)
    call.states[slot] = BACKING_OFF
  }

  /** A node said that this one takes the call: its back-off ends. */
  hasten(call: OpenCall, slot: number): void {
    const trouble = call.troubles?.[slot]
    if (call.states[slot] !== BACKING_OFF || trouble!.hastened) return
    mark("redirected to a node that backs off")
    trouble!.hastened = true
    this.resent++
    this.send(call, slot)
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
        this.resent++
        this.send(call, slot)
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
    if (hellos > 0)
      return `not sent: ${hellos} more ${hellos === 1 ? "node" : "nodes"} must say hello`
    return "not sent: earlier calls come first"
  }

  #send(call: OpenCall, slot: number, request: Request): void {
    call.states[slot] = SENT
    if (this.#ports.send(call.targets.nodes[slot]!, request)) return
    // Unless the answer, or the end of the call, was there before `send` came back.
    if (!call.over && call.states[slot] === SENT) call.states[slot] = WAITING
  }

  #handOver(call: OpenCall, slot: number): boolean {
    const { method } = call.spec
    return this.#ports.send(call.targets.nodes[slot]!, {
      kind: "oneWay",
      method,
      body: call.bodyOf(slot)
    })
  }

  #request(call: OpenCall, slot: number): Request {
    const session = call.session!
    return {
      kind: "request",
      session: session.key,
      index: call.index,
      ackedBelow: session.ackedBelow,
      method: call.spec.method,
      deadlineMs: Math.max(1, call.dueMs - this.#ports.clock.nowMs()),
      body: call.bodyOf(slot)
    }
  }
}
