/** Whatever is done to packets of a proven link: what arrives was said, in order, or nothing. */
import { describe, expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { encodeFrame } from "../src/link/frame.ts"
import type { LinkStrength } from "../src/link/linkHello.ts"
import type { Packet } from "../src/link/ports.ts"
import { accepting, dialing } from "./support/handshakes.ts"
import { helloOf, pairOf, positions, Side, small, want, word } from "./support/link.ts"
import { seedsOf } from "./support/seeds.ts"

/** Two members on an open link, the first of which dialled. */
const proven = (strength: LinkStrength): [Side, Side] =>
  pairOf(
    { hello: helloOf(1), limits: small, handshake: dialing({ strength }) },
    { hello: helloOf(2), limits: small, handshake: accepting({ strengths: [strength] }) }
  )

const flipped = (random: Prng, bytes: Uint8Array): Uint8Array => {
  const copy = bytes.slice()
  copy[random.below(copy.length)]! ^= 1 << random.below(8)
  return copy
}
/** A goodbye of the link, in the right place, by somebody without keys. */
const forged = (random: Prng, sequence: number): Packet => ({
  frame: encodeFrame({
    sequence,
    acknowledged: 0,
    credit: 0,
    content: { kind: "goodbye", channel: 0, goodbye: { code: "banned", detail: "so says nobody" } }
  }),
  ...(random.chance(500) && { tag: random.bytes(16) })
})

/** Packets that others sent before, on this link and another one, in both directions. */
interface Known {
  readonly all: Array<Packet>
  /** Of this direction: how many were sent. */
  sent: number
}

/** One deed; what reaches the other side, unlike what was sent. */
const meddled = (random: Prng, packets: ReadonlyArray<Packet>, known: Known): Array<Packet> => {
  const out = [...packets]
  const at = random.below(out.length)
  const { frame, tag } = out[at]!
  const deeds: ReadonlyArray<() => void> = [
    () => out.splice(at, 1, { frame: flipped(random, frame), tag: tag! }),
    () => out.splice(at, 1, { frame, tag: flipped(random, tag!) }),
    () => out.splice(at, 1, { frame }),
    () => out.splice(at, 1, { frame: frame.subarray(0, random.below(frame.length)), tag: tag! }),
    () => out.splice(at, 1, { frame, tag: tag!.subarray(0, random.below(16)) }),
    () => out.splice(at, 0, out[at]!),
    () => out.splice(at, 1),
    () => out.splice(at, 0, random.pick(known.all)),
    () => out.splice(at, 0, forged(random, known.sent - packets.length + at + 1)),
    () => out.splice(random.below(at + 1), 0, ...out.splice(at, 1))
  ]
  random.pick(deeds)()
  return out
}

const same = (a: ReadonlyArray<Packet>, b: ReadonlyArray<Packet>): boolean =>
  a.length === b.length && a.every((packet, i) => packet === b[i])

describe.each(["authenticated", "encrypted"] as const)("on %s links", (strength) => {
  it("large and small words arrive in order", () => {
    const [a, b] = proven(strength)
    for (let i = 1; i <= 20; i++) {
      a.channel!.send(word(i, (i * 397) % 2000))
      b.take(a.flushAll())
      b.release()
      a.take(b.flushAll())
    }
    expect(positions(b)).toEqual(Array.from({ length: 20 }, (_, i) => i + 1))
  })

  it("no deed brings anything that was not said, or leaves anything out", () => {
    let [cuts, arrived] = [0, 0]
    for (let seed = 0; seed < seedsOf(300); seed++) {
      const random = new Prng(seed)
      const [a, b] = proven(strength)
      const [, other] = proven(strength)
      other.channel!.send(want(9))
      const known: Known = { all: other.flushAll(), sent: 0 }
      let position = 0
      let touched = false
      // Frames 1 to 3: hello, proof, opening.
      known.sent = 3
      for (let round = 0; round < 6 && !b.core.isClosed; round++) {
        for (let i = 1 + random.below(4); i > 0; i--) {
          a.channel!.send(word(++position, random.below(1500)))
        }
        const packets = a.flushAll()
        known.sent += packets.length
        const deed = packets.length > 0 && random.chance(300)
        const passed = deed ? meddled(random, packets, known) : packets
        touched ||= !same(passed, packets)
        b.take(passed)
        b.release()
        const back = b.flushAll()
        known.all.push(...packets, ...back)
        if (!b.core.isClosed) a.take(back)
        // Always the beginning of what was said.
        const got = positions(b)
        expect(got, `seed ${seed}`).toEqual(got.map((_, i) => i + 1))
      }
      arrived += b.got.length
      // What is missing shows with the next packet, if not before.
      a.channel!.send(want(position))
      b.take(a.flushAll())
      expect([seed, b.core.isClosed]).toEqual([seed, touched])
      if (!touched) continue
      cuts++
      expect(b.core.end).toMatchObject({ by: "us", goodbye: { code: "altered" } })
    }
    expect(cuts).toBeGreaterThan(100)
    expect(arrived).toBeGreaterThan(1000)
  })
})

describe("a goodbye without a tag", () => {
  const bye = (sequence: number): Packet => {
    const goodbye = { code: "deadline_exceeded", detail: "it did not open in time" } as const
    const content = { kind: "goodbye", channel: 0, goodbye } as const
    return { frame: encodeFrame({ sequence, acknowledged: 0, credit: 0, content }) }
  }

  it("of a side that waits for the proof no longer is no attack", () => {
    const a = new Side({ hello: helloOf(1), handshake: dialing() })
    const b = new Side({ hello: helloOf(2), handshake: accepting() })
    b.take(a.flushAll())
    b.core.close({ code: "deadline_exceeded", detail: "it did not open in time" })
    a.take(b.flushAll())
    expect(a.core.end).toMatchObject({ by: "peer", goodbye: undefined })
    expect(a.core.end!.text).toContain("given up the handshake")
  })

  it("is one later", () => {
    const [a, b] = proven("authenticated")
    b.channel!.send(word(1, 10))
    a.take(b.flushAll())
    a.take([bye(4)])
    expect(a.core.end).toMatchObject({ by: "us", goodbye: { code: "altered" } })
  })
})
