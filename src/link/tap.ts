/**
 * What happened in nodes and clients, event by event, for people and tools: off where nobody made
 * one. Plain data, newest kept; a space-time diagram is drawn of it (src/testing/spaceTime.ts).
 */
import { assert } from "../base/assert.ts"
import type { ErrorCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Message } from "../server/Message.ts"
import type { CallEnd } from "./callTypes.ts"

/** A member by its id, a client by a name. */
export type Who = NodeId | string

/** What a message is about, as far as it says. */
export interface About {
  /** A lane's name, or a session in hexadecimal digits. */
  readonly lane?: string
  readonly index?: number
  /** "package.Service/Method", or the id of a method that is not known here. */
  readonly method?: string
  readonly round?: number
  /** Of a word. */
  readonly position?: number
  /** Of a reply that is no answer. */
  readonly code?: ErrorCode
}

type Happened =
  /** At a client: a call begins, and is over. `call`: its number at this client. */
  | { readonly kind: "called"; readonly call: number; readonly method: string }
  | {
      readonly kind: "ended"
      readonly call: number
      readonly method: string
      readonly code: CallEnd
    }
  /** A message was handed to a link, or came over one. */
  | ({ readonly kind: "sent"; readonly to: Who; readonly message: Message["kind"] } & About)
  | ({ readonly kind: "received"; readonly from: Who; readonly message: Message["kind"] } & About)
  /** A handler ran: an entry handler, or that of a phase for a vote that was counted. */
  | ({
      readonly kind: "handled"
      /** The member whose vote it is; absent: a call. */
      readonly author?: NodeId
      /** Kinds of the directives it returned; `effect`: it returned an Effect. */
      readonly directives: ReadonlyArray<string>
    } & About)
  /** A hook or a timer of the protocol ran. */
  | {
      readonly kind: "hook" | "timer"
      readonly name: string
      readonly directives: ReadonlyArray<string>
    }
  /** The node said a word: it leaves once it is durable. */
  | ({ readonly kind: "said" } & About)
  /** An index of a lane is decided here. */
  | ({ readonly kind: "decided" } & About)
  /** The node has its final answer to a call. */
  | ({ readonly kind: "final" } & About)
  /** By reason, as the node counts what it drops. */
  | { readonly kind: "dropped"; readonly reason: string; readonly count: number }
  | { readonly kind: "report"; readonly what: string; readonly detail: string }
  | { readonly kind: "up" | "down"; readonly peer: Who }
  | { readonly kind: "booted" }
  | { readonly kind: "halted"; readonly reason: string }

export type TapEvent = { readonly atMs: number; readonly at: Who } & Happened
export type TapKind = TapEvent["kind"]

/** Most events that a tap keeps by default; about 300 bytes each. */
export const TAP_EVENTS_MAX = 65_536

/** A ring of events that any number of nodes and clients of one process write into. */
export class Tap {
  /** Events that newer ones have taken the place of. */
  missed = 0
  private readonly capacity: number
  private ring: Array<TapEvent> = []
  private oldest = 0
  private readonly listeners = new Set<(event: TapEvent) => void>()

  constructor(capacity: number = TAP_EVENTS_MAX) {
    assert(Number.isSafeInteger(capacity) && capacity >= 1, "a tap keeps at least one event")
    this.capacity = capacity
  }

  push(event: TapEvent): void {
    if (this.ring.length < this.capacity) this.ring.push(event)
    else {
      this.ring[this.oldest] = event
      this.oldest = (this.oldest + 1) % this.capacity
      this.missed++
    }
    for (const listener of this.listeners) listener(event)
  }

  /** Oldest first. */
  events(): ReadonlyArray<TapEvent> {
    return [...this.ring.slice(this.oldest), ...this.ring.slice(0, this.oldest)]
  }

  clear(): void {
    this.ring = []
    this.oldest = 0
  }

  /** `listener` must not throw, and must be quick. What is returned ends it. */
  listen(listener: (event: TapEvent) => void): () => void {
    this.listeners.add(listener)
    return () => this.listeners.delete(listener)
  }
}
