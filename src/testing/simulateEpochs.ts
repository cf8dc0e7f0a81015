/** A group whose members change under load, and everything the simulator can do to it meanwhile. */
import { Context } from "effect"
import { bytesEqual } from "../base/bytes.ts"
import { checkLimits, LIMITS, type Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { Prng } from "../base/prng.ts"
import type { EpochPlan } from "../link/epochs.ts"
import { makeSystem } from "../quorum/QuorumSystem.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import { Adversary } from "./byzantine.ts"
import { EpochCheckers, SessionEpochs } from "./checkEpochs.ts"
import { type EpochCall, EpochClient } from "./epochClient.ts"
import { EpochOperator } from "./epochOperator.ts"
import { EpochNode, type SimEpoch } from "./epochNode.ts"
import { type PlannedFault, planFaults } from "./faultPlan.ts"
import { FaultSchedule } from "./faults.ts"
import { EventHash } from "./hash.ts"
import { isEffect, runEffectIn } from "./runEffect.ts"
import type { CallChoice } from "./simClient.ts"
import { SimDisk } from "./simDisk.ts"
import type { Decorate } from "./simHostOptions.ts"
import { SimHost } from "./simHost.ts"
import { SimNetwork } from "./simNetwork.ts"
import { diskTiming, networkTiming } from "./timing.ts"
import { VirtualTime } from "./virtualTime.ts"
import { makeWorld, type Trace, type World } from "./world.ts"

export interface EpochsOptions {
  readonly spec: ProtocolSpec
  readonly choices: ReadonlyArray<CallChoice>
  readonly seed: number
  /** The members of epoch 1, 2, 3 …; a Byzantine group. */
  readonly members: ReadonlyArray<ReadonlyArray<NodeId>>
  readonly byzantine: ReadonlyArray<NodeId>
  /**
   * Epochs linger longer than any fault lasts, so that every call is answered and every correct
   * node answers it; or they are gone at once, and a call may come to nothing.
   */
  readonly patient: boolean
  readonly clients: number
  readonly callsPerClient: number
  /** A planted bug, by epoch. */
  readonly decorate?: (number: number) => Decorate
  readonly trace?: Trace
}

export interface EpochsRun {
  readonly seed: number
  readonly failure: string | undefined
  readonly calls: ReadonlyArray<EpochCall>
  /** Calls answered in each epoch. */
  readonly answered: ReadonlyMap<number, number>
  /** Calls that were sent in two epochs, because the first one refused them for good. */
  readonly moved: number
  /** Calls of honest clients whose outcome nobody knows. */
  readonly unknown: number
  readonly crashes: number
  readonly breaks: number
  readonly steps: number
  readonly hash: string
}

const FAULTS_FROM_MS = 300
const FAULTS_UNTIL_MS = 5000
const CALLS_UNTIL_MS = 5500
const QUIET_MS_MAX = 90_000
const LOOK_MS = 200
const CLIENTS_FROM = 100_000

/** One run: a pure function of its options. */
export const simulateEpochs = (options: EpochsOptions): EpochsRun => new Run(options).run()

class Run {
  readonly #options: EpochsOptions
  readonly #random: Prng
  readonly #time = new VirtualTime()
  readonly #hash = new EventHash()
  readonly #limits: Limits
  readonly #epochs = new Map<number, SimEpoch>()
  readonly #worlds = new Map<number, World>()
  readonly #checkers = new Map<number, EpochCheckers>()
  readonly #nodes: ReadonlyArray<EpochNode>
  readonly #correct: ReadonlySet<NodeId>
  readonly #operator: EpochOperator
  readonly #calls: Array<EpochCall> = []
  #failure: string | undefined
  #over = false

  constructor(options: EpochsOptions) {
    this.#options = options
    this.#random = new Prng(options.seed)
    this.#limits = limitsOf(this.#random, options.patient)
    const all = [...new Set(options.members.flat())].sort((a, b) => a - b)
    this.#correct = new Set(all.filter((node) => !options.byzantine.includes(node)))
    const sessions = new SessionEpochs()
    for (const [i, members] of options.members.entries()) this.#plan(i + 1, members, sessions)
    this.#nodes = all.map((node) => this.#node(node))
    this.#operator = new EpochOperator({
      time: this.#time,
      random: this.#random.fork(),
      nodes: this.#nodes,
      correct: this.#correct,
      epochs: this.#epochs,
      calmMs: FAULTS_UNTIL_MS
    })
  }

  #plan(number: number, members: ReadonlyArray<NodeId>, sessions: SessionEpochs): void {
    const { spec, patient, trace } = this.#options
    const system = makeSystem(members, "byzantine")
    const description = Uint8Array.from([number, ...members])
    const timing = networkTiming(this.#random)
    const network = new SimNetwork(this.#time, this.#random.fork(), timing)
    this.#epochs.set(number, { plan: { number, system, description }, network })
    this.#worlds.set(number, makeWorld(this.#time, network, this.#hash, trace))
    const correct = system.members.filter((node) => this.#correct.has(node))
    const checkers = new EpochCheckers(number, sessions, {
      spec,
      correct,
      durable: true,
      members: system.size,
      model: "byzantine",
      promises: { totality: patient, quorums: true },
      windowCalls: this.#limits.windowCalls,
      nowMs: () => this.#time.nowMs
    })
    this.#checkers.set(number, checkers)
  }

  #read(description: Uint8Array): EpochPlan | undefined {
    for (const { plan } of this.#epochs.values()) {
      if (bytesEqual(plan.description, description)) return plan
    }
    return undefined
  }

  #node(node: NodeId): EpochNode {
    const world = this.#worlds.get(1)!
    return new EpochNode({
      world,
      node,
      limits: this.#limits,
      random: this.#random.fork(),
      epochs: this.#epochs,
      read: (description) => this.#read(description),
      reported: (what) => world.happened(what, node, 0),
      makeHost: (epoch, heard) => this.#host(node, epoch, heard)
    })
  }

  #host(
    node: NodeId,
    { plan, network }: SimEpoch,
    heard: Parameters<ConstructorParameters<typeof EpochNode>[0]["makeHost"]>[1]
  ): SimHost {
    const random = this.#random.fork()
    const decorate = this.#options.decorate?.(plan.number) ?? {}
    return new SimHost({
      world: this.#worlds.get(plan.number)!,
      network,
      node,
      system: plan.system,
      spec: this.#options.spec,
      limits: this.#limits,
      random,
      disk: new SimDisk(this.#time, random.fork(), diskTiming(this.#random)),
      checkers: this.#checkers.get(plan.number)!,
      adversary: this.#correct.has(node) ? undefined : new Adversary(random.fork()),
      isEffect,
      runEffect: runEffectIn(Context.empty()),
      decorate: {
        ...decorate,
        ports: (ports) => ({ ...(decorate.ports?.(ports, node) ?? ports), epoch: heard })
      },
      skewMs: () => 0,
      announced: plan.number > 1,
      mayPoison: false
    })
  }

  run(): EpochsRun {
    const clients = this.#clients()
    const world = { ...this.#worlds.get(1)!, network: this.#everyNetwork() }
    const hosts = this.#nodes
    const faults = new FaultSchedule({ world, random: this.#random.fork(), hosts, clients })
    try {
      this.#begin(clients)
      faults.start(this.#faults(clients), FAULTS_UNTIL_MS, new Set())
      while (!this.#over && this.#failed() === undefined && this.#time.next());
      if (this.#failed() === undefined) this.#conclude()
    } catch (thrown) {
      this.#failure ??= `it threw: ${thrown instanceof Error ? thrown.stack : String(thrown)}`
    }
    return this.#result(faults.crashes)
  }

  #begin(clients: ReadonlyArray<EpochClient>): void {
    for (const { plan, network } of this.#epochs.values()) {
      const { members } = plan.system
      for (const [i, node] of members.entries()) {
        for (const peer of members.slice(i + 1)) network.join(node, peer)
        for (const client of clients) network.join(client.endpoint, node)
      }
    }
    const first = this.#epochs.get(1)!.plan
    for (const node of this.#nodes) {
      if (first.system.rank(node.node) >= 0) node.install(first)
      this.#time.after(this.#random.below(100), () => node.boot())
    }
    for (const client of clients) client.start()
    this.#operator.start()
    this.#look(clients)
  }

  #look(clients: ReadonlyArray<EpochClient>): void {
    const look = (): void => {
      const { nowMs } = this.#time
      this.#refuse()
      if (nowMs > FAULTS_UNTIL_MS && this.#missing(clients) === undefined) this.#over = true
      else if (nowMs > FAULTS_UNTIL_MS + QUIET_MS_MAX) {
        this.#failure ??= `at ${nowMs} ms: ${this.#missing(clients)}`
        this.#over = true
      } else this.#time.after(LOOK_MS, look)
    }
    this.#time.after(LOOK_MS, look)
  }

  /** Who still dials a member of an epoch that ended there is refused. */
  #refuse(): void {
    for (const node of this.#nodes) {
      for (const number of node.numbers) {
        for (const member of this.#epochs.get(number)!.plan.system.members) {
          if (this.#of(member).hasEnded(number)) node.gone(number, member)
        }
      }
    }
  }

  /** What must still happen: answers, epochs that come and go, words that arrive. */
  #missing(clients: ReadonlyArray<EpochClient>): string | undefined {
    if (!clients.every((client) => client.done)) return "a client still has calls to make"
    const open = this.#calls.find((call) => call.demanded && call.result === undefined)
    if (open !== undefined) {
      const parts = [...open.parts].map(([number, { key }]) => `${number}: ${key?.slice(-8)}`)
      return `no answer to call ${open.number} (${parts.join(", ")})`
    }
    const last = this.#epochs.size
    const old = this.#operator.old(last)
    if (old !== undefined) return old
    if (!this.#operator.inForce(last)) return `epoch ${last} is not in force everywhere`
    // Who does not call any more does not hear of later ones.
    const several = clients.find((client) => client.numbers.length > 1)
    if (several !== undefined) return `client ${several.endpoint} keeps ${several.numbers}`
    for (const [number, checkers] of this.#checkers) {
      const missing = this.#options.patient || number === last ? checkers.missing() : undefined
      if (missing !== undefined) return `in epoch ${number}: ${missing}`
    }
    return undefined
  }

  #conclude(): void {
    for (const call of this.#calls) {
      const ran = [...call.parts].filter(([number, { key }]) => {
        return key !== undefined && this.#checkers.get(number)!.answers.answer(key) !== undefined
      })
      if (ran.length > 1) this.#failure ??= `call ${call.number} ran in ${ran.length} epochs`
      if (!call.demanded || call.result?.ok !== false) continue
      const { code } = call.result
      if (this.#options.patient || (code !== "outcome_unknown" && code !== "epoch_ended")) {
        this.#failure ??= `call ${call.number} failed: ${JSON.stringify(call.result)}`
      }
    }
  }

  #failed(): string | undefined {
    for (const checkers of this.#checkers.values()) this.#failure ??= checkers.failure
    return this.#failure
  }

  #result(crashes: number): EpochsRun {
    const answered = new Map<number, number>()
    let [moved, unknown, breaks] = [0, 0, 0]
    for (const call of this.#calls) {
      const numbers = [...call.parts.keys()]
      if (numbers.length > 1) moved++
      if (call.result?.ok === true) {
        const last = Math.max(...numbers)
        answered.set(last, (answered.get(last) ?? 0) + 1)
      } else if (call.demanded && call.result?.code === "outcome_unknown") unknown++
    }
    for (const { network } of this.#epochs.values()) breaks += network.breaks
    return {
      seed: this.#options.seed,
      failure: this.#failed(),
      calls: this.#calls,
      answered,
      moved,
      unknown,
      crashes,
      breaks,
      steps: this.#time.steps,
      hash: this.#hash.digest()
    }
  }

  #clients(): ReadonlyArray<EpochClient> {
    const { clients, callsPerClient, choices } = this.#options
    return Array.from({ length: clients }, (_, i) => {
      const random = this.#random.fork()
      return new EpochClient({
        world: this.#worlds.get(1)!,
        endpoint: CLIENTS_FROM + i,
        epochs: this.#epochs,
        read: (description) => this.#read(description),
        checkers: this.#checkers,
        limits: this.#limits,
        random,
        choices,
        calls: this.#calls,
        count: callsPerClient,
        untilMs: CALLS_UNTIL_MS,
        equivocates: random.chance(150),
        hasEnded: (number, node) => this.#of(node).hasEnded(number),
        fail: (what) => (this.#failure ??= `at ${this.#time.nowMs} ms: ${what}`)
      })
    })
  }

  #of(node: NodeId): EpochNode {
    return this.#nodes.find((it) => it.node === node)!
  }

  #faults(clients: ReadonlyArray<EpochClient>): ReadonlyArray<PlannedFault> {
    const nodes = this.#nodes.map((node) => node.node)
    const planned = planFaults(this.#random.fork(), {
      nodes,
      clients: clients.map((client) => client.endpoint),
      crashing: nodes,
      forgetting: [],
      begunAnew: false,
      durable: true,
      fromMs: FAULTS_FROM_MS,
      untilMs: FAULTS_UNTIL_MS,
      gapMsMax: 100 + this.#random.below(400),
      downMsMax: 100 + this.#random.below(1500)
    })
    // A clock that jumps ahead ends what lingers; disks fail and clients die in other runs.
    const apart = new Set(["clockJumps", "diskFails", "clientDies"])
    return planned.filter(({ fault }) => !apart.has(fault.kind))
  }

  /** A cut between two hosts cuts all their links. */
  #everyNetwork(): Pick<SimNetwork, "cut" | "mute" | "heal"> {
    const each = (act: (network: SimNetwork) => void): void => {
      for (const { network } of this.#epochs.values()) act(network)
    }
    return {
      cut: (a, b, apartMs) => each((network) => network.cut(a, b, apartMs)),
      mute: (from, to, muteMs) => each((network) => network.mute(from, to, muteMs)),
      heal: () => each((network) => network.heal())
    }
  }
}

const limitsOf = (random: Prng, patient: boolean): Limits => {
  const tight = { windowCalls: 4, earlyVotesMax: 4, drainInputsMax: 2, cursorBytesMax: 1_048_576 }
  const hasty = { epochLingerMs: 400 + random.below(600), retryMsMin: 20, retryMsMax: 200 }
  const limits = {
    ...LIMITS,
    ...(random.chance(333) && tight),
    ...(patient ? { epochLingerMs: 12_000 } : hasty)
  }
  checkLimits(limits)
  return limits
}
