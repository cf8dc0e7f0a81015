import { bytesEqual } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { EPOCH_STATES } from "../server/epoch.ts"
import type { LaneKey } from "../server/laneKey.ts"
import type { MethodId, PeerMessage, Reply, Word } from "../server/Message.ts"

/**
 * What a Byzantine node does with what its honest half says: nothing leaves; some is kept from some
 * receivers; each of two camps is told a story of its own; any body at random; any number at
 * random, in what keeps links and logs in step too.
 */
export const LIES = ["silent", "withhold", "split", "mixed", "miscount"] as const
export type Lie = (typeof LIES)[number]

/** A number that no honest node comes to. */
const FAR = 2 ** 40
/** Bodies known per phase. A newer one replaces the oldest. */
const POOL_MAX = 16
/** Stories remembered; a story told twice is the same. */
const TOLD_MAX = 4096

/** Runs beside an honest host core and decides what of its words leaves, and as what. */
export class Adversary {
  readonly lie: Lie
  readonly #random: Prng
  /** Valid bodies of each phase, in the order in which they were seen. */
  readonly #pool = new Map<MethodId, Array<Uint8Array>>()
  /** The same, of one instance. */
  readonly #instances = new Map<string, Array<Uint8Array>>()
  readonly #camps = new Map<NodeId, number>()
  readonly #told = new Map<string, Uint8Array>()

  constructor(random: Prng, lie?: Lie) {
    this.#random = random
    this.lie = lie ?? LIES[random.below(LIES.length)]!
  }

  /** A word this node said or was told: its body is one to lie with. */
  saw(word: Word): void {
    remember(this.#pool, word.method, word.body)
    remember(this.#instances, instanceOf(word.lane, word.index, word.method), word.body)
  }

  /** What `to` is told instead; nothing: it is told nothing. */
  toPeer(to: NodeId, message: PeerMessage): ReadonlyArray<PeerMessage> {
    if (this.lie === "silent") return NOTHING
    if (this.lie === "miscount")
      return [this.#random.chance(700) ? message : this.#miscount(message)]
    if (message.kind !== "word") return [message]
    this.saw(message)
    switch (this.lie) {
      case "withhold":
        return this.#random.chance(500) ? NOTHING : [message]
      case "split":
        return [this.#story(to, message)]
      case "mixed":
        return this.#anything(message)
    }
  }

  /** What a client is told instead of `reply`. */
  toClient(reply: Reply): Reply | undefined {
    if (this.lie === "silent" || (this.lie !== "split" && this.#random.chance(300)))
      return undefined
    if (reply.code !== undefined || !this.#random.chance(500)) return reply
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
        const { position, index, round, ackedBelow, ...word } = withBody(message, message.body)
        const counts = { position: this.#number(position), index: this.#number(index) }
        return { ...word, ...counts, round, ackedBelow: this.#number(ackedBelow) }
      }
      case "taken":
        return { ...message, taken: this.#number(message.taken), done: this.#number(message.done) }
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

const NOTHING: ReadonlyArray<PeerMessage> = []

const withBody = (word: Word, body: Uint8Array): Word => {
  // Without `wire`: the bytes kept there are those of the honest word.
  const { kind, position, lane, index, method, round, ackedBelow } = word
  return { kind, position, lane, index, method, round, ackedBelow, body }
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
