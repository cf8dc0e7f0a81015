/** The epochs of a group at one node: what src/link/epochs.ts decides, done on a host. */
import { Effect } from "effect"
import { bytesEqual, hexOf } from "../../base/bytes.ts"
import type { NodeId } from "../../base/NodeId.ts"
import { type EpochPlan, Epochs } from "../../link/epochs.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { EpochStanding } from "../../server/epoch.ts"
import { GroupInvalid, ReplicaFailed } from "../Errors.ts"
import { type Group, type GroupConfig, parseGroup } from "../Group.ts"
import type { EpochHere, Operator } from "../Operator.ts"
import { endedPort } from "./endedPort.ts"
import { type GroupPlan, planOf, readPlan } from "./epochPlan.ts"
import { EpochRun, type NodeParts } from "./epochRun.ts"
import type { EpochStore } from "./epochStore.ts"
import { makeClock } from "./random.ts"

export interface ReplicaEpochsOptions {
  readonly parts: NodeParts
  /** Of the group file. */
  readonly group: Group["Service"]
  /** Absent where the node has no disk. */
  readonly store: EpochStore | undefined
  /** Why this node cannot be a member of such an epoch. */
  readonly problem: (group: Group["Service"]) => ReplicaFailed | undefined
  readonly report: (what: string) => void
  readonly halted: (reason: string) => void
}

/** @throws ReplicaFailed, from its constructor */
export class ReplicaEpochs implements Operator {
  /** Those that live here, by number. */
  readonly runs = new Map<number, EpochRun>()
  private readonly options: ReplicaEpochsOptions
  private readonly self: NodeId
  private readonly where: string
  private readonly core: Epochs
  /** By the operator, in this life of the process. */
  private readonly announced = new Map<number, GroupPlan>()
  private starting = true
  private untick: () => void = () => {}
  /** Takes back what the host says for epochs that ended, the oldest first. */
  private readonly ended: Array<() => void> = []

  constructor(options: ReplicaEpochsOptions) {
    this.options = options
    const { parts, group, store } = options
    this.self = parts.member.id
    this.where = `node ${this.self} of group "${group.name}"`
    const ports = {
      clock: makeClock(),
      read: (description: Uint8Array) => readPlan(description, group.name),
      // All plans that the coordinator has come from here, or from `read`.
      open: (plan: EpochPlan) => this.open(plan as GroupPlan),
      advance: (number: number, to: EpochStanding) => this.runs.get(number)?.node.core.epoch(to),
      isUp: (number: number, member: NodeId) => this.linked(number, member),
      isIdle: (number: number) => this.runs.get(number)?.node.core.idle ?? true,
      drop: (number: number) => this.drop(number),
      report: options.report
    }
    this.core = new Epochs(this.self, parts.limits, ports, store?.ended ?? 0)
    for (const plan of this.plans()) this.core.announce(plan)
    this.starting = false
  }

  /** All of them take part from now on. */
  readonly start: Effect.Effect<void, ReplicaFailed> = Effect.gen(
    function* (this: ReplicaEpochs) {
      for (const run of this.runs.values()) yield* run.listen
      const { host } = this.options.parts.place
      this.untick = host.every(() => this.core.tick())
      for (const digest of this.options.store?.digests ?? []) this.offerEnded(digest)
    }.bind(this)
  )

  /** Takes nothing new from now on. */
  refuse(): void {
    for (const run of this.runs.values()) run.refuse()
  }
  /** Ends their channels, telling why, and lets nothing out any more. */
  stop(why?: Goodbye): void {
    this.untick()
    for (const leave of this.ended.splice(0)) leave()
    for (const run of this.runs.values()) run.end(why)
  }

  readonly announce = (config: GroupConfig): Effect.Effect<void, GroupInvalid | ReplicaFailed> =>
    Effect.gen(
      function* (this: ReplicaEpochs) {
        const group = parseGroup(config, "the next epoch")
        if (group instanceof GroupInvalid) return yield* group
        const plan = planOf(group)
        const problem = this.problemOf(plan)
        if (problem !== undefined) return yield* problem
        this.announced.set(plan.number, plan)
        this.core.announce(plan)
        this.options.report(`epoch ${plan.number} is announced here`)
      }.bind(this)
    )

  readonly activate = (epoch: number): Effect.Effect<void, ReplicaFailed> =>
    Effect.suspend(() => {
      if (!this.announced.has(epoch) && !this.runs.has(epoch)) {
        const where = `${this.where}, epoch ${epoch}`
        return new ReplicaFailed({
          where,
          what: "it is not announced",
          remedy: "announce it first"
        })
      }
      this.core.activate(epoch)
      return Effect.void
    })

  readonly epochs = (): ReadonlyArray<EpochHere> =>
    this.core.numbers.map((epoch) => {
      const members = this.runs.get(epoch)?.group.system.members ?? []
      const linked = members.filter((member) => this.linked(epoch, member))
      return { epoch, state: this.core.stateOf(epoch)!, linked }
    })

  private problemOf({ number, group, description }: GroupPlan): ReplicaFailed | undefined {
    const { parts, group: ours, store, problem } = this.options
    const fail = (what: string, remedy: string) =>
      new ReplicaFailed({ where: `${this.where}, epoch ${number}`, what, remedy })
    if (group.name !== ours.name) {
      return fail(`the file is of group "${group.name}"`, "announce a file of this group")
    }
    if (number <= (store?.ended ?? 0)) {
      return fail("it has ended here", "give the next epoch a higher number")
    }
    const before = this.runs.get(number) ?? this.announced.get(number)
    if (before !== undefined && !bytesEqual(planOf(before.group).description, description)) {
      return fail("its file differs from the one before", "give other members another number")
    }
    const laned = parts.protocols.find(
      ({ spec }) => Object.keys(spec.world?.lanes ?? {}).length > 0
    )
    if (laned !== undefined) {
      const what = `${laned.spec.name} has lanes, which stay with their members in this release`
      return fail(what, "start a new group under another name")
    }
    if (!ours.durable || !group.durable || store?.keepsSeveral !== true) {
      return fail(
        "a group that keeps nothing has one epoch",
        'write "durable": true from the first'
      )
    }
    if (group.transport === "unary" || ours.transport === "unary") {
      return fail('members that use transport "unary" have one epoch', 'use transport "link"')
    }
    if (description.length > parts.limits.bodyBytesMax) {
      const most = `${parts.limits.bodyBytesMax} bytes`
      return fail(`its file has more than ${most}`, "list fewer members")
    }
    if (group.system.rank(this.self) < 0) return undefined
    const [address, key] = [group.addresses.get(this.self), group.keys.get(this.self)]
    const { signer } = parts.member
    if (key !== undefined && signer !== undefined && !bytesEqual(key, signer.publicKey)) {
      const what = `it has key ${hexOf(key)} for this node, whose key is another`
      return fail(what, `write "key": "${hexOf(signer.publicKey)}"`)
    }
    for (const { group: live } of this.runs.values()) {
      if (live.addresses.get(this.self) === address) continue
      const what = `it has this node at ${address}, not ${live.addresses.get(this.self)}`
      return fail(what, "a member keeps its address from epoch to epoch")
    }
    return problem(group)
  }

  /** What this process is to take part in, by its folder and the group file. */
  private plans(): ReadonlyArray<GroupPlan> {
    const { group, store } = this.options
    const file = planOf(group)
    const ended = store?.ended ?? 0
    const others = (store?.live ?? []).filter(({ number }) => number !== file.number)
    if (file.number > ended) return [...others, file].sort((a, b) => a.number - b.number)
    if (others.length > 0) return others
    throw new ReplicaFailed({
      where: this.where,
      what: `epoch ${file.number} has ended here, and the data folder holds no later one`,
      remedy: "start it with the newest group file, or not at all where that has no such node"
    })
  }

  private linked(number: number, member: NodeId): boolean {
    return this.runs.get(number)?.node.channelTo(member) !== undefined
  }

  /** @throws ReplicaFailed, while the process starts */
  private open(plan: GroupPlan): void {
    try {
      const run = this.make(plan)
      this.runs.set(plan.number, run)
      if (!this.starting) Effect.runSync(run.listen)
    } catch (error) {
      if (this.starting) throw error
      this.options.halted(error instanceof Error ? error.message : String(error))
    }
  }

  private make(plan: GroupPlan): EpochRun {
    const { parts, store } = this.options
    const { number, group } = plan
    const known = store?.live.some((live) => live.number === number) === true
    // The operator vouches for the file's; of a later one this node's folder knows nothing.
    const init = this.starting ? parts.member.init && !known : true
    const run = new EpochRun({
      ...{ parts, group, init, halted: this.options.halted },
      disk: store === undefined ? parts.member.disk : this.diskOf(number, store),
      heard: (of, standing) => this.heard(number, of, standing),
      gone: (member) => this.core.gone(number, member),
      answers: () => this.core.stateOf(number) !== "announced"
    })
    this.keep(plan)
    return run
  }

  private heard(number: number, of: NodeId, standing: EpochStanding): void {
    this.core.heard(number, of, standing)
    if (of === this.self) this.options.report(`epoch ${number} is ${standing.state} here`)
  }

  private diskOf(number: number, store: EpochStore) {
    return this.told(() => store.diskOf(number))
  }

  /** The store is there, and nothing was said out of it yet. */
  private keep(plan: GroupPlan): void {
    const { store } = this.options
    // A folder of the first epoch alone stays as folders were before there were others.
    if (store === undefined || (this.starting && plan.number === 1 && store.live.length === 0)) {
      return
    }
    const first = this.runs.get(1)
    const kept = store.live.some(({ number }) => number === 1)
    this.told(() => {
      if (first !== undefined && !kept) store.add(planOf(first.group))
      store.add(plan)
    })
  }

  /** The epoch has ended. What was said of it is durable before anything of it goes. */
  private drop(number: number): void {
    const { store, report } = this.options
    const run = this.runs.get(number)!
    try {
      store?.end(planOf(run.group), (failure) => failure && report(failure))
    } catch (thrown) {
      return this.options.halted(thrown instanceof Error ? thrown.message : String(thrown))
    }
    this.runs.delete(number)
    for (const old of this.announced.keys()) if (old <= number) this.announced.delete(old)
    run.end({ code: "epoch_gone", detail: `epoch ${number} has ended here` })
    Effect.runFork(run.stopRuns)
    this.offerEnded(hexOf(run.group.digest))
    report(this.runs.size > 0 ? `epoch ${number} has ended` : `epoch ${number} has ended: ${LAST}`)
  }

  /** Who still dials it is told. */
  private offerEnded(digest: string): void {
    const { group, parts } = this.options
    const port = endedPort({ group: group.name, self: this.self, digest })
    this.ended.push(parts.place.host.links.offer(group.name, port))
    if (this.ended.length > parts.limits.epochsMax) this.ended.shift()?.()
  }

  private told<A>(work: () => A): A {
    try {
      return work()
    } catch (thrown) {
      const what = thrown instanceof Error ? thrown.message : String(thrown)
      const remedy = "check the disk, and the rights of this user on it"
      throw new ReplicaFailed({ where: this.where, what, remedy })
    }
  }
}

const LAST = "this node is a member of no other, and may be stopped"
