/** What a node, and what a client, tells a tap. */
import type { NodeId } from "../base/NodeId.ts"
import type { Input } from "../server/Input.ts"
import { type LaneKey, laneText } from "../server/laneKey.ts"
import { type Message, type MethodId, methodId } from "../server/Message.ts"
import type { LogEntry } from "../server/LogRecord.ts"
import type { Output } from "../server/Output.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import type { CallEnd, CallWatch } from "./callTypes.ts"
import type { About, Tap, TapEvent, Who } from "./tap.ts"

type Happened = TapEvent extends infer E
  ? E extends TapEvent
    ? Omit<E, "atMs" | "at">
    : never
  : never

interface Parts {
  readonly tap: Tap
  readonly at: Who
  readonly nowMs: () => number
}

/** Writes down what happens at one place. */
class Place {
  private readonly parts: Parts
  private readonly names = new Map<MethodId, string>()
  private lane: LaneKey = ""
  private text = ""

  constructor(parts: Parts) {
    this.parts = parts
  }

  name(id: MethodId, fullName: string): void {
    this.names.set(id, fullName)
  }

  say(happened: Happened): void {
    const { tap, at, nowMs } = this.parts
    tap.push({ atMs: nowMs(), at, ...happened } as TapEvent)
  }

  /** Of the last lane the text is kept: it mostly comes again. */
  at(lane: LaneKey, index: number): { readonly lane: string; readonly index: number } {
    if (lane !== this.lane) {
      this.lane = lane
      this.text = laneText(lane)
    }
    return { lane: this.text, index }
  }

  about(message: Message): About {
    switch (message.kind) {
      case "word": {
        const { lane, index, method, round, position } = message
        return { ...this.at(lane, index), method: this.method(method), round, position }
      }
      case "request":
        return { ...this.at(message.session, message.index), method: this.method(message.method) }
      case "cancel":
        return this.at(message.session, message.index)
      case "reply": {
        const { session, index, code } = message
        return { ...this.at(session, index), ...(code && { code }) }
      }
      case "oneWay":
        return { method: this.method(message.method) }
      case "behind":
        return this.at(message.lane, message.own)
      case "wantLane":
        return this.at(message.lane, message.from)
      default:
        return {}
    }
  }

  method(id: MethodId): string {
    return this.names.get(id) ?? `${id}`
  }
}

/** Counters of an engine, by reason. */
type Counters = { readonly [reason: string]: number }

export class NodeTap {
  private readonly place: Place
  /** Names of the clients whose routes are in use, the latest few. */
  private readonly clients = new Map<number, string>()
  private counted: Counters = {}

  constructor(parts: Parts & { readonly protocols: ReadonlyArray<ProtocolSpec> }) {
    this.place = new Place(parts)
    for (const { methods } of parts.protocols) {
      for (const { fullName } of methods) this.place.name(methodId(fullName), fullName)
    }
  }

  before(input: Input): void {
    const { place } = this
    switch (input.kind) {
      case "booted":
        return place.say({ kind: "booted" })
      case "peerUp":
      case "peerDown":
        return place.say({ kind: input.kind === "peerUp" ? "up" : "down", peer: input.peer })
      case "message":
        return this.received(input.from, input.message)
      case "request":
        this.know(input.route, input.client)
        return this.received(this.client(input.route), input.request)
      case "oneWay":
        return this.received(this.client(input.route), input.message)
      case "cancel": {
        const { kind, session, index } = input
        return this.received(this.client(input.route), { kind, session, index })
      }
    }
  }

  after(outputs: ReadonlyArray<Output>, counters: Counters): void {
    for (const output of outputs) {
      if (output.kind === "store") for (const entry of output.record.entries) this.logged(entry)
      else if (output.kind === "report") {
        const { kind, what, detail } = output
        this.place.say({ kind, what, detail })
      } else if (output.kind === "halt") this.place.say({ kind: "halted", reason: output.reason })
    }
    for (const reason in counters) {
      const count = counters[reason]! - (this.counted[reason] ?? 0)
      if (count > 0) this.place.say({ kind: "dropped", reason, count })
    }
    this.counted = { ...counters }
  }

  sent(to: NodeId, message: Message): void {
    this.place.say({ kind: "sent", to, message: message.kind, ...this.place.about(message) })
  }

  replied(route: number, reply: Message): void {
    const about = this.place.about(reply)
    this.place.say({ kind: "sent", to: this.client(route), message: reply.kind, ...about })
  }

  /** What a handler returned, a hook, or a timer. */
  handled(event: Extract<Happened, { kind: "handled" | "hook" | "timer" }>): void {
    this.place.say(event)
  }

  at(lane: LaneKey, index: number): About {
    return this.place.at(lane, index)
  }

  private received(from: Who, message: Message): void {
    const about = this.place.about(message)
    this.place.say({ kind: "received", from, message: message.kind, ...about })
  }

  private logged(entry: LogEntry): void {
    if (entry.kind === "word") this.place.say({ kind: "said", ...this.place.about(entry) })
    else if (entry.kind === "decided") {
      this.place.say({ kind: "decided", ...this.place.at(entry.lane, entry.index) })
    } else if (entry.kind === "final") {
      const { session, index, code } = entry
      this.place.say({ kind: "final", ...this.place.at(session, index), ...(code && { code }) })
    }
  }

  private know(route: number, client: string | undefined): void {
    if (client === undefined || client === "" || this.clients.has(route)) return
    for (const oldest of this.clients.keys()) {
      if (this.clients.size < CLIENTS_MAX) break
      this.clients.delete(oldest)
    }
    this.clients.set(route, clientName(client))
  }

  private client(route: number): string {
    return this.clients.get(route) ?? `route ${route}`
  }
}
const CLIENTS_MAX = 1024

type Called = Parameters<CallWatch["started"]>[1]

/** What a client is called in events: the first digits of its key, or a name that is no key. */
export const clientName = (key: string): string =>
  /^[0-9a-f]{64}$/.test(key) ? `client ${key.slice(0, 8)}` : key

export class ClientTap implements CallWatch {
  private readonly place: Place

  constructor(parts: Parts) {
    this.place = new Place(parts)
  }

  started(call: number, { method: id, name = String(id) }: Called): number {
    this.place.name(id, name)
    this.place.say({ kind: "called", call, method: name })
    return 0
  }

  ended(call: number, { method: id, name = String(id) }: Called, _: number, code: CallEnd): void {
    this.place.say({ kind: "ended", call, method: name, code })
  }

  sent(to: NodeId, message: Message): void {
    this.place.say({ kind: "sent", to, message: message.kind, ...this.place.about(message) })
  }

  received(from: NodeId, message: Message): void {
    const about = this.place.about(message)
    this.place.say({ kind: "received", from, message: message.kind, ...about })
  }

  link(kind: "up" | "down", peer: NodeId): void {
    this.place.say({ kind, peer })
  }
}
