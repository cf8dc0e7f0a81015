/**
 * The host of one node: an inbox, the engine, and the gate that lets nothing leave before what it
 * depends on is durable (P11). Plain synchronous code; the rim and the simulator both drive it.
 */
import { NO_BYTES } from "../base/bytes.ts"
import type { Sha256 } from "../base/blob.ts"
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { Engine } from "../server/engine.ts"
import type { EpochStanding } from "../server/epoch.ts"
import type { Input, Route } from "../server/Input.ts"
import type { ClientMessage, PeerMessage, Word } from "../server/Message.ts"
import type { Output } from "../server/Output.ts"
import type { HandlerResult, IsEffect, ProtocolSpec } from "../server/Protocol.ts"
import { Deliveries } from "./deliveries.ts"
import { Fetches } from "./fetches.ts"
import { Fifo } from "./fifo.ts"
import type { HostWatch } from "./hostWatch.ts"
import type { LogCore, StoreInvalid } from "./logCore.ts"
import { bytesOf, Penalties, type PenaltyOptions } from "./penalties.ts"
import type { Proofs } from "./proofs.ts"
import type { HostPorts } from "./hostPorts.ts"
import { keep } from "./keep.ts"
import { encodeRecord } from "./recordCodec.ts"
import { replayLog } from "./replayLog.ts"
import { methodsOf, type Outgoing, refuseSigned, Signing } from "./signing.ts"
import { type Incoming, incomingOf, Verifying } from "./verifying.ts"

/** What a host needs of an engine. */
export type HostEngine = Pick<
  Engine,
  "step" | "checkpoint" | "stores" | "counters" | "size" | "dueMs"
>

export interface HostOptions {
  readonly self: NodeId
  readonly system: System
  readonly protocols: ReadonlyArray<ProtocolSpec>
  readonly limits: Limits
  /** Absent in a group without durability. */
  readonly log: LogCore | undefined
  readonly isEffect: IsEffect
  /** Other epochs of the group come before: it begins announced. */
  readonly announced?: boolean
  readonly ports: HostPorts
  /** Absent: the one that needs no host. */
  readonly sha256?: Sha256
  /** Keys, and who signs and verifies; needed where a method is signed. */
  readonly proofs?: Proofs
  /** Looks on; absent: nobody does. */
  readonly watch?: HostWatch
  readonly penalties?: PenaltyOptions | undefined
  /** For the simulator: puts something between host and engine. */
  readonly makeEngine?: (make: () => Engine) => HostEngine
}

/** A turn looks at the clock so often. */
const INPUTS_PER_LOOK = 64

/** An output that waits for the log to be durable up to `needs`. */
interface Gated {
  readonly needs: number
  /** The peer's link when the engine spoke; of a later link it is not. */
  readonly link: number
  readonly output: Output
}

export type { HostPorts } from "./hostPorts.ts"

export class HostCore {
  readonly engine: HostEngine
  readonly penalties: Penalties
  readonly fetches: Fetches
  private readonly limits: Limits
  private readonly log: LogCore | undefined
  private readonly ports: HostPorts
  private readonly watch: HostWatch | undefined
  private readonly deliveries: Deliveries
  /** Where methods are signed. */
  private readonly signing: Signing | undefined
  private readonly verifying: Verifying | undefined
  private readonly inbox = new Fifo<Input>()
  private readonly gate = new Fifo<Gated>()
  /** Number of the link to each peer: the one that stands, and the one the engine knows of. */
  private readonly links = new Map<NodeId, number>()
  private readonly known = new Map<NodeId, number>()
  private linkCount = 0
  /** Numbers of the links whose `peerUp` waits in the inbox. */
  private readonly linksUp = new Fifo<number>()
  private ticked = false
  private woken = false
  private stopped = false
  /** A throw may have left a state half written: it is kept for no later life. */
  private halting = false
  private full = false
  /** When `timeUp` is to be called. A timer armed again for later asks for no other wake. */
  private wakeAtMs = Number.POSITIVE_INFINITY
  /** No session opened at or below it runs here: durable, so clients may be told. */
  horizonMs = 0

  /** @throws ProtocolInvalid */
  constructor(options: HostOptions) {
    this.limits = options.limits
    this.log = options.log
    const { ports } = options
    this.ports = ports
    this.watch = options.watch
    this.deliveries = new Deliveries(options.self, options.protocols)
    const { proofs, limits, self, sha256 } = options
    const methods = methodsOf(options.protocols)
    if (proofs === undefined) refuseSigned(methods)
    const { clock, steady = clock, ask } = ports
    const hand = (input: Input): void => this.push(input)
    this.fetches = new Fetches({ limits, clock, steady, ask, sha256, hand })
    this.penalties = new Penalties({
      ...{ system: options.system, limits, proofs, options: options.penalties ?? {} },
      penalise: (penalty) => ports.penalise?.(penalty),
      report: (detail) => ports.report("penalty", detail)
    })
    if (proofs !== undefined) {
      const send = (message: Outgoing): void => this.send(message)
      const wake = (): void => this.wake()
      this.signing = new Signing({ self, proofs, methods, send, wake })
      this.verifying = new Verifying({ limits, proofs, methods, hand })
    }
    const sign = (word: Word): Uint8Array => this.signing!.now(word)
    const make = (): Engine => new Engine(proofs === undefined ? options : { ...options, sign })
    this.engine = options.makeEngine === undefined ? make() : options.makeEngine(make)
  }

  /** Reads the log back. Before anything else, once. */
  boot(): StoreInvalid | undefined {
    const { log, ports, limits } = this
    const atMs = ports.clock.nowMs()
    if (log !== undefined) {
      const invalid = replayLog(log, (record) => this.step({ kind: "replay", record }))
      if (invalid !== undefined) return invalid
      log.listen({
        durable: () => this.wake(),
        failed: (failure) => this.halt(`the log cannot be written: ${failure}`)
      })
    }
    // Without a log nobody knows what an earlier life said: it keeps out of sessions of that time.
    const horizonMs = log === undefined ? atMs + limits.sessionAheadMsMax : 0
    this.step({ kind: "booted", atMs, horizonMs })
    this.release()
    return undefined
  }

  peerUp(peer: NodeId, storeId: string): void {
    if (this.stopped) return
    this.verifying?.forget(peer)
    this.links.set(peer, ++this.linkCount)
    this.linksUp.push(this.linkCount)
    this.push({ kind: "peerUp", atMs: this.ports.clock.nowMs(), peer, storeId })
  }

  peerDown(peer: NodeId): void {
    this.links.delete(peer)
    this.verifying?.forget(peer)
    this.push({ kind: "peerDown", atMs: this.ports.clock.nowMs(), peer })
  }

  /** Never refused: what a link acknowledged was given to the engine. Links bound it. */
  receive(from: NodeId, message: PeerMessage): void {
    const atMs = this.ports.clock.nowMs()
    this.penalties.heard(from, bytesOf(message), atMs)
    this.take(from, { kind: "message", atMs, from, message })
  }

  fromClient(route: Route, message: ClientMessage, client = ""): void {
    const atMs = this.ports.clock.nowMs()
    // Those who call without a link are as one.
    const link = client === "" ? 0 : route
    if (!this.penalties.asked(link, client, bytesOf(message), atMs))
      return this.refuse(route, message)
    // What waits for a stuck disk is bounded too.
    const unproven = (this.verifying?.waiting ?? 0) + (this.signing?.waiting ?? 0)
    const waiting = Math.max(this.inbox.length, this.gate.length, unproven)
    if (waiting >= this.limits.inboxMax) return this.refuse(route, message)
    if (!this.take(-route, incomingOf(atMs, route, message, client))) this.refuse(route, message)
  }

  /** Why no link of the member is taken now. */
  refuses(peer: NodeId): ReturnType<Penalties["refuses"]> {
    return this.penalties.refuses(peer, this.ports.clock.nowMs())
  }

  /** A client's link is gone. */
  clientGone(route: Route): void {
    this.penalties.gone(route)
  }

  private take(from: number, input: Incoming): boolean {
    if (this.verifying === undefined || this.stopped) {
      this.push(input)
      return true
    }
    this.wake()
    return this.verifying.take(from, input)
  }

  /** An entry handler's Effect ended. */
  ran(token: number, result: HandlerResult | { readonly failure: string }): void {
    this.push({ kind: "ran", atMs: this.ports.clock.nowMs(), token, result })
  }

  /** The epoch goes on. That it has is told by {@link HostPorts.epoch}. */
  epoch(standing: EpochStanding): void {
    this.push({ kind: "epoch", atMs: this.ports.clock.nowMs(), standing })
  }

  /** Nothing is unfinished here, and every member has all that this node said. */
  get idle(): boolean {
    const { instances, running, runs, tail } = this.engine.size()
    return instances! + running! + runs! + tail! === 0 && this.inbox.length === 0
  }

  /** What came in was handled, and little waits for the log: only then others may send more. */
  get caughtUp(): boolean {
    return this.inbox.length === 0 && this.gate.length < this.limits.drainInputsMax
  }

  /** To be called every `tickMs`. */
  tick(): void {
    this.ticked = true
    if (!this.stopped) this.fetches.tick()
    this.wake()
  }

  /** The time that `wakeAt` named. */
  timeUp(): void {
    this.wakeAtMs = Number.POSITIVE_INFINITY
    this.wake()
  }

  /**
   * Handles what waits, up to `drainInputsMax` inputs, or what is above `inboxMax`, as peers are
   * never refused. True: more waits, and `wake` was called.
   */
  drain(): boolean {
    this.woken = false
    if (this.stopped) return false
    this.verifying?.flush()
    this.noteRoom()
    const { inboxMax, drainInputsMax, turnMs } = this.limits
    const untilMs = this.ports.clock.nowMs() + turnMs
    for (let left = Math.max(drainInputsMax, this.inbox.length - inboxMax); left > 0; left--) {
      // the clock costs more than an input
      if (left % INPUTS_PER_LOOK === 0 && this.ports.clock.nowMs() >= untilMs) break
      const input = this.inbox.shift()
      if (input === undefined) break
      // not the link that stands now: the engine may hear of one that is gone already
      if (input.kind === "peerUp") this.known.set(input.peer, this.linksUp.shift()!)
      this.step(input)
    }
    const atMs = this.ports.clock.nowMs()
    this.step({ kind: this.ticked ? "tick" : "turnEnd", atMs })
    this.ticked = false
    if (this.log?.due === true && !this.halting) this.cut(this.log)
    this.log?.flush()
    this.release()
    this.signing?.release()
    this.signing?.flush()
    this.alarm()
    if (this.inbox.length > 0) this.wake()
    return this.inbox.length > 0
  }

  /** Nothing leaves any more. What the log has taken it still writes. */
  stop(): void {
    this.stopped = true
  }

  /** What waits, by queue. */
  queues(): { readonly [queue: string]: number } {
    const { inbox, gate, signing, verifying } = this
    const proofs = { signing: signing?.waiting ?? 0, verifying: verifying?.waiting ?? 0 }
    return { inbox: inbox.length, gate: gate.length, ...proofs }
  }

  private push(input: Input): void {
    if (this.stopped) return
    this.inbox.push(input)
    this.wake()
  }

  private alarm(): void {
    const { dueMs } = this.engine
    if (dueMs === undefined || dueMs >= this.wakeAtMs || this.stopped) return
    this.wakeAtMs = dueMs
    this.ports.wakeAt(dueMs)
  }

  private wake(): void {
    if (this.woken) return
    this.woken = true
    this.ports.wake()
  }

  private step(input: Input): void {
    this.watch?.before(input)
    const outputs = this.engine.step(input)
    this.watch?.after(outputs, this.engine.counters)
    for (const output of outputs) {
      if (output.kind === "halt") this.halting = true
      if (output.kind === "store") {
        this.log?.queue(encodeRecord(output.record))
      } else {
        const link = output.kind === "send" ? (this.known.get(output.to) ?? 0) : 0
        this.gate.push({ needs: this.log?.appended ?? 0, link, output })
      }
    }
  }

  private cut(log: LogCore): void {
    const kept = keep(this.engine, this.gate.all())
    if (typeof kept === "string") this.halt(kept)
    else log.cut(kept)
  }

  /** Lets out, in order, what depends on nothing that is not durable. */
  private release(): void {
    const durable = this.log?.durable ?? 0
    for (let next = this.gate.peek(); next !== undefined; next = this.gate.peek()) {
      if (next.needs > durable || this.stopped) return
      this.gate.shift()
      this.emit(next)
    }
  }

  private send({ to, link, message }: Outgoing): void {
    // words for an earlier link are not for this one: its want winds the cursor back
    if (this.links.get(to) !== link || this.stopped) return
    this.ports.sendToPeer(to, this.watch?.sent(to, message) ?? message)
  }

  private emit({ output, link }: Gated): void {
    const { ports } = this
    switch (output.kind) {
      case "send": {
        const { to, message } = output
        if (this.signing === undefined) return this.send({ to, link, message })
        return this.signing.take({ to, link, message })
      }
      case "reply":
        this.watch?.replied(output.route, output.reply)
        return ports.sendToClient(output.route, output.reply)
      case "deliver": {
        const failure = this.deliveries.handIn(output.delivered)
        return failure === undefined ? undefined : this.halt(failure)
      }
      case "offer":
        return this.fetches.offer(output.blob)
      case "fetch":
        return this.fetches.start(output)
      case "run":
        return ports.run(output.token, this.watch?.effect(output) ?? output.effect)
      case "interrupt":
        return ports.interrupt(output.token)
      case "horizon":
        this.horizonMs = output.horizonMs
        return
      case "epoch":
        return ports.epoch?.(output.of, output.standing)
      case "report":
        return ports.report(output.what, output.detail, output.about)
      case "fault": {
        const { of, fault, evidence } = output
        return this.penalties.fault(of, fault, ports.clock.nowMs(), evidence)
      }
      case "halt":
        return this.halt(output.reason)
      case "store":
        return
    }
  }

  private halt(reason: string): void {
    if (this.stopped) return
    this.stopped = true
    this.ports.halt(reason)
  }

  private noteRoom(): void {
    const full = this.log?.full ?? false
    if (full === this.full) return
    this.full = full
    this.step({ kind: "logFull", atMs: this.ports.clock.nowMs(), full })
  }

  private refuse(route: Route, message: ClientMessage): void {
    if (message.kind !== "request") return
    const { session, index } = message
    const reply = { kind: "reply", session, index, body: NO_BYTES, code: "overloaded" } as const
    this.watch?.refused(route, reply)
    this.ports.sendToClient(route, reply)
  }
}
