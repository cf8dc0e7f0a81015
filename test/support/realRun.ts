/**
 * A run of the simulator's kind on real sockets: nodes and clients behind fault proxies, faults by
 * a seed until they stop, and the simulator's own judges over all that nodes log, say and answer.
 */
import type { DescService } from "@bufbuild/protobuf"
import type { LinkStrength } from "../../src/link/linkHello.ts"
import type { NodeId } from "../../src/base/NodeId.ts"
import { Prng } from "../../src/base/prng.ts"
import { HostWatch } from "../../src/link/hostWatch.ts"
import { decodeRecord } from "../../src/link/recordCodec.ts"
import type { FaultModel } from "../../src/quorum/FaultModel.ts"
import { matching } from "../../src/quorum/Policy.ts"
import type { GroupClient } from "../../src/runtime/internal/groupClient.ts"
import type { Input } from "../../src/server/Input.ts"
import { isSession } from "../../src/server/laneKey.ts"
import { methodId, type Word } from "../../src/server/Message.ts"
import type { MethodSpec, ProtocolSpec } from "../../src/server/Protocol.ts"
import { callKey } from "../../src/testing/checkAnswers.ts"
import { Checkers, type Promises, type SimCall } from "../../src/testing/Checkers.ts"
import type { CallChoice } from "../../src/testing/simClient.ts"
import { LogMemory } from "../../src/testing/watchLog.ts"
import type { Drawn } from "./faultProxy.ts"
import { RealGroup, type RealTransport } from "./realGroup.ts"

export interface RealRunOptions {
  readonly transport: RealTransport
  /** Default: plaintext. */
  readonly links?: LinkStrength
  readonly spec: ProtocolSpec
  readonly descriptor: DescService
  readonly nodes: number
  readonly model: FaultModel
  readonly promises: Promises
  /** Each with other bytes: by them a request is known. */
  readonly choices: ReadonlyArray<CallChoice>
  /** Nodes whose lines turn bits: whatever they are heard to say, they count as Byzantine. */
  readonly garbled?: ReadonlyArray<NodeId>
  readonly faults: RealFaults
  readonly seed: number
}

/** What goes wrong while calls are made. */
export interface RealFaults {
  /** What each connection draws. */
  readonly draw?: (random: Prng, nodes: { readonly from: string; readonly to: string }) => Drawn
  /** Connections of one pair are cut, stand still or swallow, this often. */
  readonly disturbMs?: number
  /** One node after the other is killed and started again, this often. */
  readonly killMs?: number
  /** Nothing comes to or from this node until all calls have ended. */
  readonly stuck?: NodeId
  /** Per mille of the calls are interrupted by their client. */
  readonly cancels?: number
  /** What makes handlers of one node throw. */
  readonly throws?: {
    readonly node: NodeId
    readonly over: (spec: ProtocolSpec) => ProtocolSpec
  }
}

/** What was seen, beside the verdict: that a promise was put to the test. */
export interface Seen {
  readonly answered: number
  readonly cancelled: number
  /** Connections that a proxy took after the first of each way. */
  readonly reconnects: number
  readonly boots: number
  readonly records: number
  /** Times that a node's tables were compared with their limits. */
  readonly looks: number
  /** Votes that came to a node before the call they are for. */
  readonly early: number
  /** What nodes dropped, by reason, all lives of all nodes. */
  readonly dropped: { readonly [reason: string]: number }
  /** Connections that were cut or refused for what came over them. */
  readonly refused: number
  /** Links that took up where an earlier one ended. */
  readonly resumes: number
}

export interface RealRun {
  readonly failure: string | undefined
  readonly seen: Seen
}

const CLIENTS = 3
const OPEN_MAX = 6
const LOOK_MS = 50
const STILL_MS = 200
/** A client waits for so long: longer than all faults of a run together. */
const CALL_MS = 60_000
const QUIET_MS_MAX = 45_000
const SYNC_MS_MAX = 4
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export const realRun = async (options: RealRunOptions): Promise<RealRun> => {
  const run = new Run(options)
  try {
    await run.run()
  } finally {
    await run.close()
  }
  return { failure: run.checkers.failure, seen: run.seen() }
}

class Run {
  readonly checkers: Checkers
  private readonly options: RealRunOptions
  private readonly random: Prng
  private readonly startMs = performance.now()
  private readonly byBody = new Map<string, SimCall>()
  private readonly memories = new Map<NodeId, LogMemory>()
  private real!: RealGroup
  private calm = false
  private readonly tally = {
    ...{ cancelled: 0, boots: 0, looks: 0, refused: 0, resumes: 0, early: 0 }
  }
  private readonly dropped: { [reason: string]: number } = {}

  constructor(options: RealRunOptions) {
    const { spec, nodes, model, promises, garbled = [] } = options
    this.options = options
    this.random = new Prng(options.seed)
    const ids = Array.from({ length: nodes }, (_, i) => i + 1)
    const correct = ids.filter((id) => !garbled.includes(id))
    const nowMs = (): number => Math.round(performance.now() - this.startMs)
    const group = { members: nodes, model, correct, durable: true, windowCalls: 1024 }
    this.checkers = new Checkers({ spec, promises, nowMs, ...group })
  }

  async run(): Promise<void> {
    const { options, checkers } = this
    this.real = await RealGroup.open({
      ...options,
      watch: (id) => {
        const known = new Set<string>()
        return new Judging(checkers, id, (input) => this.heard(input, known))
      },
      over: (spec, id) => {
        const { throws } = options.faults
        return checkers.over(id === throws?.node ? throws.over(spec) : spec, id)
      },
      log: (log, id) => this.memory(id).over(log),
      synced: (done) => void setTimeout(done, this.random.below(SYNC_MS_MAX)),
      halted: (id, reason) => {
        if (checkers.isCorrect(id)) checkers.fail(`node ${id} halted: ${reason}`)
      }
    })
    for (const id of this.real.ids) await this.boot(id)
    const looking = setInterval(() => this.look(), LOOK_MS)
    try {
      await this.work()
      await this.settle()
    } finally {
      clearInterval(looking)
    }
    checkers.conclude()
  }

  async close(): Promise<void> {
    for (const id of this.real.lives.keys()) this.count(id)
    await this.real.close()
  }

  seen(): Seen {
    const { tally, checkers, dropped } = this
    const { proxies } = this.real
    let reconnects = 0
    for (const { accepted } of proxies.values()) reconnects += Math.max(0, accepted - 1)
    const { records, answered } = checkers
    return { ...tally, answered, records, dropped, reconnects }
  }

  private memory(id: NodeId): LogMemory {
    const known = this.memories.get(id)
    if (known !== undefined) return known
    const memory = new LogMemory({
      durable: (bytes) => this.checkers.durable(id, decodeRecord(bytes)),
      cut: () => {},
      broken: (what) => this.checkers.fail(`the log of node ${id}: ${what}`)
    })
    this.memories.set(id, memory)
    return memory
  }

  private async boot(id: NodeId): Promise<void> {
    this.tally.boots++
    this.checkers.booted(id)
    await this.real.start(id)
  }

  private async kill(id: NodeId): Promise<void> {
    this.count(id)
    await this.real.kill(id)
  }

  /** What a life of a node dropped and refused. */
  private count(id: NodeId): void {
    const host = this.real.lives.get(id)?.host
    if (host === undefined) return
    for (const [reason, count] of Object.entries(host.core.engine.counters)) {
      this.dropped[reason] = (this.dropped[reason] ?? 0) + count
    }
    const { linksRefused, linksCut, garbage } = host.counters
    this.tally.refused += linksRefused + linksCut + garbage
  }

  private look(): void {
    for (const [id, { host }] of this.real.lives) {
      this.tally.looks++
      this.checkers.looked(id, host.core.engine.size(), this.real.limits)
    }
  }

  /** @param known calls that came to this life of a node */
  private heard(input: Input, known: Set<string>): void {
    if (input.kind === "message") {
      const { message } = input
      if (message.kind === "resume") this.tally.resumes++
      if (message.kind !== "word" || !isSession(message.lane)) return
      if (!known.has(callKey(message.lane, message.index))) this.tally.early++
    } else if (input.kind === "request") {
      const { session, index, body } = input.request
      known.add(callKey(session, index))
      // Its client has numbered it.
      const call = this.byBody.get(Buffer.from(body).toString("hex"))
      if (call === undefined) this.checkers.fail("a node was asked for what no client asked")
      else this.checkers.sentCall(call, callKey(session, index))
    }
  }

  /** Until every call has ended, with what goes wrong meanwhile. */
  private async work(): Promise<void> {
    const { draw, stuck, disturbMs, killMs } = this.options.faults
    for (const [name, proxy] of this.real.proxies) {
      const [from, to] = name.split(">") as [string, string]
      if (draw !== undefined) proxy.draw = (random) => draw(random, { from, to })
    }
    if (draw !== undefined) for (const proxy of this.real.proxies.values()) proxy.cut()
    const around = stuck === undefined ? [] : this.real.around(stuck, true)
    for (const proxy of around) proxy.pause()
    const choices = [...this.options.choices]
    const clients = Array.from({ length: CLIENTS }, (_, i) => this.client(i, choices))
    const working = Promise.all(clients).then(() => (this.calm = true))
    await Promise.all([
      working,
      ...(disturbMs === undefined ? [] : [this.disturbing(disturbMs)]),
      ...(killMs === undefined ? [] : [this.killing(killMs)])
    ])
    for (const proxy of this.real.proxies.values()) {
      proxy.draw = () => ({})
      proxy.resume()
      // Also of what is half open nobody would know yet.
      proxy.cut()
    }
  }

  private async disturbing(everyMs: number): Promise<void> {
    const proxies = [...this.real.proxies.values()]
    while (!this.calm) {
      await pause(this.random.below(2 * everyMs))
      const proxy = this.random.pick(proxies)
      const what = this.random.below(4)
      if (what < 2) proxy.cut(what === 0 ? "reset" : "end")
      else if (what === 2) proxy.pause()
      else proxy.swallow(...(this.random.chance(500) ? (["up"] as const) : []))
      if (what >= 2) {
        const healed = (): void => {
          proxy.resume()
          proxy.cut()
        }
        setTimeout(healed, 2 * everyMs)
      }
    }
  }

  private async killing(everyMs: number): Promise<void> {
    while (!this.calm) {
      await pause(everyMs / 2 + this.random.below(everyMs))
      const id = this.random.pick(this.real.ids)
      await this.kill(id)
      await pause(this.random.below(everyMs))
      await this.boot(id)
    }
  }

  /** Makes its share of the calls, some at once. */
  private async client(number: number, choices: Array<CallChoice>): Promise<void> {
    const client = this.real.client()
    const one = async (): Promise<void> => {
      for (let it = choices.shift(); it !== undefined; it = choices.shift()) {
        await this.call(client, number, it)
      }
    }
    await Promise.all(Array.from({ length: OPEN_MAX }, one))
    const { sessions: _, ...left } = client.core.size()
    const kept = Object.entries(left).filter(([, count]) => count !== 0)
    if (kept.length > 0) this.checkers.fail(`P10: client ${number} kept ${kept.join(" ")}`)
  }

  private call(client: GroupClient, number: number, { method, body }: CallChoice): Promise<void> {
    const { cancels = 0 } = this.options.faults
    const cancelled = this.random.chance(cancels)
    const call: SimCall = {
      ...{ number: this.checkers.calls.length + 1, client: number, method, honest: true },
      ...{ key: undefined, demanded: !cancelled, result: undefined },
      ...{ calledMs: Math.round(performance.now() - this.startMs), endedMs: 0 }
    }
    this.checkers.calls.push(call)
    this.byBody.set(Buffer.from(body).toString("hex"), call)
    return new Promise((over) => {
      const cancel = client.start<Uint8Array, Uint8Array>({
        ...specOf(method),
        name: method.fullName,
        body: () => body,
        targets: client.system.members,
        deadlineMs: CALL_MS,
        done: (result) => {
          this.checkers.ended(call, result)
          over()
        }
      })
      if (!cancelled) return
      setTimeout(() => {
        if (call.result !== undefined) return
        this.tally.cancelled++
        cancel()
        over()
      }, this.random.below(20))
    })
  }

  /** Faults have ended: all that must happen happens now. */
  private async settle(): Promise<void> {
    const untilMs = performance.now() + QUIET_MS_MAX
    let stillMs = performance.now()
    let records = -1
    while (performance.now() < untilMs && this.checkers.failure === undefined) {
      const busy = this.checkers.missing() !== undefined
      const moved = !this.checkers.restless && this.checkers.records !== records
      if (busy || moved) stillMs = performance.now()
      records = this.checkers.records
      if (performance.now() - stillMs > STILL_MS) return
      await pause(LOOK_MS)
    }
  }
}

const specOf = ({ call, fullName }: MethodSpec) => ({
  ...{ method: methodId(fullName), call, decode: (body: Uint8Array) => body },
  policy: matching((body: Uint8Array) => body)
})

/** One life of a node, shown to the judges. */
class Judging extends HostWatch {
  private readonly checkers: Checkers
  private readonly id: NodeId
  private readonly heard: (input: Input) => void

  constructor(checkers: Checkers, id: NodeId, heard: (input: Input) => void) {
    super({})
    this.checkers = checkers
    this.id = id
    this.heard = heard
  }

  override before(input: Input): void {
    this.heard(input)
    if (input.kind === "peerUp") this.checkers.order.linkUp(this.id, input.peer)
    if (input.kind !== "message") return
    if (input.message.kind === "word") this.compare(input.from, input.message)
    this.checkers.came(this.id, input.from, input.message)
  }

  /** Between correct nodes comes what was said, byte for byte. */
  private compare(from: NodeId, word: Word): void {
    const { checkers } = this
    const said = checkers.words.saidBy(from)?.[word.position - 1]
    if (said === undefined || ![from, this.id].every((id) => checkers.isCorrect(id))) return
    const { lane, index, method, round } = said
    const same = word.lane === lane && word.index === index && word.method === method
    if (same && word.round === round && Buffer.compare(word.body, said.body) === 0) return
    this.checkers.fail(`P2: word ${word.position} of node ${from} came changed to node ${this.id}`)
  }

  override sent(...[to, message]: Parameters<HostWatch["sent"]>) {
    this.checkers.sent(this.id, message)
    return super.sent(to, message)
  }

  override replied(...[, reply]: Parameters<HostWatch["replied"]>): void {
    this.checkers.replied(this.id, reply)
  }
}
