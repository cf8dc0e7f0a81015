/**
 * The application of one protocol: what was decided for it, and how far it ran. It runs the
 * indexes of one lane in order, each once, the same on every node.
 */
import { assert } from "../base/assert.ts"
import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import { decodePlain, encodePlain } from "../base/plainData.ts"
import type { CallId } from "./Directive.ts"
import { textOf } from "./authorMistake.ts"
import { CallView } from "./callView.ts"
import type { Protocol } from "./handlers.ts"
import type { ProtocolLane } from "./lanes.ts"
import { COUNT_MAX, type LaneKey, laneOfBytes, SESSION_BYTES } from "./laneKey.ts"
import type { ApplicationSpec, ApplyContext, IsEffect } from "./Protocol.ts"
import type { Answer } from "./sessions.ts"
import { type Digesting, Snapshot } from "./snapshot.ts"

/** One command of an index, and the call that its result answers. */
export interface Item {
  readonly command: Uint8Array
  readonly call?: CallId
}
/** What an index is decided to be; without items it only closes a hole. */
export type Batch = ReadonlyArray<Item>

/** What a call is answered. */
export interface Applied {
  readonly call: CallName
  readonly answer: Answer
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
  readonly command: object
  readonly context: ApplyContext
  /** What `apply` returned: a reply, or an Effect that ends with {@link Finish}. */
  readonly result: unknown
}
/** Ends an Effect of `apply`: writes the state, and returns the reply. */
export type Finish = (state: unknown) => object | undefined

/** An index that ran before it was decided. */
interface Ahead {
  readonly index: number
  readonly batch: Batch
  readonly runs: Array<Run>
}

/** A read that waits for `lane.applied`. */
export interface Read {
  readonly index: number
  readonly call: CallName
  readonly query: unknown
}

export class Application {
  readonly protocol: Protocol
  readonly lane: ProtocolLane
  readonly spec: ApplicationSpec
  /** Of the Effect of the next item; 0: none is under way. */
  token = 0
  /** Lowest index first. */
  readonly reads: Array<Read> = []
  private readonly bodyBytesMax: number
  private readonly digesting: Digesting
  /** What lies above `lane.applied` in it can be undone. */
  private state: unknown
  /** Decided, and not run to the end. */
  private readonly decided = new Map<number, Batch>()
  /** Run to the end, at or above a floor that is set: what is decided again must be the same. */
  private readonly kept = new Map<number, Batch>()
  /** Items of the index behind `lane.applied` that ran. */
  private done = 0
  private effect: Run | undefined
  /** Indexes behind `lane.applied`, without a hole. Empty while one that is decided runs. */
  private ahead: Array<Ahead> = []
  /** To run ahead of their decision, once all below them has run. */
  private readonly proposed = new Map<number, Batch>()
  private latest: Snapshot | undefined

  constructor(parts: {
    readonly protocol: Protocol
    readonly lane: ProtocolLane
    readonly spec: ApplicationSpec
    readonly bodyBytesMax: number
    readonly digesting: Digesting
  }) {
    this.protocol = parts.protocol
    this.lane = parts.lane
    this.spec = parts.spec
    this.bodyBytesMax = parts.bodyBytesMax
    this.digesting = parts.digesting
    this.state = parts.spec.initial()
    this.skip(parts.spec.appliedIndex?.() ?? 0)
  }

  /** It keeps its state itself, durably: the log has none of it. */
  get elsewhere(): boolean {
    return this.spec.appliedIndex !== undefined
  }

  /** For a checkpoint: what is decided and at hand, run or not. */
  batches(): ReadonlyArray<readonly [index: number, batch: Batch]> {
    return [...this.kept, ...this.decided]
  }

  /** From a checkpoint: it has run, and what is decided again must be the same. */
  recall(index: number, batch: Batch): void {
    if (this.lane.floored && index >= this.lane.own) this.kept.set(index, batch)
  }

  /** Decided and not run, and run ahead or about to be. */
  get waiting(): number {
    return this.decided.size + this.proposed.size + this.ahead.length
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
    this.proposed.delete(index)
  }

  /** The batch that runs next, where it is decided, and its next item. */
  get next(): { readonly batch: Batch; readonly item: Item | undefined } | undefined {
    const batch = this.decided.get(this.lane.applied + 1)
    return batch && { batch, item: batch[this.done] }
  }

  /** What ran ahead and was decided so. What was decided otherwise is undone. */
  confirmed(batch: Batch): ReadonlyArray<Run> {
    const [first] = this.ahead
    if (first === undefined) return []
    if (sameBatch(first.batch, batch)) return this.ahead.shift()!.runs
    this.rollback(first.index)
    return []
  }

  /** @throws whatever the application throws: the caller halts the node. */
  run(item: Item, index = this.lane.applied + 1): Run {
    const call = callName(item.call)
    const view = call && new CallView(call.session, call.index, call.method)
    const context: ApplyContext = { lane: this.lane.key, index, call: view, kept: undefined }
    const command = this.spec.command.decode(item.command)
    return { call, command, context, result: this.spec.apply(this.state, command, context) }
  }

  await(token: number, run: Run): void {
    this.token = token
    this.effect = run
  }

  /** The Effect under way ended. */
  awaited(finish: Finish): Applied | undefined {
    const run = this.effect!
    this.token = 0
    return this.finish(run, finish(this.state))
  }

  /** The item has run: its reply, where it answers a call. */
  finish(run: Run, result: unknown): Applied | undefined {
    this.done++
    return this.reply(run, result)
  }

  private reply({ call }: Run, result: unknown): Applied | undefined {
    if (call === undefined || result === undefined) return undefined
    if (!this.protocol.methods.has(call.method)) return undefined
    // Whose reply it is comes from a message, and how large it is from what clients wrote: every
    // node comes to the same, and none stops.
    try {
      return { call, answer: { body: this.encode(call, result) } }
    } catch (thrown) {
      const detail = `the result for ${call.method} of ${this.protocol.spec.name} is no reply: `
      return { call, answer: { code: "poisoned", detail: detail + textOf(thrown), body: NO_BYTES } }
    }
  }

  private encode(call: CallName, result: unknown): Uint8Array {
    const body = this.protocol.methods.get(call.method)!.spec.output.encode(result as object)
    if (body.length > this.bodyBytesMax) throw new Error(`its result has ${body.length} bytes`)
    return body
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

  // ---------------------------------------------------------------- ahead of the decision

  propose(index: number, batch: Batch): void {
    const before = this.ahead.find((a) => a.index === index)
    if (before !== undefined && sameBatch(before.batch, batch)) return
    if (before !== undefined) this.rollback(index)
    this.proposed.set(index, batch)
  }

  /** Runs what is proposed without a hole before it: tentative replies. */
  runAhead(isEffect: IsEffect): ReadonlyArray<Applied> {
    const replies: Array<Applied> = []
    while (this.done === 0 && this.token === 0) {
      const index = this.lane.applied + this.ahead.length + 1
      const batch = this.proposed.get(index)
      if (batch === undefined) break
      this.proposed.delete(index)
      const runs: Array<Run> = []
      this.ahead.push({ index, batch, runs })
      for (const item of batch) {
        const run = this.run(item, index)
        // An Effect is not for trying: it has changed nothing, and the decision runs it.
        if (isEffect(run.result)) {
          this.rollback(index)
          break
        }
        runs.push(run)
        const reply = this.reply(run, run.result)
        if (reply !== undefined) replies.push(reply)
      }
    }
    return replies
  }

  /** Undoes what ran ahead, from `index` on, the latest first, and forgets what was to run. */
  rollback(index: number): void {
    while ((this.ahead.at(-1)?.index ?? 0) >= index) {
      for (const { command, context } of this.ahead.pop()!.runs.reverse()) {
        this.spec.undo!(this.state, command, context)
      }
    }
    for (const at of this.proposed.keys()) if (at >= index) this.proposed.delete(at)
  }

  // ---------------------------------------------------------------- reads and snapshots

  /** Keeps a read until its index is applied, or forever if that never comes. */
  wait(read: Read): void {
    const at = this.reads.findLastIndex(({ index }) => index <= read.index)
    this.reads.splice(at + 1, 0, read)
  }

  /** @throws whatever the application throws: then the call fails alone. */
  read({ call, query }: Read): Uint8Array {
    return this.encode(call, this.spec.read!(this.state, query))
  }

  snapshot(): Snapshot {
    const index = this.lane.applied
    // In the middle of a batch the state is between two indexes, and says how far.
    const fits = this.latest?.index === index && this.done === 0
    if (!fits) {
      const bytes = encodePlain([this.done, this.state])
      this.latest = new Snapshot(index, bytes, this.digesting)
    }
    return this.latest!
  }

  /** Takes another node's state; `false`: these are no bytes of {@link snapshot}. */
  install(index: number, bytes: Uint8Array): boolean {
    let parts: unknown
    try {
      parts = decodePlain(bytes)
    } catch {
      return false
    }
    if (!Array.isArray(parts) || parts.length !== 2 || !isCount(parts[0])) return false
    this.done = parts[0]
    this.state = parts[1]
    this.token = 0
    this.ahead = []
    this.skip(index)
    return true
  }

  /** All up to `index` is in the state. */
  private skip(index: number): void {
    for (const table of [this.decided, this.proposed]) {
      for (const at of table.keys()) if (at <= index) table.delete(at)
    }
    this.lane.applied = index
    if (!this.lane.floored) this.lane.raise(index + 1)
  }
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && Number(value) >= 0
