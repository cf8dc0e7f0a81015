/**
 * Somebody on the wire: links that prove who speaks may be cut by it, and nothing else. Where
 * nothing is proven it is no more than a stream that loses packets, or brings them twice.
 */
import type { Prng } from "../base/prng.ts"
import type { Packet } from "../link/ports.ts"
import type { SimStream } from "./simStream.ts"

/** Packets that it can say again. */
const SEEN_MAX = 32
/** Of 1,000 packets it lets so many be. */
const HONEST = 800

export class Meddler {
  readonly #random: Prng
  readonly #seen: Array<Packet> = []

  readonly #plain: boolean

  constructor(random: Prng, plain: boolean) {
    this.#random = random
    this.#plain = plain
  }

  /** What comes in the place of a packet. */
  instead(stream: SimStream, packet: Packet): ReadonlyArray<Packet> {
    const random = this.#random
    const seen = this.#seen
    if (seen.length < SEEN_MAX) seen.push(packet)
    else seen[random.below(SEEN_MAX)] = packet
    if (random.chance(HONEST)) return [packet]
    stream.tampered = true
    const other = random.pick(seen)
    switch (random.below(this.#plain ? 2 : 7)) {
      case 0:
        return []
      case 1:
        return [packet, packet]
      case 2:
        return [other, packet]
      case 3:
        return [{ ...packet, frame: this.#flipped(packet.frame) }]
      case 4:
        return [packet.tag ? { ...packet, tag: this.#flipped(packet.tag) } : other]
      case 5:
        return [{ frame: packet.frame }]
      default:
        return [{ frame: random.bytes(random.below(60)), tag: random.bytes(16) }, packet]
    }
  }

  #flipped(bytes: Uint8Array): Uint8Array {
    const changed = bytes.slice()
    if (changed.length > 0) {
      const at = this.#random.below(changed.length)
      changed[at] = changed[at]! ^ (1 << this.#random.below(8))
    }
    return changed
  }
}
