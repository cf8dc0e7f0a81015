/** Bytes made of valid ones, as attackers and broken disks make them; from a seed. */
import type { Prng } from "../../src/base/prng.ts"

/** What decoders of lengths, counters and kinds stumble over. */
const ODD: ReadonlyArray<number> = [0, 1, 2, 0x07, 0x0a, 0x10, 0x20, 0x7f, 0x80, 0x81, 0xfe, 0xff]
/** Varints and fixed numbers at borders. */
const ODD_RUNS: ReadonlyArray<ReadonlyArray<number>> = [
  [0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x10],
  [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
  [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00],
  [0x80, 0x80, 0x80, 0x80, 0x10],
  [0x7f, 0xff, 0xff, 0xff],
  [0x00, 0x00, 0x00, 0x00],
  [0xed, 0xa0, 0x80],
  [0xf4, 0x90, 0x80, 0x80]
]
const BYTES_MAX = 65_536
const RANDOM_BYTES_MAX = 96
const RUN_MAX = 24
const TIMES_MAX = 40

/** `from` is not changed; `others` lend their parts. */
export const mutated = (
  random: Prng,
  from: Uint8Array,
  others: ReadonlyArray<Uint8Array>
): Uint8Array => {
  if (random.chance(30)) return random.bytes(random.below(RANDOM_BYTES_MAX))
  let bytes: Uint8Array = from.slice()
  for (let left = 1 + random.below(4); left > 0; left--) bytes = step(random, bytes, others)
  return bytes.length > BYTES_MAX ? bytes.slice(0, BYTES_MAX) : bytes
}

const step = (random: Prng, bytes: Uint8Array, others: ReadonlyArray<Uint8Array>): Uint8Array => {
  const { length } = bytes
  const at = random.below(length + 1)
  const run = Math.min(length - at, 1 + random.below(RUN_MAX))
  switch (random.below(12)) {
    case 0:
    case 1:
      return set(bytes, at, 1 << random.below(8), true)
    case 2:
    case 3:
      return set(bytes, at, random.chance(500) ? random.pick(ODD) : random.below(256), false)
    case 4:
      return set(bytes, at, at < length ? bytes[at]! + (random.chance(500) ? 1 : -1) : 0, false)
    case 5:
      return join(bytes.subarray(0, at), random.pick(ODD_RUNS), bytes.subarray(at))
    case 6:
      return join(bytes.subarray(0, at), random.pick(ODD_RUNS), bytes.subarray(at + run))
    case 7:
      return bytes.slice(0, at)
    case 8:
      return join(bytes.subarray(0, at), bytes.subarray(at + run))
    case 9:
      return repeated(random, bytes, at, run)
    case 10:
      return join(bytes.subarray(0, at), random.bytes(run), bytes.subarray(at))
    default: {
      const other = random.pick(others)
      const from = random.below(other.length + 1)
      const rest = random.chance(500) ? bytes.subarray(at) : bytes.subarray(at + run)
      return join(bytes.subarray(0, at), other.subarray(from, from + run), rest)
    }
  }
}

const set = (bytes: Uint8Array, at: number, value: number, turn: boolean): Uint8Array => {
  if (at < bytes.length) bytes[at] = turn ? bytes[at]! ^ value : value
  return bytes
}

const repeated = (random: Prng, bytes: Uint8Array, at: number, run: number): Uint8Array => {
  const part = bytes.subarray(at, at + run)
  // Now and then as much as there may be: what costs more than in proportion shows.
  const most = random.chance(20) ? BYTES_MAX / (run + 1) : random.chance(100) ? TIMES_MAX : 1
  const times = 1 + random.below(Math.floor(most))
  return join(bytes.subarray(0, at), ...Array<Uint8Array>(times).fill(part), bytes.subarray(at))
}

const join = (...parts: ReadonlyArray<ArrayLike<number>>): Uint8Array => {
  let length = 0
  for (const part of parts) length += part.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}
