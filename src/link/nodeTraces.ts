/**
 * What a node remembers of calls that are traced, until they end here: plain events, of which the
 * rim makes spans. What is not traced costs a comparison, and a look into a table that is small.
 *
 * A call's context comes with its request. It goes on with the words of its instance, and with
 * those of any other that this node brings the call into: said in the step of the request, or
 * holding its `CallId`.
 */
import type { ErrorCode } from "../base/errorCode.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { Writer } from "../base/wire.ts"
import type { Input } from "../server/Input.ts"
import { isSession, type LaneKey } from "../server/laneKey.ts"
import {
  type MethodId,
  methodId,
  type PeerMessage,
  type Reply,
  type Request,
  type Word
} from "../server/Message.ts"
import type { LogEntry } from "../server/LogRecord.ts"
import type { Output } from "../server/Output.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import { isTraced } from "./traceContext.ts"

export interface TraceEvent {
  readonly atMs: number
  readonly kind: "request" | "received" | "said" | "decided" | "final" | "replied"
  /** Of a word: "package.Service/Method". */
  readonly method?: string
  readonly round?: number
  /** The member it came from, and the context it came with. */
  readonly from?: NodeId
  readonly trace?: Uint8Array
  /** Of a word, and of what was decided. */
  readonly lane?: LaneKey
  readonly index?: number
}

/** What a node did for one call or slot. */
export interface Traced {
  readonly lane: LaneKey
  readonly index: number
  /** The entry method; that of the first word where no request came. */
  readonly method: string
  readonly startMs: number
  readonly endMs: number
  /** Oldest first; `missed` more came than are kept. */
  readonly events: ReadonlyArray<TraceEvent>
  readonly missed: number
  /** Words were said for it. */
  readonly spoken: boolean
  readonly code: ErrorCode | undefined
}

/** A span that the rim has begun. */
export interface NodeSpan {
  /** What goes on with words; asked once, and only where there are any. */
  readonly context: () => Uint8Array
  readonly end: (traced: Traced) => void
  /** An entry handler's Effect, as a part of it. */
  readonly within: (effect: unknown) => unknown
}

export interface TracePort {
  /** Wall clock, with fractions. */
  readonly nowMs: () => number
  /** @param parent the context that came; not one of W3C's invalid ones */
  readonly begin: (parent: Uint8Array, traced: Pick<Traced, "method" | "startMs">) => NodeSpan
}

/** After its end late words still come. */
const LINGER_MS = 250
/** It will not end any more. */
const IDLE_MS = 5_000

class Open {
  readonly lane: LaneKey
  readonly index: number
  readonly startMs: number
  parent: Uint8Array
  method: string
  span: NodeSpan | undefined
  context: Uint8Array | undefined
  readonly events: Array<TraceEvent> = []
  missed = 0
  /** Some word was said for it, here or elsewhere. */
  spoken = false
  lastMs: number
  ended = false
  endMs = 0
  code: ErrorCode | undefined
  /** Other instances that it was brought into. */
  readonly others: Array<Word> = []
  private id: Uint8Array | undefined

  constructor(at: { readonly lane: LaneKey; readonly index: number }, first: Readonly<First>) {
    this.lane = at.lane
    this.index = at.index
    this.parent = first.parent
    this.method = first.method
    this.startMs = first.atMs
    this.lastMs = first.atMs
  }

  /** As its `quorate.v1.CallId` begins, in whatever message it is. */
  get callId(): Uint8Array {
    if (this.id !== undefined) return this.id
    const bytes = new Writer(40)
    bytes.reserve(40)
    bytes.byte(0x0a)
    bytes.latin(this.lane)
    bytes.byte(0x10)
    bytes.uint(this.index)
    return (this.id = bytes.take())
  }
}
interface First {
  readonly parent: Uint8Array
  readonly method: string
  readonly atMs: number
}

export class NodeTraces {
  private readonly limits: Limits
  private readonly port: TracePort
  private readonly names = new Map<MethodId, string>()
  private readonly lanes = new Map<LaneKey, Map<number, Open>>()
  private readonly open = new Set<Open>()
  private readonly running = new Map<number, Open>()
  /** The call whose request or handler made the step under way. */
  private current: Open | undefined
  private second = 0
  private begun = 0

  constructor(parts: {
    readonly limits: Limits
    readonly protocols: ReadonlyArray<ProtocolSpec>
    readonly port: TracePort
  }) {
    this.limits = parts.limits
    this.port = parts.port
    for (const { methods } of parts.protocols) {
      for (const { fullName } of methods) this.names.set(methodId(fullName), fullName)
    }
  }

  /** Calls and slots that are remembered. */
  get size(): number {
    return this.open.size
  }

  before(input: Input): void {
    this.current = undefined
    switch (input.kind) {
      case "message":
        if (input.message.kind === "word" && input.message.trace !== undefined) {
          this.received(input.from, input.message, input.message.trace)
        }
        return
      case "request":
        if (input.request.trace !== undefined) this.asked(input.request, input.request.trace)
        return
      case "ran":
        this.current = this.running.get(input.token)
        this.running.delete(input.token)
        return
      case "tick":
        if (this.open.size > 0) this.sweep()
    }
  }

  after(outputs: ReadonlyArray<Output>): void {
    if (this.open.size === 0) return
    for (const output of outputs) {
      if (output.kind === "store") for (const entry of output.record.entries) this.logged(entry)
      else if (output.kind === "run" && this.current) this.running.set(output.token, this.current)
      else if (output.kind === "interrupt") this.running.delete(output.token)
    }
  }

  /** The word with the context of what it is said for. */
  sent(message: PeerMessage): PeerMessage {
    if (this.open.size === 0 || message.kind !== "word") return message
    const open = this.at(message.lane, message.index)
    if (open === undefined) return message
    return { ...message, trace: (open.context ??= this.spanOf(open).context()) }
  }

  replied(reply: Reply): void {
    if (this.open.size === 0) return
    const open = this.at(reply.session, reply.index)
    if (open === undefined || reply.tentative === true) return
    this.note(open, { kind: "replied" })
    this.end(open, reply.code)
    // Nobody speaks about it: nothing late can come.
    if (!open.spoken) this.forget(open)
  }

  effect(token: number, effect: unknown): unknown {
    const open = this.running.get(token)
    return open === undefined ? effect : this.spanOf(open).within(effect)
  }

  /** The node stops: what is open ends now. */
  close(): void {
    for (const open of this.open) this.forget(open)
  }

  private asked(request: Request, parent: Uint8Array): void {
    const method = this.names.get(request.method)
    if (method === undefined) return
    const at = { lane: request.session, index: request.index }
    const open = this.at(at.lane, at.index) ?? this.begin(at, { parent, method })
    if (open === undefined) return
    if (open.span === undefined) {
      open.parent = parent
      open.method = method
    }
    this.note(open, { kind: "request" })
    this.current = open
  }

  private received(from: NodeId, word: Word, trace: Uint8Array): void {
    const method = this.names.get(word.method)
    if (method === undefined) return
    const open = this.at(word.lane, word.index) ?? this.begin(word, { parent: trace, method })
    if (open === undefined) return
    const { lane, index, round } = word
    this.note(open, {
      kind: "received",
      from: word.author ?? from,
      trace,
      method,
      round,
      lane,
      index
    })
    if (isSession(lane)) this.current = open
  }

  private logged(entry: LogEntry): void {
    if (entry.kind === "word") this.said(entry)
    else if (entry.kind === "final") {
      const open = this.at(entry.session, entry.index)
      if (open !== undefined) this.ended(open, "final", entry.code)
    } else if (entry.kind === "decided") {
      const { lane, index } = entry
      const open = this.at(lane, index)
      if (open === undefined) return
      if (open.lane === lane) this.ended(open, "decided", undefined)
      else this.note(open, { kind: "decided", lane, index })
    }
  }

  private said(word: Word): void {
    const { lane, index, round } = word
    const open = this.at(lane, index) ?? this.adopt(word)
    const method = this.names.get(word.method)
    if (open === undefined || method === undefined) return
    this.note(open, { kind: "said", method, round, lane, index })
  }

  /** The call that the word brings into another instance, if it is traced. */
  private adopt(word: Word): Open | undefined {
    const open = this.current ?? this.callIn(word)
    if (open === undefined || open.others.length >= OTHERS_MAX) return undefined
    open.others.push(word)
    this.set(word.lane, word.index, open)
    return open
  }

  private callIn({ lane, body }: Word): Open | undefined {
    if (isSession(lane)) return undefined
    for (const open of this.open) {
      if (!open.ended && isSession(open.lane) && holds(body, open.callId)) return open
    }
    return undefined
  }

  private ended(open: Open, kind: "final" | "decided", code: ErrorCode | undefined): void {
    this.note(open, { kind })
    this.end(open, code)
  }

  /** The last such moment counts: a reply leaves after it was made. */
  private end(open: Open, code: ErrorCode | undefined): void {
    open.ended = true
    open.endMs = open.lastMs
    open.code = code
  }

  private at(lane: LaneKey, index: number): Open | undefined {
    return this.lanes.get(lane)?.get(index)
  }

  private set(lane: LaneKey, index: number, open: Open): void {
    const known = this.lanes.get(lane)
    if (known === undefined) this.lanes.set(lane, new Map([[index, open]]))
    else known.set(index, open)
  }

  /** Within its bounds: whoever calls may ask for every call to be traced. */
  private begin(
    at: { readonly lane: LaneKey; readonly index: number },
    first: { readonly parent: Uint8Array; readonly method: string }
  ): Open | undefined {
    const atMs = this.port.nowMs()
    const second = Math.floor(atMs / 1000)
    if (second !== this.second) this.begun = 0
    this.second = second
    const { tracesMax, tracesPerSecMax } = this.limits
    if (this.open.size >= tracesMax || this.begun >= tracesPerSecMax) return undefined
    if (!isTraced(first.parent)) return undefined
    this.begun++
    const open = new Open(at, { ...first, atMs })
    this.open.add(open)
    this.set(at.lane, at.index, open)
    return open
  }

  private spanOf(open: Open): NodeSpan {
    return (open.span ??= this.port.begin(open.parent, open))
  }

  private note(open: Open, event: Omit<TraceEvent, "atMs">): void {
    const atMs = (open.lastMs = this.port.nowMs())
    if (event.method !== undefined) open.spoken = true
    if (open.events.length < this.limits.traceEventsMax) open.events.push({ atMs, ...event })
    else open.missed++
  }

  private sweep(): void {
    const nowMs = this.port.nowMs()
    for (const open of this.open) {
      const { ended, endMs, lastMs } = open
      const over = ended ? endMs + LINGER_MS < nowMs : lastMs + IDLE_MS < nowMs
      if (over) this.forget(open)
    }
  }

  private forget(open: Open): void {
    this.open.delete(open)
    for (const { lane, index } of [open, ...open.others]) {
      const indexes = this.lanes.get(lane)
      indexes?.delete(index)
      if (indexes?.size === 0) this.lanes.delete(lane)
    }
    if (!open.ended) open.endMs = open.lastMs
    this.spanOf(open).end(open)
  }
}

const OTHERS_MAX = 16

const holds = (body: Uint8Array, part: Uint8Array): boolean => {
  const last = body.length - part.length
  for (
    let from = body.indexOf(0x0a);
    from >= 0 && from <= last;
    from = body.indexOf(0x0a, from + 1)
  ) {
    let i = 1
    while (i < part.length && body[from + i] === part[i]) i++
    if (i === part.length) return true
  }
  return false
}
