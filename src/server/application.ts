/**
 * The application of one protocol: what was decided for it, and how far it ran. It runs the
 * indexes of one lane in order, each once, the same on every node.
 */
import { assert } from "../base/assert.ts"
import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { CallId } from "./Directive.ts"
import { CallView } from "./callView.ts"
import type { Protocol } from "./handlers.ts"
import type { ProtocolLane } from "./lanes.ts"
import { COUNT_MAX, type LaneKey, laneOfBytes, SESSION_BYTES } from "./laneKey.ts"
import type { ApplicationSpec, ApplyContext } from "./Protocol.ts"

/** One command of an index, and the call that its result answers. */
export interface Item {
  readonly command: Uint8Array
  readonly call?: CallId
}
/** What an index is decided to be; without items it only closes a hole. */
export type Batch = ReadonlyArray<Item>

/** The reply message to a call. */
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

export const sameBatch = (a: Batch, b: Batch): boolean =>
  a.length === b.length && a.every((item, at) => sameItem(item, b[at]!))

const sameItem = (a: Item, b: Item): boolean =>
  bytesEqual(a.command, b.command) &&
  a.call?.index === b.call?.index &&
  a.call?.method === b.call?.method &&
  bytesEqual(a.call?.session ?? NO_BYTES, b.call?.session ?? NO_BYTES)

/** An item that was handed to the application. */
export interface Run {
  readonly call: CallName | undefined
  /** What `apply` returned: a reply, or an Effect that ends with {@link Finish}. */
  readonly result: unknown
}
/** Ends an Effect of `apply`: writes the state, and returns the reply. */
export type Finish = (state: unknown) => object | undefined

export class Application {
  readonly protocol: Protocol
  readonly lane: ProtocolLane
  /** Of the Effect of the next item; 0: none is under way. */
  token = 0
  private readonly spec: ApplicationSpec
  private readonly bodyBytesMax: number
  private readonly state: unknown
  /** Decided, and not run to the end. */
  private readonly decided = new Map<number, Batch>()
  /** Run to the end, at or above a floor that is set: what is decided again must be the same. */
  private readonly kept = new Map<number, Batch>()
  /** Items of the index behind `lane.applied` that ran. */
  private done = 0
  private effect: Run | undefined

  constructor(parts: {
    readonly protocol: Protocol
    readonly lane: ProtocolLane
    readonly spec: ApplicationSpec
    readonly bodyBytesMax: number
  }) {
    this.protocol = parts.protocol
    this.lane = parts.lane
    this.spec = parts.spec
    this.bodyBytesMax = parts.bodyBytesMax
    this.state = parts.spec.initial()
  }

  at(index: number): Batch | undefined {
    return this.decided.get(index) ?? this.kept.get(index)
  }

  knows(index: number): boolean {
    return index <= this.lane.applied || this.decided.has(index)
  }

  /** The first decision stands; the caller halts on another one. */
  decide(index: number, batch: Batch): void {
    assert(!this.knows(index), "an index is decided once")
    this.decided.set(index, batch)
  }

  /** The batch that runs next, where it is decided, and its next item. */
  get next(): { readonly item: Item | undefined } | undefined {
    const batch = this.decided.get(this.lane.applied + 1)
    return batch && { item: batch[this.done] }
  }

  /** @throws whatever the application throws: the caller halts the node. */
  run(item: Item): Run {
    const call = callName(item.call)
    const view = call && new CallView(call.session, call.index, call.method)
    const { lane } = this
    const context: ApplyContext = { lane: lane.key, index: lane.applied + 1, call: view }
    const command = this.spec.command.decode(item.command)
    return { call, result: this.spec.apply(this.state, command, context) }
  }

  await(token: number, run: Run): void {
    this.token = token
    this.effect = run
  }

  /** The Effect under way ended. */
  awaited(finish: Finish): Applied | undefined {
    const run = this.effect!
    this.await(0, NO_RUN)
    return this.finish(run, finish(this.state))
  }

  /** The item has run: its reply, where it answers a call. */
  finish({ call }: Run, result: unknown): Applied | undefined {
    this.done++
    const method = call && this.protocol.methods.get(call.method)
    if (method === undefined || result === undefined) return undefined
    const body = method.spec.output.encode(result as object)
    if (body.length > this.bodyBytesMax) throw new Error(`its result has ${body.length} bytes`)
    return { call: call!, body }
  }

  /** All items of the lowest unapplied index have run. */
  pass(): void {
    this.done = 0
    const index = ++this.lane.applied
    if (this.lane.floored) this.kept.set(index, this.decided.get(index)!)
    this.decided.delete(index)
  }

  /** The lane's floor moved. */
  forget(): void {
    for (const index of this.kept.keys()) if (index < this.lane.own) this.kept.delete(index)
  }
}

const NO_RUN: Run = { call: undefined, result: undefined }
