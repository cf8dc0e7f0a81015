/** What a link does with a whole conversation: frames in a row, fragments, handshakes. */
import { Prng } from "../../src/base/prng.ts"
import { decodeFrame, encodeFrame, type Frame } from "../../src/link/frame.ts"
import type { Packet } from "../../src/link/ports.ts"
import { accepting, dialing } from "../support/handshakes.ts"
import { helloOf, plainDialer, Side, small, want, word } from "../support/link.ts"
import type { Target } from "./fuzz.ts"

const CORPUS = 60

/** Each with its length in two bytes before it. */
const pack = (parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  Uint8Array.from(parts.flatMap((it) => [it.length >> 8, it.length & 0xff, ...it]))
const unpack = (bytes: Uint8Array): ReadonlyArray<Uint8Array> => {
  const parts: Array<Uint8Array> = []
  for (let at = 0; at + 2 <= bytes.length; ) {
    const end = at + 2 + (bytes[at]! << 8) + bytes[at + 1]!
    parts.push(bytes.slice(at + 2, end))
    at = end
  }
  return parts
}

/** What the member that dialled says to one that answers after each frame. */
const conversation = (random: Prng): Uint8Array => {
  const us = new Side({ handshake: plainDialer(), hello: helloOf(1), limits: small })
  const them = new Side({ hello: helloOf(2), limits: small })
  const said: Array<Uint8Array> = []
  const pass = (): void => {
    for (const packet of us.flushAll()) {
      said.push(packet.frame)
      them.take([packet])
      us.take(answered(them))
    }
  }
  pass()
  us.core.open(us.port)
  pass()
  for (let position = 1; position <= 6; position++) {
    // Above `fragmentBytes` a word travels in pieces.
    const length = random.chance(300) ? 700 + random.below(1_200) : random.below(60)
    us.channel?.send(random.chance(200) ? want(position) : word(position, length))
    if (random.chance(600)) pass()
  }
  pass()
  return pack(said)
}

const answered = (side: Side): ReadonlyArray<Packet> => {
  side.release()
  return side.flushAll()
}

/** One frame changed in a field, doubled, dropped or moved; the rest numbered as they are due. */
const mutateFrames = (random: Prng, bytes: Uint8Array): Uint8Array => {
  const frames = unpack(bytes).flatMap((it) => decodeFrame(it, small) ?? [])
  if (frames.length === 0) return bytes
  const at = random.below(frames.length)
  const frame = frames[at]!
  const changes: ReadonlyArray<() => unknown> = [
    () => frames.splice(at, 1),
    () => frames.splice(at, 0, frame),
    () => frames.splice(random.below(frames.length), 0, ...frames.splice(at, 1)),
    () => (frames[at] = { ...frame, acknowledged: random.below(9) }),
    () => (frames[at] = { ...frame, credit: random.pick([0, 1, 5_000, 2 ** 40]) }),
    () => (frames[at] = { ...frame, content: changed(random, frame.content) })
  ]
  random.pick(changes)()
  const wrong = random.chance(30)
  const numbered = frames.map((it, i) => encodeFrame({ ...it, sequence: i + (wrong ? 2 : 1) }))
  return pack(numbered.filter(({ length }) => length < 65_536))
}

const changed = (random: Prng, content: Frame["content"]): Frame["content"] => {
  switch (content.kind) {
    case "handshake":
      return { kind: "handshake", parts: { ...content.parts, proof: random.bytes(40) } }
    case "fragment": {
      const left = random.pick([1, content.left + 1, 2 * content.left, 3_000, 2 ** 31])
      return { ...content, left, channel: 1 + random.below(3) }
    }
    case "messages":
      return { ...content, channel: 1 + random.below(3) }
    default:
      return { ...content, channel: random.below(4) }
  }
}

const link: Target = {
  name: "link",
  cost: 12,
  corpus: (seed) => {
    const random = new Prng(seed)
    return Array.from({ length: CORPUS }, () => conversation(random))
  },
  mutate: mutateFrames,
  run: (bytes) => {
    const side = new Side({ hello: helloOf(2), limits: small })
    for (const frame of unpack(bytes)) {
      side.take([{ frame }])
      answered(side)
    }
    if (side.core.unacknowledgedBytes > small.linkBytes)
      throw new Error("more on its way than may be")
    if (side.ends.length > 1) throw new Error("a channel ends once")
    return !side.core.isClosed && side.ends.length === 0 && side.got.length > 0
  }
}

/** The first frame of a handshake by keys, to a host that has its own. */
const handshake: Target = {
  name: "handshake",
  cost: 90,
  corpus: () =>
    Array.from({ length: 20 }, () => {
      const side = new Side({ handshake: dialing(), hello: helloOf(1) })
      return side.flushAll()[0]!.frame
    }),
  run: (bytes) => {
    const side = new Side({ handshake: accepting(), hello: helloOf(2) })
    side.take([{ frame: bytes }])
    const said = side.flushAll()
    if (side.core.isOpen) throw new Error("a link is open without a proof")
    return !side.core.isClosed && said.length === 1
  }
}

export const SESSIONS: ReadonlyArray<Target> = [link, handshake]
