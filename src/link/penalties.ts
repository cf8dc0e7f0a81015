/**
 * What a node does about those who take more than their part, or do what no correct one does:
 * reports, throttles, disconnects, bans, by policy. Time is a parameter; nothing is dropped here.
 *
 * A correct member is never cut off: a rate only slows it down, a fault is what no correct member
 * does, a ban takes two signatures of its key. And whatever is wrong, no more members than may be
 * faulty are kept out at once: a node keeps links to a quorum.
 */
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { FaultModel } from "../quorum/FaultModel.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Evidence } from "../server/evidence.ts"
import type { Route } from "../server/Input.ts"
import type { ClientMessage, PeerMessage } from "../server/Message.ts"
import type { Fault } from "../server/Output.ts"
import { evidenceJobs } from "./evidence.ts"
import { Meter } from "./meter.ts"
import type { Proofs } from "./proofs.ts"

export interface PenaltyPolicy {
  /**
   * Who sends more than its rate. `throttle`: a member gets no more credit for a while; a client's
   * calls are `overloaded`. `disconnect`: also, a client that goes on all the same is cut.
   */
  readonly onSpam: "report" | "throttle" | "disconnect"
  /** A member that does, again and again, what no correct one does. */
  readonly onFault: "report" | "disconnect"
  /** A member of which two signed words prove that it lies; in a crash group always `report`. */
  readonly onProof: "report" | "ban"
}

export interface PenaltyOptions extends Partial<PenaltyPolicy> {
  /**
   * Links do not prove who is at the other end: a process of the same machine could have any member
   * kept out. Then nobody is, but for what signatures prove.
   */
  readonly unproven?: boolean
  /** Members that an operator keeps out. */
  readonly banned?: ReadonlyArray<NodeId>
  /** Told of each equivocation that is new, whatever the policy. */
  readonly onEvidence?: (evidence: Evidence) => void
  readonly onBan?: (ban: Ban) => void
}

/** A member that its own signatures prove to be faulty is kept out. */
export interface Ban {
  readonly member: NodeId
  readonly evidence: Evidence
  /** Lets it in again. */
  readonly lift: () => void
}

export const defaultPolicy = (model: FaultModel): PenaltyPolicy =>
  model === "crash"
    ? { onSpam: "throttle", onFault: "report", onProof: "report" }
    : { onSpam: "disconnect", onFault: "disconnect", onProof: "report" }

/** In a frame. */
const MESSAGE_BYTES_MIN = 16
/** Of a message, beside its body. */
const HEADER_BYTES = 64
/** What a message counts as, against a rate. */
export const bytesOf = (message: PeerMessage | ClientMessage): number =>
  HEADER_BYTES + ("body" in message ? message.body.length : 0)

/** What the rim has to do. */
export type Penalty =
  /** Gives the link no more credit until then; nothing of it is lost. */
  | { readonly kind: "slow"; readonly member: NodeId; readonly untilMs: number }
  /** Ends the link; until then {@link Penalties.refuses} others. */
  | {
      readonly kind: "cut"
      readonly member: NodeId
      readonly untilMs: number
      readonly detail: string
    }
  | { readonly kind: "cutClient"; readonly route: Route; readonly detail: string }

export interface PenaltiesParts {
  readonly system: System
  readonly limits: Limits
  readonly options: PenaltyOptions
  /** Where methods are signed. */
  readonly proofs: Proofs | undefined
  readonly penalise: (penalty: Penalty) => void
  /** One line for the operator. */
  readonly report: (detail: string) => void
}

interface Member {
  readonly node: NodeId
  readonly meter: Meter
  readonly faults: Meter
  slowUntilMs: number
  outUntilMs: number
  /** How long it is kept out next time. */
  nextMs: number
  quietUntilMs: number
}
interface Client {
  readonly meter: Meter
  /** Of what was refused. */
  readonly beyond: Meter
  quietUntilMs: number
}

/** What an operator is told of one sender, at most so often. */
const REPORT_MS = 10_000
const FOR_EVER = Number.POSITIVE_INFINITY

export class Penalties {
  readonly counters = {
    slowed: 0,
    refused: 0,
    faults: 0,
    cut: 0,
    clientsCut: 0,
    banned: 0,
    /** Would have been kept out, but so many already are. */
    spared: 0
  }
  private readonly parts: PenaltiesParts
  private readonly policy: PenaltyPolicy
  /** What a credit of the smallest messages, on top of a burst, takes to be paid for. */
  private readonly creditMs: number
  private readonly members: ReadonlyMap<NodeId, Member>
  /** By their routes. At most `routesMax`: who owes nothing goes first, then who came first. */
  private readonly clients = new Map<Route, Client>()
  private readonly banned: Set<NodeId>

  constructor(parts: PenaltiesParts) {
    this.parts = parts
    const { limits, system, options } = parts
    this.policy = { ...defaultPolicy(system.model), ...defined(options) }
    this.banned = new Set(options.banned)
    const smallest = limits.creditBytes / MESSAGE_BYTES_MIN
    this.creditMs = limits.rateBurstMs + (1_000 * smallest) / limits.memberMessagesPerSecond
    const rate = {
      messagesPerSecond: limits.memberMessagesPerSecond,
      bytesPerSecond: limits.memberBytesPerSecond,
      burstMs: limits.rateBurstMs
    }
    const faults = { messagesPerSecond: 1, bytesPerSecond: 1, burstMs: 1_000 * limits.faultsMax }
    const members = system.members.map((node): [NodeId, Member] => [
      node,
      {
        node,
        meter: new Meter(rate),
        faults: new Meter(faults),
        slowUntilMs: 0,
        outUntilMs: 0,
        nextMs: limits.penaltyMsMin,
        quietUntilMs: 0
      }
    ])
    this.members = new Map(members)
  }

  /** A member's message: it is taken, however much it is. */
  heard(node: NodeId, bytes: number, atMs: number): void {
    const member = this.members.get(node)
    if (member === undefined) return
    const aheadMs = member.meter.take(bytes, atMs)
    if (aheadMs === 0) return
    this.slow(member, aheadMs, atMs)
    // Who keeps to its credit has sent no more than that since its link was read last.
    if (aheadMs > this.creditMs) this.fault(node, "spam", atMs)
  }

  /** A client's message: whether it is taken. */
  asked(route: Route, name: string, bytes: number, atMs: number): boolean {
    const client = this.clients.get(route) ?? this.newcomer(route, atMs)
    if (client.meter.allows(bytes, atMs)) return true
    this.counters.refused++
    const { onSpam } = this.policy
    const persists = client.beyond.take(bytes, atMs) > 0
    if (persists && onSpam === "disconnect") {
      this.counters.clientsCut++
      this.gone(route)
      this.parts.penalise({ kind: "cutClient", route, detail: `it sends ${SPAM}, and goes on` })
      return false
    }
    if (atMs >= client.quietUntilMs) {
      client.quietUntilMs = atMs + REPORT_MS
      const done = onSpam === "report" ? "nothing is done about it" : "what is beyond is overloaded"
      const who = name === "" ? "callers without a link send" : `client ${name.slice(0, 8)} sends`
      this.parts.report(`${who} ${SPAM}: ${done}; have it wait for answers before it asks more`)
    }
    return onSpam === "report"
  }

  /** The client's link is gone. */
  gone(route: Route): void {
    this.clients.delete(route)
  }

  /** A member did what no correct one does. */
  fault(node: NodeId, fault: Fault, atMs: number, evidence?: Evidence): void {
    const member = this.members.get(node)
    if (member === undefined) return
    this.counters.faults++
    if (evidence !== undefined) {
      this.parts.options.onEvidence?.(evidence)
      this.prove(member, evidence, atMs)
    }
    if (member.faults.idle(atMs)) member.nextMs = this.parts.limits.penaltyMsMin
    if (member.faults.take(0, atMs) === 0 || this.isOut(member, atMs)) return
    const times = `node ${node} did what no correct member does, again and again, last ${fault}`
    if (this.policy.onFault === "report" || this.parts.options.unproven === true) {
      return this.tell(member, atMs, `${times}: ${LOOK}`)
    }
    if (!this.mayKeepOut(member, atMs)) {
      this.counters.spared++
      return this.tell(member, atMs, `${times}; ${SPARED}`)
    }
    const { nextMs } = member
    member.outUntilMs = atMs + nextMs
    member.nextMs = Math.min(2 * nextMs, this.parts.limits.penaltyMsMax)
    this.counters.cut++
    this.tell(member, atMs, `${times}: it is kept out for ${nextMs} ms; ${LOOK}`)
    const detail = `what no correct member does came from node ${node}, last ${fault}`
    this.parts.penalise({ kind: "cut", member: node, untilMs: member.outUntilMs, detail })
  }

  /** Why a link of this member is refused now, for people; `banned`: until an operator says so. */
  refuses(
    node: NodeId,
    atMs: number
  ): { readonly banned: boolean; readonly detail: string } | undefined {
    if (this.banned.has(node)) {
      return { banned: true, detail: `node ${node} is banned here: ask this node's operator` }
    }
    const member = this.members.get(node)
    if (member === undefined || member.outUntilMs <= atMs) return undefined
    const leftMs = Math.ceil(member.outUntilMs - atMs)
    return { banned: false, detail: `node ${node} is kept out for another ${leftMs} ms` }
  }

  /** Members that are kept out now. */
  out(atMs: number): ReadonlyArray<NodeId> {
    const members = [...this.members.values()]
    return members.filter((member) => this.isOut(member, atMs)).map(({ node }) => node)
  }

  /** Clients that are remembered, for bounds and tests. */
  get clientCount(): number {
    return this.clients.size
  }

  private isOut({ node, outUntilMs }: Member, atMs: number): boolean {
    return outUntilMs > atMs || this.banned.has(node)
  }

  /** More faulty members than the group withstands: to keep out one more takes its quorums away. */
  private mayKeepOut({ node }: Member, atMs: number): boolean {
    const others = this.out(atMs).filter((other) => other !== node)
    return others.length < this.parts.system.faults
  }

  /** A member answers for what its key signed: two values in one place, and it is a liar. */
  private prove(member: Member, evidence: Evidence, atMs: number): void {
    const { policy } = this
    const { proofs, system } = this.parts
    if (policy.onProof !== "ban" || system.model === "crash" || proofs === undefined) return
    if (this.banned.has(member.node)) return
    const jobs = evidenceJobs(proofs, evidence)
    if (jobs === undefined) return
    proofs.verifier.verify(jobs, (valid) => {
      if (!valid.every(Boolean) || this.banned.has(member.node)) return
      // Those who are kept out for a while only come back: a proof weighs more.
      if (this.banned.size < system.faults) return this.ban(member.node, evidence)
      this.counters.spared++
      this.tell(member, atMs, `node ${member.node} signed two values; ${SPARED}`)
    })
  }

  private ban(member: NodeId, evidence: Evidence): void {
    this.banned.add(member)
    this.counters.banned++
    const why = `node ${member} is banned: it signed two values for one place`
    this.parts.report(`${why}; once it is mended, lift the ban, or start this node anew`)
    this.parts.penalise({ kind: "cut", member, untilMs: FOR_EVER, detail: why })
    this.parts.options.onBan?.({ member, evidence, lift: () => this.banned.delete(member) })
  }

  private slow(member: Member, aheadMs: number, atMs: number): void {
    if (atMs < member.slowUntilMs) return
    const { policy } = this
    const { limits, penalise } = this.parts
    member.slowUntilMs = atMs + Math.max(aheadMs, limits.tickMs)
    this.counters.slowed++
    const done = policy.onSpam === "report" ? "nothing is done about it" : "its link is slowed down"
    this.tell(member, atMs, `node ${member.node} sends ${SPAM}: ${done}; ${LOOK}`)
    if (policy.onSpam === "report") return
    penalise({ kind: "slow", member: member.node, untilMs: member.slowUntilMs })
  }

  private tell(member: Member, atMs: number, line: string): void {
    if (atMs < member.quietUntilMs) return
    member.quietUntilMs = atMs + REPORT_MS
    this.parts.report(line)
  }

  private newcomer(route: Route, atMs: number): Client {
    const { limits } = this.parts
    if (this.clients.size >= limits.routesMax) this.makeRoom(atMs)
    const rate = {
      messagesPerSecond: limits.clientMessagesPerSecond,
      bytesPerSecond: limits.clientBytesPerSecond,
      burstMs: limits.rateBurstMs
    }
    const client = { meter: new Meter(rate), beyond: new Meter(rate), quietUntilMs: 0 }
    this.clients.set(route, client)
    return client
  }

  private makeRoom(atMs: number): void {
    for (const [route, { meter }] of this.clients) if (meter.idle(atMs)) this.clients.delete(route)
    if (this.clients.size < this.parts.limits.routesMax) return
    const [oldest] = this.clients.keys()
    this.clients.delete(oldest!)
  }
}

/** What was said of the policy: absent and `undefined` are the same. */
const defined = ({ onSpam, onFault, onProof }: PenaltyOptions): Partial<PenaltyPolicy> => ({
  ...(onSpam && { onSpam }),
  ...(onFault && { onFault }),
  ...(onProof && { onProof })
})

const SPAM = "more than a rate allows"
const LOOK = "look at its program's version and at its machine"
const SPARED = "it stays, as no more members may be kept out than the group withstands faulty ones"
