import type { Limits } from "../base/limits.ts"
import type { Prng } from "../base/prng.ts"
import { CallCore } from "../link/callCore.ts"
import type { CallResult } from "../link/callTypes.ts"
import type { ClientKey } from "../link/clientKey.ts"
import { decodeMessage, encodeMessage } from "../link/envelope.ts"
import type { ClientTap } from "../link/tapped.ts"
import { all, first, matching, type Policy, quorum } from "../quorum/Policy.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { type LaneKey, sessionKey } from "../server/laneKey.ts"
import { type ClientMessage, type Message, methodId } from "../server/Message.ts"
import type { MethodSpec } from "../server/Protocol.ts"
import type { Checkers, SimCall } from "./Checkers.ts"
import { callKey } from "./checkAnswers.ts"
import type { Endpoint } from "./simNetwork.ts"
import type { SimProofs } from "./simProofs.ts"
import { tappedClient } from "./simTap.ts"
import { EPOCH_MS, type World } from "./world.ts"

/** A call that clients may make. */
export interface CallChoice {
  readonly method: MethodSpec
  /** The request, encoded. */
  readonly body: Uint8Array
}

/** What a client does beside waiting for its answers. Chances are per mille of calls or copies. */
export interface ClientHabits {
  /** Calls it makes. */
  readonly calls: number
  /** At once. */
  readonly openMax: number
  /** Between two calls, at most. */
  readonly gapMsMax: number
  /** Tells half of the nodes another request under the same number. */
  readonly equivocates: boolean
  readonly cancels: number
  readonly shortDeadlines: number
  /** Sends a copy again, byte for byte, up to 2 s later, also after the answer. */
  readonly duplicates: number
}

export interface SimClientOptions {
  readonly world: World
  readonly endpoint: Endpoint
  readonly system: System
  readonly limits: Limits
  readonly random: Prng
  readonly checkers: Checkers
  readonly choices: ReadonlyArray<CallChoice>
  /** Where methods are signed. */
  readonly signs: SimProofs | undefined
  readonly habits: ClientHabits
  readonly skewMs: number
}

/** A client: production's call table over the simulated network. */
export class SimClient {
  readonly endpoint: Endpoint
  readonly #options: SimClientOptions
  readonly #key: ClientKey | undefined
  readonly #core: CallCore
  /** The calls of the request bytes handed to the call table. */
  readonly #byBody = new WeakMap<Uint8Array, SimCall>()
  readonly #equivocates: boolean
  readonly #tap: ClientTap | undefined
  #dead = false
  #left: number
  #open = 0
  #next: number

  constructor(options: SimClientOptions) {
    this.#options = options
    const { world, endpoint, system, limits, random, skewMs, habits, choices } = options
    this.endpoint = endpoint
    this.#left = habits.calls
    this.#equivocates = habits.equivocates
    this.#tap = tappedClient(world, endpoint)
    this.#next = random.below(choices.length)
    this.#key = options.signs?.clientKey(`client ${endpoint}`, random)
    const nowMs = (): number => EPOCH_MS + skewMs + world.time.nowMs
    this.#core = new CallCore({
      system,
      limits,
      ports: {
        clock: { nowMs },
        sessionKey: (openedMs): LaneKey =>
          this.#key?.session(openedMs) ?? sessionKey(openedMs, random.bytes(16)),
        send: (node, message) => this.#send(node, message),
        random: (below) => random.below(below),
        watch: this.#tap,
        wake: (atMs) =>
          world.time.after(Math.max(0, atMs - nowMs()), () => {
            if (!this.#dead) this.#core.tick()
          })
      }
    })
  }

  get alive(): boolean {
    return !this.#dead
  }
  /** It has made all calls that count; whether they are answered its {@link SimCall}s say. */
  get done(): boolean {
    return this.#dead || this.#equivocates || this.#left === 0
  }

  start(delayMs: number): void {
    const { world, system, endpoint, random, habits } = this.#options
    world.network.attach(endpoint, {
      hello: () => ({ storeId: "", horizonMs: 0 }),
      opened: (node, hello) => {
        this.#tap?.link("up", node)
        this.#core.linkUp(node, hello.horizonMs)
      },
      closed: (node) => {
        this.#tap?.link("down", node)
        this.#core.linkDown(node, "the connection broke")
      },
      receive: (node, bytes) => this.#receive(node, bytes),
      took: (node, message) => this.#took(node, message)
    })
    for (const node of system.members) world.network.join(endpoint, node)
    const more = (): void => {
      if (this.#dead || this.#left === 0) return
      if (this.#open < habits.openMax) this.#call()
      world.time.after(1 + random.below(habits.gapMsMax), more)
    }
    world.time.after(delayMs, more)
  }

  /** The process ends; nobody waits for its calls any more. */
  die(): void {
    if (this.#dead) return
    const { world, checkers, endpoint } = this.#options
    world.happened("client dies", endpoint, this.#open)
    this.#dead = true
    for (const call of checkers.calls) if (call.client === endpoint) call.demanded = false
    world.network.detach(endpoint)
    this.#core.close()
  }

  #call(): void {
    const { world, checkers, choices, habits, random, system, limits, endpoint } = this.#options
    const choice = choices[this.#next++ % choices.length]!
    this.#left--
    this.#open++
    const hurried = random.chance(habits.shortDeadlines)
    const cancelled = random.chance(habits.cancels)
    const call: SimCall = {
      number: checkers.calls.length + 1,
      client: endpoint,
      method: choice.method,
      honest: !this.#equivocates,
      key: undefined,
      demanded: !hurried && !cancelled && !this.#equivocates,
      result: undefined,
      calledMs: world.time.nowMs,
      endedMs: 0
    }
    checkers.calls.push(call)
    const bodies = this.#bodies(choice)
    for (const body of bodies) this.#byBody.set(body, call)
    world.happened("call", endpoint, call.number)
    const method = methodId(choice.method.fullName)
    const id = this.#core.start<Uint8Array, Uint8Array>({
      method,
      name: choice.method.fullName,
      call: choice.method.call,
      body: (node) => bodies[node % bodies.length],
      targets: system.members,
      decode: (body) => body,
      policy: policyOf(choice.method),
      deadlineMs: hurried ? 20 + random.below(1000) : limits.callTimeoutMsMax,
      done: (result) => this.#done(call, result)
    })
    if (cancelled) {
      world.time.after(random.below(600), () => {
        if (this.#dead || call.result !== undefined) return
        this.#open--
        this.#core.cancel(id)
      })
    }
  }

  /** One for all nodes, or one for each half of them. */
  #bodies(choice: CallChoice): ReadonlyArray<Uint8Array> {
    const honest = choice.body.slice()
    if (!this.#equivocates) return [honest]
    const others = this.#options.choices.filter((other) => other.method === choice.method)
    return [honest, this.#options.random.pick(others).body.slice()]
  }

  #done(call: SimCall, result: CallResult<Uint8Array>): void {
    const { world, checkers, endpoint } = this.#options
    this.#open--
    world.happened(result.ok ? "answered" : result.code, endpoint, call.number)
    checkers.ended(call, result)
  }

  #send(node: number, message: ClientMessage): boolean {
    const { world, checkers, habits, random } = this.#options
    if (message.kind === "request") {
      const call = this.#byBody.get(message.body)
      if (call === undefined) checkers.fail("the call table sent a request that nobody made")
      else checkers.sentCall(call, callKey(message.session, message.index))
    }
    const { signs } = this.#options
    const said = this.#key === undefined ? message : signs!.proven(this.#key, message)
    const bytes = encodeMessage(said)
    if (random.chance(habits.duplicates)) {
      world.time.after(random.below(2000), () => {
        if (!this.#dead) world.network.send(this.endpoint, node, bytes, message.kind)
      })
    }
    const taken = world.network.send(this.endpoint, node, bytes, message.kind)
    if (taken) this.#tap?.sent(node, message)
    return taken
  }

  #receive(node: number, bytes: Uint8Array): void {
    this.#options.world.received(node, this.endpoint, bytes)
    this.#took(node, decodeMessage(bytes, 0, bytes.length))
  }

  #took(node: number, reply: Message | undefined): void {
    const { checkers } = this.#options
    if (reply?.kind !== "reply") return checkers.fail(`node ${node} sent no reply to a client`)
    this.#tap?.received(node, reply)
    this.#core.onReply(node, reply)
  }
}

/** What production's default is: of one node, of one correct node, of a quorum. */
const policyOf = (method: MethodSpec): Policy<Uint8Array, Uint8Array> => {
  if (method.call === "multiparty") return matching((body: Uint8Array) => body)
  const several: Policy<
    Uint8Array,
    ReadonlyArray<{ readonly message: Uint8Array }>
  > = method.call === "quorum" ? quorum<Uint8Array>() : all<Uint8Array>()
  return method.call === "rpc" ? first<Uint8Array>() : firstOf(several)
}

const firstOf = (
  policy: Policy<Uint8Array, ReadonlyArray<{ readonly message: Uint8Array }>>
): Policy<Uint8Array, Uint8Array> => ({
  start: (system, targets) => {
    const count = policy.start(system, targets)
    return {
      on: (from, reply) => {
        const done = count.on(from, reply)
        return done && { answer: done.answer[0]!.message }
      },
      possible: (pending) => count.possible(pending),
      needed: count.needed,
      got: () => count.got()
    }
  }
})
