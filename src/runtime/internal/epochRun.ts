/** One epoch of a group at this node: its engine, log, door and Effects, from open to end. */
import { Effect, type Context } from "effect"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import { STORE_ID_BYTES } from "../../link/groupHello.ts"
import { LogCore } from "../../link/logCore.ts"
import type { Disk } from "../../link/ports.ts"
import type { EpochStanding } from "../../server/epoch.ts"
import { ProtocolInvalid } from "../../server/handlers.ts"
import type { Carrier } from "../Carrier.ts"
import { ReplicaFailed } from "../Errors.ts"
import type { Group } from "../Group.ts"
import { GroupNode } from "../GroupNode.ts"
import type { Member } from "../Member.ts"
import { penaltyOptions } from "../Penalties.ts"
import type { Protocol } from "../Service.ts"
import type { SharedHost } from "../SharedHost.ts"
import { frozen } from "./frozen.ts"
import { observeNode, type Observers } from "./observed.ts"
import { makeClock, randomBytes } from "./random.ts"
import { Runs } from "./runs.ts"
import { Strangers } from "./strangers.ts"
import { twice } from "./twice.ts"

/** What a node is made of, whichever the epoch. */
export interface NodeParts {
  readonly protocols: ReadonlyArray<Protocol<any, any>>
  readonly member: Member["Service"]
  readonly carrier: Carrier["Service"]
  readonly development: boolean
  readonly observers: Observers
  readonly limits: Limits
  readonly context: Context.Context<never>
  readonly place: SharedHost["Service"]
}

export interface EpochRunOptions {
  readonly parts: NodeParts
  readonly group: Group["Service"]
  /** Absent in a group without durability. */
  readonly disk: Disk | undefined
  /** A store is made where there is none. */
  readonly init: boolean
  readonly heard: (of: NodeId, standing: EpochStanding) => void
  /** The member has no such epoch any more. */
  readonly gone: (member: NodeId) => void
  /** Whether it takes calls, or soon refused them for good: it is no longer announced. */
  readonly answers: () => boolean
  readonly halted: (reason: string) => void
}

export class EpochRun {
  readonly node: GroupNode
  readonly group: Group["Service"]
  readonly log: LogCore | undefined
  readonly disk: Disk | undefined
  private readonly options: EpochRunOptions
  private readonly strangers: Strangers
  private readonly runs: Runs
  private readonly unobserve: () => void
  private leave: (() => void) | undefined

  /** @throws ReplicaFailed */
  constructor(options: EpochRunOptions) {
    this.options = options
    const { parts, group } = options
    const { protocols, member, carrier, observers, limits } = parts
    this.group = group
    this.disk = options.disk
    this.log = openLog(options)
    this.runs = new Runs(parts.context)
    const observed = observeNode(observers, {
      group: group.name,
      epoch: group.epoch,
      limits,
      self: member.id,
      protocols: protocols.map(({ spec }) => (parts.development ? twice(frozen(spec)) : spec))
    })
    this.node = this.makeNode(observed)
    this.unobserve = observed.begin(this.node)
    this.strangers = new Strangers({
      ...{ node: this.node, group, self: member.id, carrier, limits, observers },
      protocols: protocols.map(({ spec }) => spec)
    })
  }

  /** Opens the address to it; it takes part from now on. Fails with what is wrong with that. */
  readonly listen: Effect.Effect<void, ReplicaFailed> = Effect.suspend(() => {
    const { parts, group, answers } = this.options
    const { place, member, protocols } = parts
    const opened = place.open({
      group,
      answers,
      peer: (ends) => this.node.ways.peer(ends),
      services: protocols.map(({ descriptor }) => descriptor),
      unary: (call, done) => this.strangers.call(call, done),
      greet: (greeting) => this.strangers.greet(greeting),
      fetch: this.node.fetches.serve
    })
    return Effect.mapBoth(opened, {
      onSuccess: (leave) => {
        this.leave = leave
        this.node.start()
      },
      onFailure: (what) =>
        new ReplicaFailed({
          where: `node ${member.id}, address ${place.address}`,
          what,
          remedy: "stop what uses the address, or change it in the group file of every member"
        })
    })
  })

  /** Takes nothing new from now on. */
  refuse(): void {
    this.node.refuse()
    this.strangers.close()
  }

  /** Lets nothing out any more, and tells its channels why. */
  end(why?: Goodbye): void {
    this.refuse()
    this.node.stop(why)
    this.leave?.()
    this.unobserve()
    if (this.disk !== this.options.parts.member.disk) this.disk?.close()
  }

  /** Interrupts its Effects and waits for their ends. */
  get stopRuns(): Effect.Effect<void> {
    return this.runs.stop
  }
  /** Something waits for the disk. */
  get writing(): boolean {
    const { log } = this
    return log !== undefined && log.failure === undefined && log.durable < log.appended
  }

  private makeNode({ protocols, watch }: ReturnType<typeof observeNode>): GroupNode {
    const { parts, group, heard, gone, halted } = this.options
    const { member, carrier, limits, place } = parts
    const where = `node ${member.id} of group "${group.name}"`
    const { signer, verifier } = member
    const { digest, keys } = group
    const proofs = signer && verifier && { scope: { digest, epoch: 0 }, keys, signer, verifier }
    let node: GroupNode
    try {
      node = new GroupNode({
        host: place.host,
        group,
        self: member.id,
        ...{ protocols, watch, limits, carrier, heard, gone, halted },
        clock: makeClock(),
        sha256: member.sha256,
        log: this.log,
        storeId: this.log?.storeId ?? randomBytes(STORE_ID_BYTES),
        ...(proofs && { proofs }),
        penalties: penaltyOptions(member.penalties ?? {}, group.links !== "plaintext"),
        isEffect: Effect.isEffect,
        run: (token, effect, ended) => this.runs.start(token, effect, ended),
        interrupt: (token) => this.runs.interrupt(token)
      })
    } catch (error) {
      throw protocolFailed(error, where)
    }
    const invalid = node.boot()
    if (invalid !== undefined) throw new ReplicaFailed(invalid)
    return node
  }
}

/** @throws what is no {@link ProtocolInvalid} */
export const protocolFailed = (error: unknown, where: string): ReplicaFailed => {
  if (!(error instanceof ProtocolInvalid)) throw error
  return new ReplicaFailed({ where, what: error.message, remedy: "change the protocol" })
}

const openLog = ({ group, parts, disk, init }: EpochRunOptions): LogCore | undefined => {
  if (!group.durable || disk === undefined) return undefined
  const log = LogCore.open({
    ...{ disk, init, limits: parts.limits },
    storeId: randomBytes(STORE_ID_BYTES),
    // The name and not the digest: addresses, f and members may change, words stay.
    owner: `node ${parts.member.id} of group "${group.name}"`
  })
  if (log instanceof LogCore) return log
  throw new ReplicaFailed(log)
}
