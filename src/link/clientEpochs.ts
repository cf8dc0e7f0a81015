/**
 * A client through the epochs of a group: one call table for each that still has its calls, and the
 * newest takes the new ones. A call belongs to one epoch. Only what a quorum of it said it never
 * takes part in is made again in the next: there it is another call, of another session.
 */
import { assert } from "../base/assert.ts"
import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { Reply } from "../server/Message.ts"
import type { CallCore } from "./callCore.ts"
import type { CallResult, CallSpec } from "./callTypes.ts"
import type { EpochPlan } from "./epochs.ts"
import type { Clock } from "./ports.ts"

export interface ClientEpochPorts {
  readonly clock: Clock
  /** `undefined`: no description of an epoch of this group. */
  readonly read: (description: Uint8Array) => EpochPlan | undefined
  /** Make the epoch's call table, and its links. */
  readonly open: (plan: EpochPlan) => CallCore
  /** Nobody calls in this epoch any more: its links go. */
  readonly close: (number: number) => void
}

class Live {
  readonly plan: EpochPlan
  readonly core: CallCore
  /** By rank: what the node says comes next. */
  readonly told: Array<Uint8Array | undefined>

  constructor(plan: EpochPlan, core: CallCore) {
    this.plan = plan
    this.core = core
    this.told = new Array<Uint8Array | undefined>(plan.system.size).fill(undefined)
  }
}

export class ClientEpochs {
  private readonly ports: ClientEpochPorts
  private readonly live = new Map<number, Live>()
  private last: Live

  constructor(first: EpochPlan, ports: ClientEpochPorts) {
    this.ports = ports
    this.last = this.open(first)
  }

  /** Takes the new calls. */
  get newest(): EpochPlan {
    return this.last.plan
  }
  /** Numbers of the epochs that have call tables. */
  get numbers(): ReadonlyArray<number> {
    return [...this.live.keys()]
  }

  /**
   * `make`: the call, for the members of an epoch; `undefined`: it is none for those of a later
   * one. What is returned cancels it.
   */
  start<R, A>(make: (plan: EpochPlan) => CallSpec<R, A> | undefined): () => void {
    const first = make(this.last.plan)
    assert(first !== undefined, "the newest epoch has the call")
    const dueMs = this.ports.clock.nowMs() + first.deadlineMs
    let cancel = (): void => {}
    const startIn = ({ plan, core }: Live, spec: CallSpec<R, A>, deadlineMs: number): void => {
      const done = (result: CallResult<A>): void => {
        const moves = !result.ok && result.code === "epoch_ended" && this.last.plan !== plan
        const leftMs = moves ? dueMs - this.ports.clock.nowMs() : 0
        const next = leftMs > 0 ? make(this.last.plan) : undefined
        if (next === undefined) spec.done(result)
        else startIn(this.last, next, Math.min(next.deadlineMs, leftMs))
      }
      const id = core.start({ ...spec, deadlineMs, done })
      if (id !== 0) cancel = () => core.cancel(id)
    }
    startIn(this.last, first, first.deadlineMs)
    return () => cancel()
  }

  onReply(number: number, node: NodeId, reply: Reply): void {
    const live = this.live.get(number)
    if (live === undefined) return
    const { code, body } = reply
    if (code === "epoch_closing" || code === "epoch_ended") this.told(live, node, body)
    // That the epoch closes does not touch the call, which runs there.
    if (code !== "epoch_closing") live.core.onReply(node, reply)
  }

  /** The node refused the epoch's link: it has ended there. */
  gone(number: number, node: NodeId): void {
    const { core } = this.live.get(number) ?? {}
    core?.linkRefused(node, "epoch_gone", `epoch ${number} has ended there`)
  }

  /** Lets go of epochs that have a next one and no more calls. To be called every `tickMs`. */
  tick(): void {
    for (const [number, { core }] of this.live) {
      if (number === this.last.plan.number || core.size()["calls"]! > 0) continue
      this.live.delete(number)
      core.close()
      this.ports.close(number)
    }
  }

  /** Believed from `oneHonest` nodes. */
  private told(live: Live, node: NodeId, description: Uint8Array): void {
    const { system } = live.plan
    const rank = system.rank(node)
    if (rank < 0) return
    if (bytesEqual(this.last.plan.description, description)) return
    live.told[rank] = description
    const alike = new NodeSet(system.size)
    for (const [other, text] of live.told.entries()) {
      if (text !== undefined && bytesEqual(text, description)) alike.add(other)
    }
    if (!system.oneHonest.has(alike)) return
    const next = this.ports.read(description)
    if (next !== undefined && next.number > this.last.plan.number) this.last = this.open(next)
  }

  private open(plan: EpochPlan): Live {
    const live = new Live(plan, this.ports.open(plan))
    this.live.set(plan.number, live)
    return live
  }
}
