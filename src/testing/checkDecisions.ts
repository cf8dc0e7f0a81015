import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import { decodePlain, encodePlain } from "../base/plainData.ts"
import { CallView } from "../server/callView.ts"
import type { CallId } from "../server/Directive.ts"
import { type LaneKey, laneOfBytes, laneText } from "../server/laneKey.ts"
import type { Decided, Floor, Installed } from "../server/LogRecord.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import { type CallKey, callKey, callText } from "./checkAnswers.ts"
import type { Place } from "./checkRealTime.ts"

/**
 * What correct nodes decide in protocol lanes: one command per index, once per node, in the end all
 * of them everywhere; and what a sequential run of these commands answers is what was answered.
 */
export class DecisionCheck {
  readonly #fail: (what: string) => void
  readonly #spec: ProtocolSpec
  readonly #end: (result: unknown) => unknown
  /** By lane, then by index. */
  readonly #lanes = new Map<string, Map<number, Decided>>()
  /** Indexes by node and lane. */
  readonly #ofNode = new Map<string, Set<number>>()
  /** Below it the node needs nothing more, by node and lane. */
  readonly #floors = new Map<string, number>()
  /** Calls by node. */
  readonly #calls = new Map<NodeId, Set<CallKey>>()
  readonly #called = new Set<CallKey>()
  /** What nodes have instead of having run all up to there, and what they end with. */
  readonly #states: Array<{
    readonly node: NodeId
    readonly what: "took" | "holds"
    readonly state: Installed
  }> = []

  /** @param end what an Effect of `apply` ends with; anything else is what it is */
  constructor(
    fail: (what: string) => void,
    spec: ProtocolSpec,
    end: (result: unknown) => unknown = (result) => result
  ) {
    this.#fail = fail
    this.#spec = spec
    this.#end = end
  }

  logged(node: NodeId, decided: Decided): void {
    const { lane, index } = decided
    const where = `${laneText(lane)}/${index}`
    const mine = setOf(this.#ofNode, `${node} ${lane}`)
    if (mine.has(index)) this.#fail(`at most once: node ${node} decided ${where} twice`)
    mine.add(index)
    for (const { call } of decided.items) {
      if (call === undefined) continue
      const name = callKey(laneOfBytes(call.session), call.index)
      setOf(this.#calls, node).add(name)
      this.#called.add(name)
    }
    let indexes = this.#lanes.get(lane)
    if (indexes === undefined) this.#lanes.set(lane, (indexes = new Map()))
    const before = indexes.get(index)
    if (before === undefined) indexes.set(index, decided)
    else if (!sameDecision(before, decided)) {
      this.#fail(`agreement: node ${node} decided ${where} unlike another`)
    }
  }

  /** A node took a state in place of what it had missed. */
  installed(node: NodeId, state: Installed): void {
    const mine = setOf(this.#ofNode, `${node} ${state.lane}`)
    for (let index = 1; index <= state.index; index++) mine.add(index)
    this.#states.push({ node, what: "took", state })
  }

  /** What a node's application holds when the run is over. */
  held(node: NodeId, state: Installed): void {
    // In the middle of a batch it is no state that a run in order passes.
    const whole = (decodePlain(state.body) as ReadonlyArray<unknown>)[0] === 0
    if (whole) this.#states.push({ node, what: "holds", state })
  }

  decidedAt(node: NodeId, call: CallKey): boolean {
    return this.#calls.get(node)?.has(call) ?? false
  }

  floored(node: NodeId, { lane, index }: Floor): void {
    this.#floors.set(`${node} ${lane}`, index)
  }

  finishedAt(node: NodeId, lane: LaneKey, index: number): boolean {
    if (index < (this.#floors.get(`${node} ${lane}`) ?? 1)) return true
    return this.#ofNode.get(`${node} ${lane}`)?.has(index) ?? false
  }

  /** Indexes that some correct node decided and another did not. */
  missing(correct: ReadonlyArray<NodeId>): string | undefined {
    for (const [lane, indexes] of this.#lanes) {
      for (const node of correct) {
        const mine = this.#ofNode.get(`${node} ${lane}`)
        if (mine?.size === indexes.size) continue
        const index = [...indexes.keys()].find((index) => mine?.has(index) !== true)
        return `totality: ${laneText(lane)}/${index} is decided, but not at node ${node}`
      }
    }
    return undefined
  }

  /** An answer that a client took must come from a decided command. */
  accepted(call: CallKey): void {
    if (this.#spec.world?.application === undefined || this.#called.has(call)) return
    this.#fail(`lost: a client has the answer of ${callText(call)}, which nobody decided`)
  }

  /** Where each call stands first. */
  places(): ReadonlyMap<CallKey, Place> {
    const places = new Map<CallKey, Place>()
    for (const [lane, indexes] of this.#lanes) {
      for (const index of [...indexes.keys()].sort((a, b) => a - b)) {
        for (const [at, { call }] of indexes.get(index)!.items.entries()) {
          const name = call && callKey(laneOfBytes(call.session), call.index)
          if (name !== undefined && !places.has(name)) places.set(name, { lane, index, at })
        }
      }
    }
    return places
  }

  /** Runs what was decided in order, alone, and compares with what the nodes answered. */
  replay(answer: (call: CallKey) => Uint8Array | undefined): void {
    const application = this.#spec.world?.application
    if (application === undefined) return
    const state = application.initial()
    for (const lane of [...this.#lanes.keys()].sort()) {
      const indexes = this.#lanes.get(lane)!
      for (let index = 1; index <= indexes.size; index++) {
        const decided = indexes.get(index)
        if (decided === undefined) return this.#fail(`hole: ${laneText(lane)}/${index}`)
        for (const item of decided.items) {
          const call = item.call && viewOf(item.call)
          const command = application.command.decode(item.command)
          const context = { lane, index, call, kept: undefined }
          const ended = this.#end(application.apply(state, command, context))
          const result = typeof ended === "function" ? ended(state) : ended
          if (call !== undefined) this.#compare(call, result, answer)
        }
        this.#compareState(lane, index, state)
      }
    }
  }

  #compareState(lane: LaneKey, index: number, state: unknown): void {
    for (const { node, what, state: given } of this.#states) {
      if (given.lane !== lane || given.index !== index) continue
      if (bytesEqual(given.body, encodePlain([0, state]))) continue
      const where = `${laneText(lane)}/${index}`
      this.#fail(`state: node ${node} ${what} one at ${where} unlike a run in order makes`)
    }
  }

  #compare(call: CallView, result: unknown, answer: (call: CallKey) => Uint8Array | undefined) {
    const name = callKey(laneOfBytes(call.session), call.index)
    const method = this.#spec.methods.find((m) => m.name === call.method)
    const told = answer(name)
    if (method === undefined || told === undefined || result === undefined) return
    if (bytesEqual(method.output.encode(result as object), told)) return
    this.#fail(`sequential: ${callText(name)} was answered unlike a run in order does`)
  }
}

const viewOf = (call: CallId): CallView =>
  new CallView(laneOfBytes(call.session), call.index, call.method)

const sameDecision = (a: Decided, b: Decided): boolean =>
  a.protocol === b.protocol &&
  a.items.length === b.items.length &&
  a.items.every((item, at) => sameItem(item, b.items[at]!))

const sameItem = (a: Decided["items"][number], b: Decided["items"][number]): boolean =>
  bytesEqual(a.command, b.command) &&
  a.call?.index === b.call?.index &&
  a.call?.method === b.call?.method &&
  bytesEqual(a.call?.session ?? NO_BYTES, b.call?.session ?? NO_BYTES)

const setOf = <K, V>(sets: Map<K, Set<V>>, key: K): Set<V> => {
  let set = sets.get(key)
  if (set === undefined) sets.set(key, (set = new Set()))
  return set
}
