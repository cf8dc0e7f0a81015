/**
 * A second group on the links of all nodes: it says more than they carry, large bodies too, and is
 * stuck now and then, so that what it was sent waits. The first group must not feel it (P14).
 */
import { NODE_ID_MAX } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { Channel, ChannelPort } from "../link/channel.ts"
import { checkHello } from "../link/hello.ts"
import type { Message } from "../server/Message.ts"
import type { LinkHost, LinkWorld } from "./linkHost.ts"
import type { Endpoint } from "./simNetwork.ts"

const NAME = "noise"
const GAP_MS_MAX = 80
const BURST_MAX = 8
const PARTS_MAX = 20
const LARGE_BYTES_MAX = 200_000

export class Noise {
  readonly #host: LinkHost
  readonly #world: LinkWorld
  readonly #random: Prng
  readonly #untilMs: number
  readonly #open = new Set<Channel>()
  #position = 0
  #dead = false

  constructor(parts: {
    readonly host: LinkHost
    readonly world: LinkWorld
    readonly random: Prng
    readonly untilMs: number
  }) {
    this.#host = parts.host
    this.#world = parts.world
    this.#random = parts.random
    this.#untilMs = parts.untilMs
    this.#host.offer(NAME, this.#port(undefined))
    this.#act()
  }

  keep(peer: Endpoint): void {
    if (peer <= NODE_ID_MAX) this.#host.keep(peer, this.#port(peer))
  }

  die(): void {
    this.#dead = true
  }

  #port(dialled: Endpoint | undefined): ChannelPort {
    const host = this.#host
    const hello = () => host.hello(NAME)
    return host.judged({
      hello,
      check: (theirs, channel) =>
        checkHello(hello(), theirs) ?? host.check(theirs, channel, dialled),
      opened: (channel) => {
        for (const old of this.#open) {
          if (old.id === channel.id) old.close({ code: "replaced", detail: "there is a newer one" })
        }
        this.#open.add(channel)
      },
      receive: () => {},
      closed: (channel) => this.#open.delete(channel)
    })
  }

  #act(): void {
    const { time, limits } = this.#world
    const random = this.#random
    if (this.#dead) return
    const loud = time.nowMs < this.#untilMs
    if (!loud || random.chance(300)) for (const channel of this.#open) channel.release()
    for (const channel of loud ? this.#open : []) {
      for (let left = random.below(BURST_MAX); left > 0; left--) {
        if (channel.unacknowledgedBytes < limits.linkBytes / 2)
          this.#host.say(channel, this.#word())
      }
    }
    time.after(1 + random.below(loud ? GAP_MS_MAX : 1000), () => this.#act())
  }

  #word(): Message {
    const random = this.#random
    const { bodyBytesMax, fragmentBytes } = this.#world.limits
    const large = Math.min(bodyBytesMax, PARTS_MAX * fragmentBytes, LARGE_BYTES_MAX)
    const length = random.below(random.chance(100) ? large : Math.min(300, bodyBytesMax))
    const body = new Uint8Array(length).fill(this.#position)
    const place = { lane: "noise", index: 1, round: 0, ackedBelow: 0 } as const
    return { kind: "word", position: ++this.#position, method: 7, ...place, body }
  }
}
