/**
 * A client that keeps to no rule: sessions opened in heaps and at any time, numbers far ahead,
 * acknowledgements of what was never asked, other bytes under one number, methods that are none of
 * a client's. Nobody waits for its answers; nobody else may suffer.
 */
import type { Limits } from "../base/limits.ts"
import type { Prng } from "../base/prng.ts"
import { encodeMessage } from "../link/envelope.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { type LaneKey, sessionKey } from "../server/laneKey.ts"
import { type ClientMessage, methodId } from "../server/Message.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import type { Checkers } from "./Checkers.ts"
import type { CallChoice } from "./simClient.ts"
import type { Endpoint } from "./simNetwork.ts"
import { EPOCH_MS, type World } from "./world.ts"

export interface RogueClientOptions {
  readonly world: World
  readonly endpoint: Endpoint
  readonly system: System
  readonly limits: Limits
  readonly random: Prng
  readonly checkers: Checkers
  readonly spec: ProtocolSpec
  readonly choices: ReadonlyArray<CallChoice>
  /** It tells the nodes different things; where clients are trusted it must not. */
  readonly lies: boolean
}

const FAR = 2 ** 40
const SESSIONS_MAX = 24

export class RogueClient {
  readonly endpoint: Endpoint
  readonly #options: RogueClientOptions
  readonly #sessions: Array<LaneKey> = []

  constructor(options: RogueClientOptions) {
    this.#options = options
    this.endpoint = options.endpoint
  }

  /** Acts from `fromMs` to `untilMs`. */
  start(fromMs: number, untilMs: number): void {
    const { world, system, random } = this.#options
    world.network.attach(this.endpoint, {
      hello: () => ({ storeId: "", horizonMs: 0 }),
      opened: () => {},
      closed: () => {},
      receive: () => {}
    })
    for (const node of system.members) world.network.join(this.endpoint, node)
    const act = (): void => {
      if (world.time.nowMs > untilMs) return
      const burst = random.chance(100) ? 1 + random.below(12) : 1
      for (let i = 0; i < burst; i++) this.#act()
      world.time.after(1 + random.below(150), act)
    }
    world.time.after(fromMs, act)
  }

  #act(): void {
    const { random, system, world } = this.#options
    const session = this.#session()
    const number = 1 + random.below(6)
    const index = random.chance(150) ? this.#far(number) : number
    const ackedBelow = random.chance(300) ? this.#far(index) : 1
    for (const node of system.members) {
      if (random.chance(200)) continue
      const message = this.#message(session, index, ackedBelow)
      world.network.send(this.endpoint, node, encodeMessage(message), message.kind)
    }
  }

  #message(session: LaneKey, index: number, ackedBelow: number): ClientMessage {
    const { random, choices, spec, checkers, lies } = this.#options
    const number = (session.charCodeAt(9) + index) % choices.length
    const choice = lies ? random.pick(choices) : choices[number]!
    const { body } = choice
    const dice = random.below(100)
    if (dice < 8) return { kind: "cancel", session, index }
    if (dice < 12) {
      return { kind: "oneWay", method: methodId(random.pick(spec.methods).fullName), body }
    }
    const other = dice < 18 ? random.pick(spec.methods) : choice.method
    const method = dice < 20 && dice > 17 ? random.below(2 ** 31) : methodId(other.fullName)
    const deadlineMs = random.pick([0, 0, 1, 500, 2 ** 31])
    checkers.roamed(session, index, ackedBelow)
    return { kind: "request", session, index, ackedBelow, method, deadlineMs, body }
  }

  /** One of its sessions, or a new one: opened now, long ago, or in the future. */
  #session(): LaneKey {
    const { random, world } = this.#options
    const full = this.#sessions.length >= SESSIONS_MAX
    if (full || (this.#sessions.length > 0 && random.chance(700))) {
      return random.pick(this.#sessions)
    }
    const awayMs = random.pick([0, 0, 0, -10_000, 50_000, 10_000_000])
    const openedMs = EPOCH_MS + world.time.nowMs + awayMs
    const session = sessionKey(openedMs, random.bytes(16))
    this.#sessions.push(session)
    return session
  }

  #far(from: number): number {
    const { random, limits } = this.#options
    const { windowCalls } = limits
    return random.pick([from, from + 1, from + windowCalls - 1, from + windowCalls, 2000, FAR])
  }
}
