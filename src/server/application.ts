/**
 * Ordered apply: what the protocol decided runs in lane order, once per index, on every node
 * alike.
 */
import { assert } from "../base/assert.ts"
import type { CallId } from "./Directive.ts"
import { CallView } from "./callView.ts"
import type { Protocol } from "./handlers.ts"
import type { ProtocolLane } from "./lanes.ts"
import { COUNT_MAX, type LaneKey, laneOfBytes, SESSION_BYTES } from "./laneKey.ts"

export interface Decision {
  readonly command: Uint8Array
  readonly call: CallId | undefined
}

/** A command that ran: its call and the reply message, where it answers one. */
export interface Applied {
  readonly call: CallName
  readonly body: Uint8Array
}

/** A call named by a message, checked: messages are a peer's bytes. */
export interface CallName {
  readonly session: LaneKey
  readonly index: number
  readonly method: string
}

export const callName = (call: CallId | undefined): CallName | undefined =>
  isCallId(call)
    ? { session: laneOfBytes(call.session), index: call.index, method: call.method }
    : undefined

const isCallId = (call: CallId | undefined): call is CallId =>
  call?.session instanceof Uint8Array &&
  call.session.length === SESSION_BYTES &&
  Number.isSafeInteger(call.index) &&
  call.index >= 1 &&
  call.index < COUNT_MAX &&
  typeof call.method === "string"

export class Application {
  readonly protocol: Protocol
  private readonly bodyBytesMax: number
  private readonly state: unknown
  private readonly decided = new Map<LaneKey, Map<number, Decision>>()

  constructor(protocol: Protocol, bodyBytesMax: number) {
    this.protocol = protocol
    this.bodyBytesMax = bodyBytesMax
    this.state = protocol.spec.world?.application?.initial()
  }

  at(lane: LaneKey, index: number): Decision | undefined {
    return this.decided.get(lane)?.get(index)
  }

  /** The first decision stands; the caller halts on another one. */
  decide(lane: LaneKey, index: number, decision: Decision): void {
    assert(this.at(lane, index) === undefined, "an index is decided once")
    let ofLane = this.decided.get(lane)
    if (ofLane === undefined) this.decided.set(lane, (ofLane = new Map()))
    ofLane.set(index, decision)
  }

  /**
   * Runs the lowest unapplied index of `lane` when it is decided, and moves the lane past it.
   * @returns `false` when there is nothing to run.
   * @throws whatever the application throws: the caller halts the node.
   */
  next(lane: ProtocolLane): false | Applied | undefined {
    const decision = this.at(lane.key, lane.own)
    const spec = this.protocol.spec.world?.application
    if (decision === undefined || spec === undefined) return false
    const index = lane.own
    const call = callName(decision.call)
    const view = call && new CallView(call.session, call.index, call.method)
    const command = spec.command.decode(decision.command)
    const result = spec.apply(this.state, command, { lane: lane.key, index, call: view })
    this.decided.get(lane.key)!.delete(index)
    lane.finish(index)
    if (call === undefined || result === undefined) return undefined
    const method = this.protocol.methods.get(call.method)
    if (method === undefined) return undefined
    const body = method.spec.output.encode(result)
    if (body.length > this.bodyBytesMax) throw new Error(`its result has ${body.length} bytes`)
    return { call, body }
  }
}
