/**
 * What a Byzantine node says beside what its honest half says: words about instances that nobody
 * opened, its own old words elsewhere, storms of what keeps links and logs in step, bytes that are
 * no message.
 */
import type { Prng } from "../base/prng.ts"
import { isSession, sessionKey } from "../server/laneKey.ts"
import type { PeerMessage, Word } from "../server/Message.ts"
import { EPOCH_MS } from "./world.ts"

/** Words remembered. A newer one replaces the oldest. */
const HISTORY_MAX = 64
/** Messages in one storm. */
const STORM_MAX = 12
/** A number that no honest one comes to. */
export const FAR = 2 ** 40

export class Inventions {
  readonly #random: Prng
  readonly #history: Array<Word> = []

  constructor(random: Prng) {
    this.#random = random
  }

  saw(word: Word): void {
    if (this.#history.length >= HISTORY_MAX) this.#history.shift()
    this.#history.push(word)
  }

  /** An old word as it was, under a new position, or about another instance. */
  replayed(now: Word): Word {
    const old = this.#old(now)
    switch (this.#random.below(3)) {
      case 0:
        return old
      case 1:
        return { ...old, position: now.position }
      default:
        return { ...old, lane: now.lane, index: now.index, position: now.position }
    }
  }

  /** A word about an instance that no client opened: in this session, or in one there is not. */
  invented(now: Word): Word {
    const old = this.#old(now)
    const random = this.#random
    if (random.chance(300)) return { ...old, index: old.index + 1 + random.below(8) }
    if (!isSession(old.lane)) return { ...old, round: random.below(4) }
    const openedMs = EPOCH_MS + random.below(70_000)
    const lane = sessionKey(openedMs, random.bytes(16))
    return { ...old, lane, index: 1 + random.below(3), ackedBelow: 1 }
  }

  /** Many messages at once, each of which costs its receiver something. */
  storm(now: PeerMessage): ReadonlyArray<PeerMessage> {
    const count = 1 + this.#random.below(STORM_MAX)
    return Array.from({ length: count }, () => this.#gust(now))
  }

  #gust(now: PeerMessage): PeerMessage {
    const random = this.#random
    const word = now.kind === "word" ? now : this.#history[0]
    if (word === undefined) return { kind: "want", position: random.below(3) }
    switch (random.below(7)) {
      case 0:
        return { kind: "want", position: random.pick([0, 1, word.position, FAR]) }
      case 1:
        return { kind: "resume", position: random.pick([1, word.position, FAR]) }
      case 2:
        return { kind: "wantLane", lane: word.lane, from: 1, to: random.pick([2, 50, FAR]) }
      case 3:
        return this.invented(word)
      case 4:
        return { kind: "cut", position: random.pick([1, word.position, FAR]) }
      case 5:
        return { kind: "behind", lane: word.lane, own: random.pick([1, word.index + 1, FAR]) }
      default:
        return this.replayed(word)
    }
  }

  #old(now: Word): Word {
    const old = this.#history.length === 0 ? now : this.#random.pick(this.#history)
    const { wire: _, ...word } = old
    return word
  }
}

/** Some bytes changed, cut off, or put on. */
export const garbled = (random: Prng, bytes: Uint8Array): Uint8Array => {
  const longer = random.chance(200) ? 1 + random.below(8) : 0
  const length = random.chance(200) ? random.below(bytes.length + 1) : bytes.length
  const other = new Uint8Array(length + longer)
  other.set(bytes.subarray(0, length))
  for (let i = random.below(4); i > 0 && other.length > 0; i--) {
    other[random.below(other.length)] = random.below(256)
  }
  return other
}
