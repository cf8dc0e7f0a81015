/**
 * The way in: what bears signatures waits here until they are verified, and with it what its
 * sender sent later. One batch a sender and turn, so that nobody waits for what others sent.
 */
import type { Limits } from "../base/limits.ts"
import type { Input, Route } from "../server/Input.ts"
import { laneBytes } from "../server/laneKey.ts"
import type { ClientMessage, MethodId, Request, Word } from "../server/Message.ts"
import { proofsIn } from "../server/Proof.ts"
import type { MethodSpec } from "../server/Protocol.ts"
import { Fifo } from "./fifo.ts"
import type { VerifyJob } from "./ports.ts"
import { jobsOf, type Proofs, wordJob } from "./proofs.ts"

/** What comes from others and may bear signatures. */
export type Incoming = Extract<Input, { kind: "message" | "request" | "oneWay" | "cancel" }>

interface Ticket {
  readonly input: Incoming
  readonly bytes: number
  /** Signatures that are not verified yet. */
  left: number
  forged: boolean
}
interface Sender {
  readonly tickets: Fifo<Ticket>
  bytes: number
  unsent: Array<{ readonly ticket: Ticket; readonly job: VerifyJob }>
}
type Checked = Pick<MethodSpec, "input" | "signed" | "proofs">

/** Of a ticket, beside the body: less than it takes, so that a correct member's cursor fits. */
const TICKET_BYTES = 64
const NOTHING: ReadonlyArray<VerifyJob> = []

export class Verifying {
  /** Messages that wait. */
  waiting = 0
  private readonly limits: Limits
  private readonly proofs: Proofs
  private readonly methods = new Map<MethodId, Checked>()
  private readonly hand: (input: Incoming) => void
  private readonly senders = new Map<number, Sender>()
  /** Of all clients. */
  private clientsBytes = 0

  constructor(parts: {
    readonly limits: Limits
    readonly proofs: Proofs
    readonly methods: ReadonlyMap<MethodId, MethodSpec>
    /** Takes what is verified; what is not is marked `forged`. */
    readonly hand: (input: Incoming) => void
  }) {
    this.limits = parts.limits
    this.proofs = parts.proofs
    this.hand = parts.hand
    for (const [id, spec] of parts.methods) {
      if (spec.signed === true || spec.proofs !== undefined) this.methods.set(id, spec)
    }
  }

  /**
   * @param from a member, or the negative of a client's route
   * @returns false where there is no room: it was not taken
   */
  take(from: number, input: Incoming): boolean {
    const jobs = this.jobs(input)
    const forged = jobs === undefined
    const sender = this.senders.get(from)
    if (sender === undefined && (forged || jobs.length === 0)) {
      this.hand(forged ? asForged(input) : input)
      return true
    }
    const bytes = bytesOf(input)
    if (!this.fits(from, sender?.bytes ?? 0, bytes)) return false
    const queue = sender ?? this.open(from)
    const ticket: Ticket = { input, bytes, left: jobs?.length ?? 0, forged }
    queue.tickets.push(ticket)
    this.charge(from, queue, bytes)
    this.waiting++
    for (const job of jobs ?? NOTHING) queue.unsent.push({ ticket, job })
    return true
  }

  /**
   * A correct member has no more under way than its cursor lets out, and one message. Clients share
   * a room, of which none may hold more than is free: whoever comes later finds some.
   * @source Choudhury and Hahne, Dynamic queue length thresholds for shared-memory packet switches,
   * IEEE/ACM Transactions on Networking, 1998
   */
  private fits(from: number, held: number, bytes: number): boolean {
    const { cursorBytesMax, unverifiedBytesMax } = this.limits
    if (held > 0 && held + bytes > 2 * cursorBytesMax) return false
    const free = unverifiedBytesMax - this.clientsBytes
    return from > 0 || held + bytes <= free
  }

  private charge(from: number, queue: Sender, bytes: number): void {
    queue.bytes += bytes
    if (from < 0) this.clientsBytes += bytes
  }

  /** Its connection is gone: what it sent is as lost as what was on the way. */
  forget(from: number): void {
    const sender = this.senders.get(from)
    if (sender === undefined) return
    this.waiting -= sender.tickets.length
    this.charge(from, sender, -sender.bytes)
    this.senders.delete(from)
  }

  /** Sends off what came in since. */
  flush(): void {
    for (const [from, sender] of this.senders) {
      if (sender.unsent.length > 0) this.send(from, sender)
    }
  }

  private send(from: number, sender: Sender): void {
    const batch = sender.unsent
    sender.unsent = []
    this.proofs.verifier.verify(
      batch.map(({ job }) => job),
      (valid) => {
        for (const [i, { ticket }] of batch.entries()) {
          ticket.left--
          if (valid[i] !== true) ticket.forged = true
        }
        // Of a link that is gone nothing is handed on.
        if (this.senders.get(from) === sender) this.release(from, sender)
      }
    )
  }

  private open(from: number): Sender {
    const sender: Sender = { tickets: new Fifo(), bytes: 0, unsent: [] }
    this.senders.set(from, sender)
    return sender
  }

  private release(from: number, sender: Sender): void {
    const { tickets } = sender
    for (let next = tickets.peek(); next?.left === 0; next = tickets.peek()) {
      tickets.shift()
      this.charge(from, sender, -next.bytes)
      this.waiting--
      this.hand(next.forged ? asForged(next.input) : next.input)
    }
    if (tickets.length === 0) this.senders.delete(from)
  }

  /** `undefined`: it is forged, whatever its signatures. */
  private jobs(input: Incoming): ReadonlyArray<VerifyJob> | undefined {
    if (input.kind === "cancel") return NOTHING
    const message = input.kind === "request" ? input.request : input.message
    if (message.kind !== "word" && message.kind !== "request" && message.kind !== "oneWay") {
      return NOTHING
    }
    const method = this.methods.get(message.method)
    if (method === undefined) return NOTHING
    const own = method.signed === true ? this.own(input, message) : NOTHING
    const nested = own && this.nested(method, message.body)
    return nested && (own.length === 0 ? nested : [...own, ...nested])
  }

  /** The message's own signature. */
  private own(
    input: Incoming,
    message: Word | Request | { readonly kind: "oneWay" }
  ): ReadonlyArray<VerifyJob> | undefined {
    if (message.kind === "word" && input.kind === "message") {
      const { author = input.from, signature } = message
      const job = signature && wordJob(this.proofs, { ...message, author, signature })
      return job && [job]
    }
    if (message.kind !== "request" || message.proof === undefined) return undefined
    const session = laneBytes(message.session)
    return jobsOf(this.proofs, { ...message, kind: "request", session, ...message.proof })
  }

  private nested(method: Checked, body: Uint8Array): ReadonlyArray<VerifyJob> | undefined {
    if (method.proofs === undefined) return NOTHING
    let message: object
    try {
      message = method.input.decode(body)
    } catch {
      // The engine counts it as malformed.
      return NOTHING
    }
    const { proofsPerMessageMax } = this.limits
    const proofs = proofsIn((id) => this.methods.get(id), method, message, proofsPerMessageMax)
    const jobs: Array<VerifyJob> = []
    for (const proof of proofs ?? []) {
      const more = jobsOf(this.proofs, proof)
      if (more === undefined) return undefined
      jobs.push(...more)
    }
    return proofs && jobs
  }
}

/** A client's message as it comes in. */
export const incomingOf = (
  atMs: number,
  route: Route,
  message: ClientMessage,
  client: string
): Incoming => {
  switch (message.kind) {
    case "request":
      return { kind: "request", atMs, route, request: message, client }
    case "oneWay":
      return { kind: "oneWay", atMs, route, message }
    case "cancel": {
      const { session, index } = message
      return { kind: "cancel", atMs, route, session, index }
    }
  }
}

const asForged = (input: Incoming): Incoming => {
  switch (input.kind) {
    case "message":
      return { ...input, message: { ...input.message, forged: true } as typeof input.message }
    case "request":
      return { ...input, request: { ...input.request, forged: true } }
    case "oneWay":
      return { ...input, message: { ...input.message, forged: true } }
    case "cancel":
      return input
  }
}

const bytesOf = (input: Incoming): number => {
  if (input.kind === "cancel") return TICKET_BYTES
  const message = input.kind === "request" ? input.request : input.message
  return TICKET_BYTES + ("body" in message ? message.body.length : 0)
}
