import { Context } from "effect"
import { assert } from "../base/assert.ts"
import { checkLimits, type Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import { Prng } from "../base/prng.ts"
import type { PenaltyPolicy } from "../link/penalties.ts"
import type { Tap } from "../link/tap.ts"
import type { FaultModel } from "../quorum/FaultModel.ts"
import { makeSystem, type System } from "../quorum/QuorumSystem.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import { Adversary } from "./byzantine.ts"
import { Checkers, type Promises } from "./Checkers.ts"
import type { Decorate, SimHostOptions } from "./simHostOptions.ts"
import { type FaultOptions, type PlannedFault, planFaults, shuffled } from "./faultPlan.ts"
import { FaultSchedule } from "./faults.ts"
import { EventHash } from "./hash.ts"
import { RogueClient } from "./rogueClient.ts"
import { isEffect, type RunEffect, runEffectIn } from "./runEffect.ts"
import { type CallChoice, type ClientHabits, SimClient } from "./simClient.ts"
import { SimDisk } from "./simDisk.ts"
import { SimHost } from "./simHost.ts"
import { type HostNetwork, type Network, type NetworkTiming, SimNetwork } from "./simNetwork.ts"
import { linkLimitsOf, type LinkPlan, linkPlanOf } from "./linkPlan.ts"
import { SimLinks } from "./simLinks.ts"
import type { Traffic } from "./traffic.ts"
import { diskTiming, limitsDrawn, networkTiming } from "./timing.ts"
import { SimProofs } from "./simProofs.ts"
import { Twins } from "./twins.ts"
import { VirtualTime } from "./virtualTime.ts"
import { makeWorld, type Trace, type World } from "./world.ts"

/** What goes wrong: nothing but delays, or everything the simulator has. */
export type Faults = "none" | "all"

/** Messages over connections, fast; or the links of production over streams that break. */
export type NetworkKind = "envelopes" | "links"

export interface SimulateOptions {
  readonly spec: ProtocolSpec
  readonly nodes: number
  /** How many of them are Byzantine; only under `faults: "all"`. */
  readonly byzantine: number
  readonly model: FaultModel
  readonly seed: number
  /** What clients call, in turns. */
  readonly choices: ReadonlyArray<CallChoice>
  readonly faults: Faults
  /** Nodes crash and restart, with what their disks kept; only under `faults: "all"`. */
  readonly crash: boolean
  /** Absent: `envelopes`. */
  readonly network?: NetworkKind
  /** What links are like, where it is not drawn. */
  readonly links?: Partial<LinkPlan>
  /** Nodes have disks; absent: yes. Without, only as many crash as may fail. */
  readonly durable?: boolean
  /** Without this node the protocol does not go on for ever: it never loses its disk. */
  readonly leader?: NodeId | undefined
  /** Numbers, from 1, of planned faults that are left out. */
  readonly drop?: ReadonlySet<number>
  /** Asked after each step of a node and each operation of its disk; true: it dies there. */
  readonly kills?: SimHostOptions["kills"]
  /** Handlers of correct nodes may throw. */
  readonly mayPoison?: boolean
  /** Plans more: what a test makes happen itself. */
  readonly script?: (parts: SimulationParts) => void
  /** By then the script has put right what it broke; default: at once. */
  readonly scriptMs?: number
  /** What this protocol promises beyond what Quorate does. */
  readonly promises: Promises
  /** Absent: 2 … 5. */
  readonly clients?: number
  /** Each client; absent: 2 … 8. */
  readonly callsPerClient?: number
  /** How clients go about it, where it is not drawn. */
  readonly habits?: Partial<ClientHabits>
  /** Absent: entry handlers' Effects run without services. */
  readonly runEffect?: RunEffect
  readonly decorate?: Decorate
  /** What nodes do about spam, faults and proven lies; absent: what suits the model. */
  readonly policy?: PenaltyPolicy
  /** Of every run; the others are drawn. */
  readonly limits?: Partial<Limits>
  readonly trace?: Trace
  /** Takes what nodes and clients do; the run is the same with it. */
  readonly tap?: Tap
}

/** What a script may use; see {@link SimulateOptions.script}. */
export interface SimulationParts {
  readonly world: World
  readonly hosts: ReadonlyArray<SimHost>
  readonly clients: ReadonlyArray<SimClient>
}

export interface SimulationRun {
  readonly seed: number
  /** The first violation, with its virtual time. */
  readonly failure: string | undefined
  readonly checkers: Checkers
  /** Events that happened. */
  readonly steps: number
  readonly virtualMs: number
  /** Of the whole run: the same for the same options, always. */
  readonly hash: string
  readonly crashes: number
  readonly breaks: number
  /** Nodes that are neither Byzantine nor have lost their memory. */
  readonly correct: ReadonlyArray<NodeId>
  /** What was planned to go wrong, in order. */
  readonly faults: ReadonlyArray<PlannedFault>
  /** What went over each link, in each direction, by kind. */
  readonly traffic: ReadonlyArray<Traffic>
  readonly hosts: ReadonlyArray<SimHost>
}

const FAULTS_FROM_MS = 300
const FAULTS_UNTIL_MS = 3500
const CLIENTS_UNTIL_MS = 2500
/** Once faults have ended, all that was asked is answered within this time. */
const QUIET_MS_MAX = 60_000
const LOOK_MS = 100
/** Looks without anything new before a run counts as over. */
const STILL_LOOKS = 5
/** Clients' endpoints lie above every node id. */
const CLIENTS_FROM = 100_000
const ROGUE = 110_000

/** One run: a pure function of its options. */
export const simulate = (options: SimulateOptions): SimulationRun => new Run(options).run()

class Run {
  readonly #options: SimulateOptions
  readonly #random: Prng
  readonly #time = new VirtualTime()
  readonly #hash = new EventHash()
  readonly #network: Network
  readonly #links: SimLinks | undefined
  readonly #world: World
  readonly #system: System
  readonly #signs: SimProofs | undefined
  readonly #limits: Limits
  readonly #correct: ReadonlyArray<NodeId>
  /** Nodes that may lose their memory; with the Byzantine ones no more than may fail. */
  readonly #forgetting: ReadonlyArray<NodeId>
  readonly #durable: boolean
  readonly #checkers: Checkers
  readonly #faulty: boolean

  constructor(options: SimulateOptions) {
    const { nodes, byzantine, model, seed, spec, faults, choices, promises, leader } = options
    assert(choices.length > 0, "a simulation needs calls")
    assert(byzantine <= nodes, "more Byzantine nodes than nodes")
    if (options.durable === false && Object.keys(spec.world?.lanes ?? {}).length > 0)
      throw new RangeError(`durable: ${spec.name} has lanes, which a node must remember`)
    this.#options = options
    this.#faulty = faults === "all"
    this.#random = new Prng(seed)
    const parts = { random: this.#random.fork(), timing: networkTiming(this.#random) }
    const members = Array.from({ length: nodes }, (_, i) => i + 1)
    this.#system = makeSystem(members, model)
    this.#signs = SimProofs.of(spec, members)
    this.#limits = this.#limitsOf(parts.random)
    this.#links = options.network === "links" ? this.#makeLinks(parts) : undefined
    this.#network = this.#links ?? new SimNetwork(this.#time, parts.random, parts.timing)
    this.#world = makeWorld(this.#time, this.#network, this.#hash, options.trace, options.tap)
    this.#durable = options.durable ?? true
    const faulty = this.#faulty ? shuffled(this.#random, members) : []
    // In a run in five some of those that may lie lose their memory instead.
    const honest = this.#random.chance(200) ? this.#random.below(byzantine + 1) : 0
    const liars = new Set(faulty.splice(0, byzantine - honest))
    this.#correct = members.filter((node) => !liars.has(node))
    const fail = this.#system.faults - liars.size
    const forget = this.#durable && !this.#random.chance(200) ? honest : fail
    const forgetting = faulty.filter((node) => node !== leader)
    this.#forgetting = forgetting.slice(0, Math.max(0, Math.min(fail, forget)))
    const nowMs = (): number => this.#time.nowMs
    const correct = this.#correct
    const { windowCalls, tailBytesMax } = this.#limits
    const durable = this.#durable
    const group = { members: nodes, model, correct, durable, windowCalls, tailBytesMax }
    const { runEffect = runEffectIn(Context.empty()) } = options
    const end = (result: unknown) => (isEffect(result) ? runEffect(result) : result)
    this.#checkers = new Checkers({ spec, promises, nowMs, end, ...group })
  }

  /** @param random of the network: what links draw moves nothing else */
  #limitsOf(random: Prng): Limits {
    const { network, limits: ours } = this.#options
    const drawn = limitsDrawn(this.#random)
    const limits = { ...drawn, ...(network === "links" && linkLimitsOf(random, drawn)), ...ours }
    checkLimits(limits)
    return limits
  }

  #makeLinks(parts: { readonly random: Prng; readonly timing: NetworkTiming }): SimLinks {
    return new SimLinks({
      ...parts,
      time: this.#time,
      limits: this.#limits,
      plan: { ...linkPlanOf(parts.random), ...this.#options.links },
      faultsUntilMs: FAULTS_UNTIL_MS,
      fail: (what) => this.#checkers.fail(what)
    })
  }

  /** Once faults have ended, all that are up find each other. */
  #unlinked(): string | undefined {
    const { live } = this.#checkers
    const counts = (end: number): boolean =>
      end !== ROGUE && (end >= CLIENTS_FROM || live.includes(end))
    return this.#links?.unlinked(FAULTS_UNTIL_MS, counts)
  }

  run(): SimulationRun {
    const hosts = this.#system.members.flatMap((node) => this.#hosts(node))
    const clients = this.#clients()
    const faults = new FaultSchedule({
      ...{ world: this.#world, random: this.#random.fork(), hosts, clients }
    })
    const planned = this.#faulty ? planFaults(this.#random.fork(), this.#faultOptions(clients)) : []
    try {
      this.#begin(hosts, clients)
      if (this.#faulty) faults.start(planned, FAULTS_UNTIL_MS, this.#options.drop ?? new Set())
      this.#options.script?.({ world: this.#world, hosts, clients })
      this.#last(hosts)
    } catch (thrown) {
      this.#checkers.fail(`it threw: ${thrown instanceof Error ? thrown.stack : String(thrown)}`)
    }
    return {
      seed: this.#options.seed,
      failure: this.#checkers.failure,
      checkers: this.#checkers,
      steps: this.#time.steps,
      virtualMs: this.#time.nowMs,
      hash: this.#hash.digest(),
      crashes: faults.crashes,
      breaks: this.#network.breaks,
      correct: this.#checkers.live,
      faults: planned,
      traffic: this.#network.traffic(),
      hosts
    }
  }

  #begin(hosts: ReadonlyArray<SimHost>, clients: ReadonlyArray<SimClient>): void {
    const { members } = this.#system
    for (const [i, node] of members.entries()) {
      for (const peer of members.slice(i + 1)) this.#network.join(node, peer)
    }
    for (const host of hosts) this.#time.after(this.#random.below(100), () => host.boot())
    for (const client of clients) client.start(this.#random.below(CLIENTS_UNTIL_MS))
    // In some runs a client beside the others keeps no rule at all.
    const rogue = this.#random.chance(300)
    if (this.#faulty && rogue) this.#rogue().start(0, FAULTS_UNTIL_MS)
    this.#look(hosts, clients)
  }

  /** Looks now and then whether everything that must happen has happened. */
  #look(hosts: ReadonlyArray<SimHost>, clients: ReadonlyArray<SimClient>): void {
    const until = Math.max(this.#faulty ? FAULTS_UNTIL_MS : 0, this.#options.scriptMs ?? 0)
    const checkers = this.#checkers
    let [still, records] = [0, 0]
    const look = (): void => {
      const { nowMs } = this.#time
      for (const { node, core } of hosts) {
        if (core !== undefined) checkers.looked(node, core.engine.size(), this.#limits)
      }
      const asked = nowMs > until && clients.every((client) => client.done)
      const quiet = checkers.restless || checkers.records === records
      still = asked && quiet ? still + 1 : 0
      records = checkers.records
      const unlinked = this.#unlinked()
      if (still >= STILL_LOOKS && checkers.missing() === undefined && unlinked === undefined)
        this.#over = true
      else if (nowMs > until + QUIET_MS_MAX) this.#over = true
      else this.#time.after(LOOK_MS, look)
    }
    this.#time.after(LOOK_MS, look)
  }
  #over = false

  #last(hosts: ReadonlyArray<SimHost>): void {
    const checkers = this.#checkers
    while (!this.#over && checkers.failure === undefined && this.#time.next());
    if (checkers.failure !== undefined) return
    for (const { node, core } of this.#durable ? hosts : []) {
      if (!checkers.live.includes(node)) continue
      for (const entry of core?.engine.checkpoint().entries ?? []) {
        if (entry.kind === "installed") checkers.decisions.held(node, entry)
      }
    }
    checkers.conclude()
  }

  /** A Byzantine node in eight is two honest copies of one; the others lie. */
  #hosts(node: NodeId): ReadonlyArray<SimHost> {
    const twins = this.#random.chance(125)
    const random = this.#random.fork()
    if (this.#checkers.isCorrect(node)) return [this.#host(node, this.#network, undefined)]
    if (!twins) return [this.#host(node, this.#network, new Adversary(random))]
    const both = new Twins(this.#network, node, random)
    return [this.#host(node, both.copy(0), undefined), this.#host(node, both.copy(1), undefined)]
  }

  #host(node: NodeId, network: HostNetwork, adversary: Adversary | undefined): SimHost {
    const { spec, runEffect = runEffectIn(Context.empty()), decorate } = this.#options
    const { kills, mayPoison = false } = this.#options
    const random = this.#random.fork()
    // Most clocks are close, some are seconds off; a restart may set a clock back.
    const skewMax = this.#random.chance(125) ? 10_000 : 100
    const disk = new SimDisk(this.#time, random.fork(), diskTiming(this.#random))
    return new SimHost({
      world: this.#world,
      network,
      node,
      system: this.#system,
      spec,
      limits: this.#limits,
      random,
      disk: this.#durable ? disk : undefined,
      checkers: this.#checkers,
      adversary,
      isEffect,
      runEffect,
      decorate: decorate ?? {},
      skewMs: () => random.below(skewMax),
      ...(kills && { kills }),
      mayPoison,
      signs: this.#signs,
      policy: this.#options.policy
    })
  }

  #clients(): ReadonlyArray<SimClient> {
    const { model, choices, clients = 2 + this.#random.below(4), callsPerClient } = this.#options
    return Array.from({ length: clients }, (_, i) => {
      const random = this.#random.fork()
      const wild = this.#faulty
      return new SimClient({
        world: this.#world,
        endpoint: CLIENTS_FROM + i,
        system: this.#system,
        limits: this.#limits,
        random,
        checkers: this.#checkers,
        choices,
        signs: this.#signs,
        skewMs: random.below(200),
        habits: {
          calls: callsPerClient ?? 2 + random.below(7),
          openMax: 1 + random.below(4),
          gapMsMax: 20 + random.below(600),
          equivocates: wild && model === "byzantine" && random.chance(350),
          cancels: wild ? 60 : 0,
          shortDeadlines: wild ? 60 : 0,
          duplicates: wild ? 80 : 0,
          ...this.#options.habits
        }
      })
    })
  }

  #rogue(): RogueClient {
    const { spec, choices, model } = this.#options
    return new RogueClient({
      world: this.#world,
      endpoint: ROGUE,
      system: this.#system,
      limits: this.#limits,
      random: this.#random.fork(),
      checkers: this.#checkers,
      spec,
      choices,
      lies: model === "byzantine"
    })
  }

  #faultOptions(clients: ReadonlyArray<SimClient>): FaultOptions {
    const { members } = this.#system
    const { crash } = this.#options
    const durable = this.#durable
    // Who lies may crash as often as it likes.
    const liars = members.filter((node) => !this.#correct.includes(node))
    return {
      nodes: members,
      clients: clients.map((client) => client.endpoint),
      crashing: crash ? (durable ? members : [...liars, ...this.#forgetting]) : [],
      forgetting: crash && durable ? this.#forgetting : [],
      begunAnew: this.#options.model === "byzantine",
      durable,
      fromMs: FAULTS_FROM_MS,
      untilMs: FAULTS_UNTIL_MS,
      gapMsMax: 100 + this.#random.below(400),
      downMsMax: 100 + this.#random.below(2000),
      links: this.#links !== undefined
    }
  }
}
