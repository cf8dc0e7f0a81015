/** A client of one group: call tables over links to all members. Plain code; a scope owns it. */
import { LIMITS, type Limits } from "../../base/limits.ts"
import type { CallCore } from "../../link/callCore.ts"
import type { CallPort, CallSpec } from "../../link/callTypes.ts"
import { ClientEpochs } from "../../link/clientEpochs.ts"
import type { EpochPlan } from "../../link/epochs.ts"
import { HostLinks } from "../../link/hostLinks.ts"
import { KEY_BYTES } from "../../link/proofs.ts"
import type { System } from "../../quorum/QuorumSystem.ts"
import type { MethodId } from "../../server/Message.ts"
import type { Carrier } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import { type ClientParts, EpochCalls } from "./epochCalls.ts"
import { type GroupPlan, planOf, readPlan } from "./epochPlan.ts"
import { CLIENT_ENDS } from "./linkChannel.ts"
import { NOBODY, type Observers } from "./observed.ts"
import { makeClock, makeSteadyClock, randomBytes } from "./random.ts"
import { Turn } from "./turn.ts"

export interface GroupClientOptions {
  readonly group: Group["Service"]
  readonly carrier: Carrier["Service"]
  readonly limits?: Limits
  /** Absent: nobody looks on. */
  readonly observers?: Observers
  /** False: it calls in the group's epoch alone, and in none that follows. */
  readonly follows?: boolean
}

export class GroupClient implements CallPort {
  private readonly turn = new Turn(() => this.links.flush())
  private readonly links: HostLinks
  private readonly parts: ClientParts
  private readonly epochs: ClientEpochs
  /** By number: those that still have calls, and the newest. */
  private readonly live = new Map<number, EpochCalls>()
  /** Methods whose requests are signed, of those called so far. */
  private readonly signed = new Set<MethodId>()
  /** "package.Service/Method" of the methods called so far. */
  private readonly names = new Map<MethodId, string>()
  private readonly ticker: ReturnType<typeof setInterval>

  constructor(options: GroupClientOptions) {
    const { group, carrier, limits = LIMITS, observers = NOBODY, follows = true } = options
    const signer = carrier.makeKey?.()
    this.links = new HostLinks({
      limits,
      clock: makeSteadyClock(),
      random: (below) => Math.floor(Math.random() * below),
      dial: (address, events) => carrier.dial(address, events),
      wake: () => this.turn.wake(),
      broke: () => {}
    })
    const clock = makeClock()
    this.parts = {
      ...{ carrier, limits, clock, observers, signer, links: this.links },
      publicKey: signer?.publicKey ?? randomBytes(KEY_BYTES),
      isSigned: (method) => this.signed.has(method),
      methodName: (method) => this.names.get(method)
    }
    this.epochs = new ClientEpochs(planOf(group), {
      clock,
      // Calls outside links do not say of which epoch they are.
      read: (text) =>
        follows && carrier.unary === undefined ? readPlan(text, group.name) : undefined,
      // All plans come from here, or from `read`.
      open: (plan) => this.open(plan as GroupPlan),
      close: (number) => this.letGo(number)
    })
    this.ticker = setInterval(() => this.tick(), limits.tickMs)
  }

  /** Of the newest epoch. */
  get system(): System {
    return this.epochs.newest.system
  }
  /** Of the newest epoch. */
  get core(): CallCore {
    return this.live.get(this.epochs.newest.number)!.core
  }

  /** What its call tables hold together. */
  size(): Record<string, number> {
    const sum: Record<string, number> = {}
    for (const { core } of this.live.values()) {
      for (const [what, count] of Object.entries(core.size())) sum[what] = (sum[what] ?? 0) + count
    }
    return sum
  }

  /** `name`: "package.Service/Method" of `spec.method`, which the unary transport needs. */
  start<R, A>(spec: CallSpec<R, A> & { readonly name?: string }): () => void {
    if (spec.name !== undefined) this.names.set(spec.method, spec.name)
    if (spec.signed === true) this.signed.add(spec.method)
    const { system } = this
    return this.epochs.start((plan) => inEpoch(spec, system, plan))
  }

  /** Fails what is open with `cancelled` and lets go of everything. */
  close(): void {
    clearInterval(this.ticker)
    for (const [number, { core }] of this.live) {
      core.close()
      this.letGo(number)
    }
    this.links.close(CLIENT_ENDS)
  }

  private open({ number, group }: GroupPlan): CallCore {
    const calls: EpochCalls = new EpochCalls(group, this.parts, (node, reply) =>
      this.epochs.onReply(number, node, reply)
    )
    this.live.set(number, calls)
    return calls.core
  }
  private letGo(number: number): void {
    this.live.get(number)?.close()
    this.live.delete(number)
  }

  private tick(): void {
    this.links.tick()
    for (const calls of this.live.values()) calls.tick()
    this.epochs.tick()
  }
}

/**
 * The call as it was made for `system`, for the members of an epoch: a call to the whole group goes
 * to the whole group, one to certain nodes to these or to none.
 */
const inEpoch = <R, A>(
  spec: CallSpec<R, A>,
  system: System,
  plan: EpochPlan
): CallSpec<R, A> | undefined => {
  if (plan.system === system) return spec
  if (spec.targets === system.members) return { ...spec, targets: plan.system.members }
  return spec.targets.every((node) => plan.system.rank(node) >= 0) ? spec : undefined
}
