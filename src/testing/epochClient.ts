import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { CallCore } from "../link/callCore.ts"
import type { CallResult, CallSpec } from "../link/callTypes.ts"
import { ClientEpochs } from "../link/clientEpochs.ts"
import { decodeMessage, encodeMessage } from "../link/envelope.ts"
import type { EpochPlan } from "../link/epochs.ts"
import { matching } from "../quorum/Policy.ts"
import { sessionKey } from "../server/laneKey.ts"
import { type ClientMessage, methodId } from "../server/Message.ts"
import type { SimCall } from "./Checkers.ts"
import { callKey } from "./checkAnswers.ts"
import type { EpochCheckers } from "./checkEpochs.ts"
import type { SimEpoch } from "./epochNode.ts"
import type { CallChoice } from "./simClient.ts"
import { EPOCH_MS, type World } from "./world.ts"

/** A call of a client, whichever epochs it came to. */
export interface EpochCall {
  readonly number: number
  /** It is made of one story, and its client waits for the answer. */
  demanded: boolean
  result: CallResult<Uint8Array> | undefined
  /** As each epoch knows it that it was sent in. */
  readonly parts: Map<number, SimCall>
}

export interface EpochClientOptions {
  readonly world: Pick<World, "time" | "happened">
  readonly endpoint: number
  readonly epochs: ReadonlyMap<number, SimEpoch>
  readonly read: (description: Uint8Array) => EpochPlan | undefined
  readonly checkers: ReadonlyMap<number, EpochCheckers>
  readonly limits: Limits
  readonly random: Prng
  readonly choices: ReadonlyArray<CallChoice>
  readonly calls: Array<EpochCall>
  /** How many it makes, and until when. */
  readonly count: number
  readonly untilMs: number
  /** Tells half of the nodes another request under the same number. */
  readonly equivocates: boolean
  /** Whether a link of the epoch is refused there. */
  readonly hasEnded: (number: number, node: NodeId) => boolean
  readonly fail: (what: string) => void
}

/** A client of a group whose members change: production's call tables over simulated networks. */
export class EpochClient {
  readonly endpoint: number
  readonly #options: EpochClientOptions
  readonly #cores = new Map<number, CallCore>()
  readonly #epochs: ClientEpochs
  readonly #byBody = new WeakMap<Uint8Array, EpochCall>()
  #left: number
  #dead = false

  constructor(options: EpochClientOptions) {
    this.#options = options
    this.endpoint = options.endpoint
    this.#left = options.count
    this.#epochs = new ClientEpochs(options.epochs.get(1)!.plan, {
      clock: { nowMs: () => this.#nowMs() },
      read: options.read,
      open: (plan) => this.#open(plan),
      close: (number) => {
        this.#cores.delete(number)
        options.epochs.get(number)!.network.detach(this.endpoint)
      }
    })
  }

  get done(): boolean {
    return this.#dead || this.#left === 0
  }
  /** Epochs that it holds calls or links in. */
  get numbers(): ReadonlyArray<number> {
    return this.#epochs.numbers
  }

  start(): void {
    const { world, random, count, untilMs, limits } = this.#options
    const gapMsMax = Math.ceil((2 * untilMs) / count)
    const more = (): void => {
      if (this.done) return
      this.#call()
      world.time.after(1 + random.below(gapMsMax), more)
    }
    world.time.after(random.below(gapMsMax), more)
    const tick = (): void => {
      if (this.#dead) return
      for (const number of this.#epochs.numbers) this.#refused(number)
      this.#epochs.tick()
      world.time.after(limits.tickMs, tick)
    }
    world.time.after(limits.tickMs, tick)
  }

  die(): void {
    this.#dead = true
    for (const { plan, network } of this.#options.epochs.values()) {
      if (this.#cores.has(plan.number)) network.detach(this.endpoint)
    }
    for (const core of this.#cores.values()) core.close()
  }

  #refused(number: number): void {
    const { epochs, hasEnded } = this.#options
    for (const node of epochs.get(number)!.plan.system.members) {
      if (hasEnded(number, node)) this.#epochs.gone(number, node)
    }
  }

  #nowMs(): number {
    return EPOCH_MS + this.#options.world.time.nowMs
  }

  #open({ number, system }: EpochPlan): CallCore {
    const { world, limits, random, epochs } = this.#options
    const { network } = epochs.get(number)!
    const core: CallCore = new CallCore({
      system,
      limits,
      ports: {
        clock: { nowMs: () => this.#nowMs() },
        sessionKey: (openedMs) => sessionKey(openedMs, random.bytes(16)),
        send: (node, message) => this.#send(number, node, message),
        random: (below) => random.below(below),
        wake: (atMs) =>
          world.time.after(Math.max(0, atMs - this.#nowMs()), () => {
            if (this.#cores.get(number) === core) core.tick()
          })
      }
    })
    this.#cores.set(number, core)
    network.attach(this.endpoint, {
      hello: () => ({ storeId: "", horizonMs: 0 }),
      opened: (node, hello) => core.linkUp(node, hello.horizonMs),
      closed: (node) => core.linkDown(node, "the connection broke"),
      receive: (node, bytes) => {
        const reply = decodeMessage(bytes, 0, bytes.length)
        if (reply?.kind === "reply") this.#epochs.onReply(number, node, reply)
        else this.#options.fail(`node ${node} sent no reply to a client`)
      }
    })
    return core
  }

  #call(): void {
    const { world, choices, random, calls, limits, equivocates } = this.#options
    const [choice, other] = [random.pick(choices), random.pick(choices)]
    this.#left--
    const parts = new Map<number, SimCall>()
    const call: EpochCall = {
      number: calls.length + 1,
      demanded: !equivocates,
      result: undefined,
      parts
    }
    calls.push(call)
    const bodies = [choice.body.slice(), ...(equivocates ? [other.body.slice()] : [])]
    for (const body of bodies) this.#byBody.set(body, call)
    world.happened("call", this.endpoint, call.number)
    this.#epochs.start(({ number, system }): CallSpec<Uint8Array, Uint8Array> => {
      if (!parts.has(number)) parts.set(number, this.#part(call.number, choice))
      return {
        method: methodId(choice.method.fullName),
        call: choice.method.call,
        body: (node) => bodies[node % bodies.length],
        targets: system.members,
        decode: (body) => body,
        policy: matching((body: Uint8Array) => body),
        deadlineMs: limits.callTimeoutMsMax,
        done: (result) => this.#done(call, number, result)
      }
    })
  }

  /** Whether it must be answered is asked of the call, not of an epoch. */
  #part(number: number, choice: CallChoice): SimCall {
    const { equivocates } = this.#options
    return {
      number,
      client: this.endpoint,
      method: choice.method,
      honest: !equivocates,
      key: undefined,
      demanded: false,
      result: undefined,
      calledMs: 0,
      endedMs: 0
    }
  }

  #done(call: EpochCall, number: number, result: CallResult<Uint8Array>): void {
    const { world, checkers, fail } = this.#options
    if (this.#dead) return
    world.happened(result.ok ? `answered in ${number}` : result.code, this.endpoint, call.number)
    if (call.result !== undefined) fail(`call ${call.number} ended twice`)
    call.result = result
    checkers.get(number)!.ended(call.parts.get(number)!, result)
  }

  #send(number: number, node: NodeId, message: ClientMessage): boolean {
    const { epochs, checkers, fail } = this.#options
    if (message.kind === "request") {
      const part = this.#byBody.get(message.body)?.parts.get(number)
      if (part === undefined) fail("the call table sent a request that nobody made")
      else checkers.get(number)!.sentCall(part, callKey(message.session, message.index))
    }
    return epochs
      .get(number)!
      .network.send(this.endpoint, node, encodeMessage(message), message.kind)
  }
}
