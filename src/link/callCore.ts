/**
 * The client's call table, one per (client, group): sends calls to their targets, again where a
 * copy was lost or refused for now, hands each node's answer to the call's policy, ends the call.
 *
 * - A request goes to each target whose link is up, and to the others as their links come up. A
 *   link loses nothing while it lasts; so a copy is sent again only over a new link, or after a
 *   back-off where the node refused it for now.
 * - A node gets every copy under the same number and with the same bytes: that a call takes effect
 *   at most once is the nodes' part.
 * - A call ends once: with the policy's answer, as soon as no answer is possible (P9), at its
 *   deadline, or by `cancel` or `close`. It then leaves nothing behind (P10).
 *
 * Bounds: `callsOpenMax` calls, each with its bodies. Of these are sent to one node and not over:
 * `windowCalls` a session, and bodies of half of `linkBytes`, so that sending them all again does
 * not overrun the link.
 */
import { assert } from "../base/assert.ts"
import { type ErrorCode, mayRetry } from "../base/errorCode.ts"
import { IndexTable } from "../base/indexTable.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Reply } from "../server/Message.ts"
import { CallCopies } from "./callCopies.ts"
import { CallLanes } from "./callLanes.ts"
import { codeOf, forgotten, gotOf, outcomesOf, refuse, textOf } from "./callOutcome.ts"
import { Timers } from "./callTimers.ts"
import type { CallEnd, CallPort, CallPorts, CallResult, CallSpec } from "./callTypes.ts"
import {
  DISAGREED,
  FAILED,
  OpenCall,
  prepare,
  REPLIED,
  SENT,
  Targets,
  WAITING
} from "./openCall.ts"

export type {
  CallPort,
  CallPorts,
  CallResult,
  CallSpec,
  NodeOutcome
} from "./callTypes.ts"

export class CallCore {
  readonly system: System
  /** Since the table was made. */
  readonly counters = {
    /** Of calls that are over, of nodes that are no targets, or of a node that had answered. */
    repliesDropped: 0,
    malformed: 0,
    refusedForNow: 0,
    overloaded: 0
  }
  readonly #limits: Limits
  readonly #ports: CallPorts
  readonly #copies: CallCopies
  readonly #lanes: CallLanes
  /** In the order in which they started. */
  readonly #calls: IndexTable<OpenCall>
  readonly #timers = new Timers<OpenCall>()
  readonly #targets = new WeakMap<ReadonlyArray<NodeId>, Targets>()
  #ids = 0
  /** What `wake` was asked for and has not come yet. */
  #wakeMs = Number.POSITIVE_INFINITY
  #closed = false

  constructor(options: { system: System; limits: Limits; ports: CallPorts }) {
    const { system, limits, ports } = options
    this.system = system
    this.#limits = limits
    this.#calls = new IndexTable(limits.callsOpenMax)
    this.#ports = ports
    this.#copies = new CallCopies(system, limits, ports)
    this.#lanes = new CallLanes(system, limits, ports, this.#copies)
  }

  /**
   * The link to `node` said hello, for the first time or again. `horizonMs`: nothing runs there in
   * sessions opened at or below it.
   */
  linkUp(node: NodeId, horizonMs: number): void {
    const rank = this.system.rank(node)
    if (rank < 0 || this.#closed) return
    this.#copies.linkUp(rank)
    this.#lanes.hello(rank, horizonMs)
    const nowMs = this.#ports.clock.nowMs()
    for (const call of this.#calls.values()) {
      const slot = call.targets.slot(rank)
      if (call.over || slot < 0) continue
      if (!call.oneWay) this.#lanes.linkUp(call, slot, nowMs)
      else if (call.states[slot] === WAITING) {
        this.#copies.send(call, slot, nowMs)
        this.#checkOneWay(call)
      }
    }
    this.#lanes.pump(rank)
  }

  /** The link to `node` broke or cannot be made. `why`: for people, e.g. "connection refused". */
  linkDown(node: NodeId, why: string): void {
    const rank = this.system.rank(node)
    if (rank >= 0) this.#copies.linkDown(rank, why)
  }

  /**
   * The link to `node` is refused, by either side, and will be until an operator sees to it. A call
   * that only such nodes could answer fails now.
   */
  linkRefused(node: NodeId, code: ErrorCode, detail: string): void {
    const rank = this.system.rank(node)
    if (rank < 0 || this.#closed) return
    this.#copies.linkRefused(rank, code, detail)
    for (const call of this.#calls.values()) {
      if (!call.over && !call.oneWay && call.targets.set.has(rank)) this.#stillPossible(call)
    }
  }

  /**
   * Starts a call and returns its id. Where it cannot be made, `done` tells why before `start`
   * returns. A target that is no member, or a call kind that clients do not call, is a defect.
   */
  start<R, A>(typed: CallSpec<R, A>): number {
    // The table never looks into replies and answers.
    const spec = typed as unknown as CallSpec<unknown, unknown>
    assert(spec.call !== "phase", "clients do not call phases")
    const targets = this.#targetsOf(spec.targets)
    const { callTimeoutMsMax, callsOpenMax } = this.#limits
    if (this.#closed) return refuse(spec, targets, "cancelled", "the client is closed")
    if (this.#calls.size >= callsOpenMax) {
      this.counters.overloaded++
      return refuse(spec, targets, "overloaded", `${callsOpenMax} calls are open`)
    }
    if (!(spec.deadlineMs > 0 && spec.deadlineMs <= callTimeoutMsMax)) {
      const range = `a deadline is more than 0 and at most ${callTimeoutMsMax} ms`
      return refuse(spec, targets, "invalid", range)
    }
    const nowMs = this.#ports.clock.nowMs()
    const call = new OpenCall(++this.#ids, spec, targets, nowMs + Math.ceil(spec.deadlineMs))
    const { watch } = this.#ports
    if (watch !== undefined) call.started = watch.started(call.id, spec)
    try {
      prepare(call, this.system, this.#limits.bodyBytesMax)
    } catch (error) {
      return refuse(spec, targets, "internal", textOf(error))
    }
    this.#calls.set(call.id, call)
    this.#timers.add(call)
    if (call.oneWay) {
      if (!call.states.includes(FAILED)) this.#copies.sendAll(call, nowMs)
      this.#checkOneWay(call)
    } else if (this.#stillPossible(call)) this.#lanes.place(call, nowMs)
    this.#arm()
    return call.id
  }

  /** Ends a call without a word to its caller; its nodes are told. Nothing where it is over. */
  cancel(id: number): void {
    const call = this.#calls.get(id)
    if (call === undefined) return
    this.#end(call, "interrupted")
    this.#copies.cancel(call)
    this.#lanes.leave(call)
  }

  onReply(node: NodeId, reply: Reply): void {
    const session = this.#lanes.session(reply.session)
    const call = session?.at(reply.index)
    const slot = call === undefined ? -1 : call.targets.slot(this.system.rank(node))
    // Only under the name the call has at this node.
    if (call === undefined || slot < 0 || call.sessions[slot] !== session) this.#drop()
    else if (call.states[slot]! >= REPLIED) this.#drop()
    else this.#onReply(call, slot, reply)
  }

  #onReply(call: OpenCall, slot: number, reply: Reply): void {
    const { code } = reply
    if (reply.tentative) return this.#tentative(call, slot, reply.body)
    if (code === undefined) this.#answered(call, slot, reply.body)
    else if (!mayRetry(code)) this.#failedAt(call, slot, code, reply)
    else if (call.states[slot] === SENT) return this.#refusedForNow(call, slot, reply)
    else return this.#drop()
    if (!call.over) this.#lanes.pump(call.targets.ranks[slot]!)
  }

  /** Time has passed; see {@link CallPorts.wake}. */
  tick(): void {
    this.#wakeMs = Number.POSITIVE_INFINITY
    const nowMs = this.#ports.clock.nowMs()
    for (;;) {
      const call = this.#timers.first
      if (call === undefined || call.atMs > nowMs) break
      if (call.dueMs <= nowMs) {
        const unknown = call.multiparty && forgotten(call, this.system) !== undefined
        this.#fail(call, unknown ? "outcome_unknown" : "deadline_exceeded")
      } else {
        const atMs = this.#copies.sendDue(call, nowMs)
        if (!call.over) this.#timers.move(call, atMs)
      }
    }
    this.#arm()
  }

  /** Fails all open calls with `cancelled`, and every later one. */
  close(): void {
    this.#closed = true
    this.#lanes.close()
    for (const call of this.#calls.values()) {
      if (!call.over) this.#fail(call, "cancelled", "the client is closed")
    }
  }

  /** What the table holds now. */
  size(): Record<string, number> {
    return {
      calls: this.#calls.size,
      waiting: this.#lanes.waiting,
      timers: this.#timers.count,
      sessions: this.#lanes.sessions,
      bytes: this.#lanes.bytes
    }
  }

  // ------------------------------------------------------------ what nodes say

  #drop(): void {
    this.counters.repliesDropped++
  }

  #answered(call: OpenCall, slot: number, body: Uint8Array): void {
    const { spec } = call
    const count = call.count!
    const node = call.targets.nodes[slot]!
    let reply: unknown
    try {
      reply = spec.decode(body)
    } catch (error) {
      this.counters.malformed++
      return this.#failed(call, slot, "malformed", textOf(error))
    }
    call.end(slot, REPLIED)
    this.#lanes.answered(call, slot)
    let found: { readonly answer: unknown } | undefined
    try {
      spec.each?.(node, reply)
      if (call.over) return
      found = count.on(node, reply)
      if (found === undefined) {
        const got = count.got()
        if (got <= call.got) call.states[slot] = DISAGREED
        call.got = got
      }
    } catch (error) {
      return this.#fail(call, "internal", `the policy threw: ${textOf(error)}`)
    }
    if (found === undefined) this.#stillPossible(call)
    else this.#finish(call, { ok: true, answer: found.answer })
  }

  /** Not its node's last word: the copy stays as it is, and so does the call's name. */
  #tentative(call: OpenCall, slot: number, body: Uint8Array): void {
    const { count, spec } = call
    if (count?.tentative === undefined) return this.#drop()
    let reply: unknown
    try {
      reply = spec.decode(body)
    } catch {
      this.counters.malformed++
      return
    }
    let found: { readonly answer: unknown } | undefined
    try {
      found = count.tentative(call.targets.nodes[slot]!, reply)
    } catch (error) {
      return this.#fail(call, "internal", `the policy threw: ${textOf(error)}`)
    }
    if (found !== undefined) this.#finish(call, { ok: true, answer: found.answer })
  }

  #refusedForNow(call: OpenCall, slot: number, reply: Reply): void {
    this.counters.refusedForNow++
    const nowMs = this.#ports.clock.nowMs()
    this.#copies.refused(call, slot, reply, nowMs)
    const { retryMs } = call.troubles![slot]!
    if (retryMs < call.atMs) this.#timers.move(call, retryMs)
    if (reply.code === "redirect" && reply.node !== undefined) {
      const named = call.targets.slot(this.system.rank(reply.node))
      if (named >= 0 && named !== slot) this.#copies.hasten(call, named, nowMs)
    }
    this.#arm()
  }

  #failedAt(call: OpenCall, slot: number, code: ErrorCode, reply: Reply): void {
    if (code === "session_expired") {
      this.#lanes.expired(call.targets.ranks[slot]!, reply.horizonMs ?? 0)
      if (this.#lanes.rename(call, slot, this.#ports.clock.nowMs())) return
    }
    this.#failed(call, slot, code, reply.detail)
  }

  #failed(call: OpenCall, slot: number, code: ErrorCode, detail: string | undefined): void {
    call.end(slot, FAILED)
    this.#lanes.answered(call, slot)
    call.trouble(slot, code, detail)
    if (!this.#stillPossible(call) || code !== "session_expired" || !call.multiparty) return
    // The nodes that have not forgotten the call cannot agree on it any more.
    const expired = forgotten(call, this.system)
    if (expired === undefined || this.system.quorum.has(expired.complement())) return
    this.#fail(call, "outcome_unknown")
  }

  /** Fails the call where it is not (P9): none are left but nodes that refuse this client. */
  #stillPossible(call: OpenCall): boolean {
    try {
      if (call.count!.possible(this.#copies.hopeful(call))) return true
    } catch (error) {
      this.#fail(call, "internal", `the policy threw: ${textOf(error)}`)
      return false
    }
    this.#copies.giveUp(call)
    this.#fail(call, codeOf(call, this.system))
    return false
  }

  #checkOneWay(call: OpenCall): void {
    if (call.over) return
    if (call.states.includes(FAILED)) this.#fail(call, codeOf(call, this.system))
    else if (call.pending === 0) this.#finish(call, { ok: true, answer: undefined })
  }

  // ------------------------------------------------------------ the life of a call

  /** Takes a call out of the table; the others get its place by `leave`. */
  #end(call: OpenCall, code: CallEnd): void {
    assert(!call.over, "a call ends once")
    call.over = true
    this.#ports.watch?.ended(call.id, call.spec, call.started, code)
    this.#calls.delete(call.id)
    this.#timers.remove(call)
  }

  #finish(call: OpenCall, result: CallResult<unknown>): void {
    this.#end(call, "ok")
    this.#lanes.leave(call)
    call.spec.done(result)
  }

  #fail(call: OpenCall, code: ErrorCode, detail?: string): void {
    const hellos = this.#lanes.missingHellos
    const outcomes = outcomesOf(call, (it, slot) => this.#copies.waitsFor(it, slot, hellos))
    const result = { ok: false, code, ...gotOf(call), outcomes } as const
    this.#end(call, code)
    // The deadline was in the request: the nodes need not be told.
    if (code !== "deadline_exceeded") this.#copies.cancel(call)
    this.#lanes.leave(call)
    call.spec.done(detail === undefined ? result : { ...result, detail })
  }

  #arm(): void {
    const first = this.#timers.first
    if (first === undefined || first.atMs >= this.#wakeMs) return
    this.#wakeMs = first.atMs
    this.#ports.wake(first.atMs)
  }

  #targetsOf(nodes: ReadonlyArray<NodeId>): Targets {
    let targets = this.#targets.get(nodes)
    if (targets === undefined) {
      targets = new Targets(this.system, nodes)
      this.#targets.set(nodes, targets)
    }
    return targets
  }
}

/** The door of a call table for those who only make calls. */
export const portOf = (core: CallCore): CallPort => ({
  system: core.system,
  start: (spec) => {
    const id = core.start(spec)
    return () => core.cancel(id)
  }
})
