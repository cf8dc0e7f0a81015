import { bytesEqual, NO_BYTES } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { EPOCH_STATES } from "../server/epoch.ts"
import type { LaneKey } from "../server/laneKey.ts"
import type { MethodId, PeerMessage, Reply, Word } from "../server/Message.ts"
import { FAR, garbled, Inventions } from "./inventions.ts"
import { EPOCH_MS } from "./world.ts"

/**
 * What a Byzantine node does with what its honest half says. silent: nothing leaves; withhold: some
 * is kept from some receivers; split: each of two camps is told a story of its own; mixed: any body
 * at random; miscount: any number at random, in what keeps links and logs in step too; replay: its
 * old words again; invent: words about what no client opened; flood: storms of all that; garble:
 * bodies and messages that are none. One that does several does one of them at a time.
 */
export const LIES = [
  "silent",
  "withhold",
  "split",
  "mixed",
  "miscount",
  "replay",
  "invent",
  "flood",
  "garble"
] as const
export type Lie = (typeof LIES)[number]

/** Bodies known per phase. A newer one replaces the oldest. */
const POOL_MAX = 16
/** Stories remembered; a story told twice is the same. */
const TOLD_MAX = 4096

/** Runs beside an honest host core and decides what of its words leaves, and as what. */
export class Adversary {
  readonly lies: ReadonlyArray<Lie>
  readonly #random: Prng
  readonly #inventions: Inventions
  /** Valid bodies of each phase, in the order in which they were seen. */
  readonly #pool = new Map<MethodId, Array<Uint8Array>>()
  /** The same, of one instance. */
  readonly #instances = new Map<string, Array<Uint8Array>>()
  readonly #camps = new Map<NodeId, number>()
  readonly #told = new Map<string, Uint8Array>()

  /** @param lies absent: one to three of them, drawn */
  constructor(random: Prng, ...lies: ReadonlyArray<Lie>) {
    this.#random = random
    this.#inventions = new Inventions(random)
    const drawn = (): Lie => random.pick(LIES)
    this.lies = lies.length > 0 ? lies : Array.from({ length: 1 + random.below(3) }, drawn)
  }

  /** A word this node said or was told: its body is one to lie with. */
  saw(word: Word): void {
    this.#inventions.saw(word)
    remember(this.#pool, word.method, word.body)
    remember(this.#instances, instanceOf(word.lane, word.index, word.method), word.body)
  }

  /** What `to` is told instead; nothing: it is told nothing. */
  toPeer(to: NodeId, message: PeerMessage): ReadonlyArray<PeerMessage> {
    const lie = this.#random.pick(this.lies)
    if (message.kind === "word") this.saw(message)
    switch (lie) {
      case "silent":
        return NOTHING
      case "miscount":
        return [this.#random.chance(700) ? message : this.#miscount(message)]
      case "flood":
        if (this.#random.chance(900)) return [message]
        return [message, ...this.#inventions.storm(message)]
      default:
        return message.kind === "word" ? this.#instead(lie, to, message) : [message]
    }
  }

  #instead(lie: Lie, to: NodeId, word: Word): ReadonlyArray<Word> {
    const random = this.#random
    switch (lie) {
      case "withhold":
        return random.chance(500) ? NOTHING : [word]
      case "split":
        return [this.#story(to, word)]
      case "mixed":
        return this.#anything(word)
      case "replay":
        return random.chance(500) ? [word] : [word, this.#inventions.replayed(word)]
      case "invent":
        return random.chance(500) ? [word] : [word, this.#inventions.invented(word)]
      case "garble":
        return [random.chance(700) ? word : withBody(word, garbled(random, word.body))]
      default:
        return [word]
    }
  }

  /** The bytes of a message as they leave: now and then they are none of any message. */
  bytes(bytes: Uint8Array): Uint8Array {
    if (!this.lies.includes("garble") || !this.#random.chance(20)) return bytes
    return garbled(this.#random, bytes)
  }

  /** No session opened at or below it runs, it says. */
  horizonMs(honest: number): number {
    if (!this.#random.chance(300)) return honest
    return this.#random.pick([0, EPOCH_MS + this.#random.below(30_000), FAR])
  }

  /** What a client is told instead of `reply`. */
  toClient(reply: Reply): Reply | undefined {
    const lie = this.#random.pick(this.lies)
    if (lie === "silent" || (lie !== "split" && this.#random.chance(300))) return undefined
    if (reply.code !== undefined || !this.#random.chance(500)) return reply
    if (this.#random.chance(200)) {
      const code = this.#random.pick(REFUSALS)
      return { ...reply, code, body: NO_BYTES, horizonMs: FAR, node: 1 }
    }
    const body = this.#anyBody()
    return body === undefined ? reply : { ...reply, body }
  }

  /** Camp 0 is told the first value known of the instance, camp 1 the second or a foreign one. */
  #story(to: NodeId, word: Word): Word {
    const key = `${to} ${word.position} ${instanceOf(word.lane, word.index, word.method)}`
    const told = this.#told.get(key)
    if (told !== undefined) return told === word.body ? word : withBody(word, told)
    let camp = this.#camps.get(to)
    if (camp === undefined) this.#camps.set(to, (camp = this.#random.below(2)))
    const known = this.#instances.get(instanceOf(word.lane, word.index, word.method))!
    const body = known[camp] ?? this.#other(word)
    if (this.#told.size < TOLD_MAX) this.#told.set(key, body)
    return withBody(word, body)
  }

  #anything(word: Word): ReadonlyArray<Word> {
    const told: Array<Word> = []
    if (!this.#random.chance(200)) {
      told.push(this.#random.chance(500) ? word : withBody(word, this.#other(word)))
    }
    if (this.#random.chance(150)) {
      // A word of another phase that its honest half never said.
      const method = this.#random.pick([...this.#pool.keys()])
      told.push({ ...withBody(word, this.#random.pick(this.#pool.get(method)!)), method })
    }
    return told
  }

  #miscount(message: PeerMessage): PeerMessage {
    switch (message.kind) {
      case "word": {
        const { position, index, ackedBelow } = message
        return {
          ...withBody(message, message.body),
          position: this.#number(position),
          index: this.#number(index),
          ackedBelow: this.#number(ackedBelow)
        }
      }
      case "taken":
        return { ...message, taken: this.#number(message.taken), done: this.#number(message.done) }
      case "behind":
        return { ...message, own: this.#number(message.own) }
      case "wantLane": {
        const from = this.#number(message.from)
        return { ...message, from, to: Math.max(from + 1, this.#number(message.to)) }
      }
      case "epoch":
        return { ...message, state: this.#random.pick(EPOCH_STATES) }
      default:
        return { ...message, position: this.#number(message.position) }
    }
  }

  /** The number, one beside it, or one far off. */
  #number(honest: number): number {
    const others = [honest, honest + 1, Math.max(1, honest - 1), 1, 2 * honest + 7, FAR]
    return this.#random.pick(others)
  }

  #other(word: Word): Uint8Array {
    const pool = this.#pool.get(word.method)!
    const others = pool.filter((body) => !bytesEqual(body, word.body))
    return others.length === 0 ? word.body : this.#random.pick(others)
  }

  #anyBody(): Uint8Array | undefined {
    const bodies = [...this.#pool.values()].flat()
    return bodies.length === 0 ? undefined : this.#random.pick(bodies)
  }
}

const REFUSALS = ["session_expired", "conflict", "overloaded", "redirect", "window"] as const
const NOTHING: ReadonlyArray<never> = []

const withBody = (word: Word, body: Uint8Array): Word => {
  // The bytes kept in `wire` are those of the honest word.
  const { wire: _, ...other } = word
  return { ...other, body }
}

const instanceOf = (lane: LaneKey, index: number, method: MethodId): string =>
  `${lane}/${index}/${method}`

const remember = <K>(pool: Map<K, Array<Uint8Array>>, key: K, body: Uint8Array): void => {
  const known = pool.get(key)
  if (known === undefined) pool.set(key, [body])
  else if (!known.some((other) => bytesEqual(other, body))) {
    if (known.length >= POOL_MAX) known.shift()
    known.push(body)
  }
}
