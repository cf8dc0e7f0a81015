/**
 * What a node counts for monitoring beside what its engine counts anyway: requests and words by
 * method, and how long calls take here. Numbers in rows that are made once, by method.
 */
import { type Family, Histogram, type Labels, samplesOf } from "../base/families.ts"
import type { Input } from "../server/Input.ts"
import type { LaneKey } from "../server/laneKey.ts"
import { type MethodId, methodId, type PeerMessage, type Reply } from "../server/Message.ts"
import type { Output } from "../server/Output.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import { Fifo } from "./fifo.ts"

class Row {
  readonly name: string
  readonly phase: boolean
  requests = 0
  received = 0
  said = 0
  sent = 0
  readonly latencySec = new Histogram()

  constructor(name: string, phase: boolean) {
    this.name = name
    this.phase = phase
  }
}

/** A call, and when its request was taken up. */
interface Since {
  readonly row: Row
  readonly atMs: number
}

/** Calls whose answer is waited for, for their latency; the oldest is forgotten first. */
const OPEN_MAX = 65_536

export class NodeMeter {
  private readonly nowMs: () => number
  private readonly rows = new Map<MethodId, Row>()
  /** Of methods that are not known: a peer or client may name any. */
  private readonly other = new Row("other", false)
  private readonly open = new Map<string, Since>()
  /** Of each reply on its way through the gate, in order. */
  private readonly leaving = new Fifo<Since>()
  private answers = 0
  /** Replies that are no answers, by code. */
  private readonly refusals = new Map<string, number>()
  /** The row that was looked up last: it mostly is the next one too. */
  private lastId = -1
  private lastRow = this.other
  private request: (Since & { readonly session: LaneKey; readonly index: number }) | undefined
  /** The clock, read once where a turn begins, and once where its replies leave. */
  private beganMs: number | undefined
  private leftMs: number | undefined

  /** @param parts.nowMs with fractions: most calls take less than a millisecond */
  constructor(parts: {
    readonly protocols: ReadonlyArray<ProtocolSpec>
    readonly nowMs: () => number
  }) {
    this.nowMs = parts.nowMs
    for (const { methods } of parts.protocols) {
      for (const { fullName, call } of methods) {
        this.rows.set(methodId(fullName), new Row(fullName, call === "phase"))
      }
    }
  }

  before(input: Input): void {
    this.leftMs = undefined
    this.request = undefined
    if (input.kind === "message") {
      if (input.message.kind === "word") this.row(input.message.method).received++
    } else if (input.kind === "request") {
      const { session, index, method } = input.request
      const row = this.row(method)
      row.requests++
      this.beganMs ??= this.nowMs()
      this.request = { row, atMs: this.beganMs, session, index }
    } else if (input.kind === "turnEnd" || input.kind === "tick") this.beganMs = undefined
    else if (input.kind === "oneWay") this.row(input.message.method).requests++
    else if (input.kind === "cancel") this.open.delete(keyOf(input.session, input.index))
  }

  after(outputs: ReadonlyArray<Output>): void {
    const { request } = this
    for (const output of outputs) {
      if (output.kind === "reply") this.leaving.push(this.since(output.reply))
      else if (output.kind === "store") {
        for (const entry of output.record.entries) {
          if (entry.kind === "word") this.row(entry.method).said++
        }
      }
    }
    if (request === undefined || this.request === undefined) return
    const key = keyOf(request.session, request.index)
    if (!this.open.has(key)) this.remember(key, request)
  }

  sent(message: PeerMessage): void {
    if (message.kind === "word") this.row(message.method).sent++
  }

  replied(reply: Reply): void {
    const since = this.leaving.shift()
    this.counted(reply)
    if (since === undefined || since === UNKNOWN) return
    this.leftMs ??= this.nowMs()
    since.row.latencySec.add((this.leftMs - since.atMs) / 1000)
  }

  /** Also what no step of the engine made. */
  counted(reply: Reply): void {
    const code = reply.code ?? (reply.tentative ? "tentative" : undefined)
    if (code === undefined) this.answers++
    else this.refusals.set(code, (this.refusals.get(code) ?? 0) + 1)
  }

  families(labels: Labels): ReadonlyArray<Family> {
    const rows = [...this.rows.values(), this.other]
    const called = rows.filter(({ phase }) => !phase)
    const phases = rows.filter(({ phase, name }) => phase || name === "other")
    const by = (
      label: string,
      of: ReadonlyArray<Row>,
      count: (row: Row) => number
    ): ReadonlyArray<{ readonly labels: Labels; readonly value: number }> =>
      of.map((row) => ({ labels: { ...labels, [label]: row.name }, value: count(row) }))
    return [
      {
        name: "quorate_node_requests_total",
        help: "Copies of clients' calls that this node took up.",
        type: "counter",
        samples: by("method", called, (row) => row.requests)
      },
      {
        name: "quorate_node_replies_total",
        help: "Replies that left this node, by code; ok is an answer.",
        type: "counter",
        samples: samplesOf(
          { ok: this.answers, ...Object.fromEntries(this.refusals) },
          "code",
          labels
        )
      },
      {
        name: "quorate_node_call_duration_seconds",
        help: "From the turn that took a request up until its reply left this node.",
        type: "histogram",
        samples: called.map((row) => row.latencySec.read({ ...labels, method: row.name }))
      },
      {
        name: "quorate_node_words_said_total",
        help: "Words this node said.",
        type: "counter",
        samples: by("phase", phases, (row) => row.said)
      },
      {
        name: "quorate_node_words_sent_total",
        help: "Words handed to links: one for each member, and again where it is said again.",
        type: "counter",
        samples: by("phase", phases, (row) => row.sent)
      },
      {
        name: "quorate_node_words_received_total",
        help: "Words of other members that this node took up.",
        type: "counter",
        samples: by("phase", phases, (row) => row.received)
      }
    ]
  }

  private row(id: MethodId): Row {
    if (id === this.lastId) return this.lastRow
    this.lastId = id
    return (this.lastRow = this.rows.get(id) ?? this.other)
  }

  private since(reply: Reply): Since {
    const { request } = this
    if (reply.tentative === true) return UNKNOWN
    if (request !== undefined && isFor(reply, request)) {
      // Not to be remembered any more.
      this.request = undefined
      return request
    }
    if (this.open.size === 0) return UNKNOWN
    const key = keyOf(reply.session, reply.index)
    const since = this.open.get(key)
    this.open.delete(key)
    return since ?? UNKNOWN
  }

  private remember(key: string, { row, atMs }: Since): void {
    this.open.set(key, { row, atMs })
    if (this.open.size <= OPEN_MAX) return
    for (const oldest of this.open.keys()) return void this.open.delete(oldest)
  }
}

const UNKNOWN: Since = { row: new Row("", false), atMs: 0 }
const keyOf = (session: LaneKey, index: number): string => `${session}${index}`
const isFor = (
  reply: Reply,
  { session, index }: { readonly session: LaneKey; readonly index: number }
): boolean => reply.index === index && reply.session === session
