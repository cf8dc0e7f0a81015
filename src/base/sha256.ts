/**
 * SHA-256, synchronous and without a host: names of sessions and groups are digests, and neither is
 * made often enough to be worth a port. @source FIPS 180-4
 */
const rotate = (word: number, by: number): number => (word >>> by) | (word << (32 - by))

/** The first 32 bits of the fractional part of the square (cube) root of the first primes. */
const fraction = (prime: number, root: number): number =>
  Math.floor((prime ** (1 / root) % 1) * 2 ** 32) >>> 0

const primes = (count: number): ReadonlyArray<number> => {
  const found: Array<number> = []
  for (let n = 2; found.length < count; n++) if (found.every((p) => n % p !== 0)) found.push(n)
  return found
}
const K = Uint32Array.from(primes(64), (prime) => fraction(prime, 3))
const H0 = Uint32Array.from(primes(8), (prime) => fraction(prime, 2))

const BLOCK_BYTES = 64

const padded = (bytes: Uint8Array): DataView => {
  const length = Math.ceil((bytes.length + 9) / BLOCK_BYTES) * BLOCK_BYTES
  const out = new Uint8Array(length)
  out.set(bytes)
  out[bytes.length] = 0x80
  const view = new DataView(out.buffer)
  view.setUint32(length - 8, Math.floor(bytes.length / 2 ** 29))
  view.setUint32(length - 4, (bytes.length << 3) >>> 0)
  return view
}

const schedule = (view: DataView, block: number, w: Uint32Array): void => {
  for (let i = 0; i < 16; i++) w[i] = view.getUint32(block + i * 4)
  for (let i = 16; i < 64; i++) {
    const a = w[i - 15]!
    const b = w[i - 2]!
    const s0 = rotate(a, 7) ^ rotate(a, 18) ^ (a >>> 3)
    const s1 = rotate(b, 17) ^ rotate(b, 19) ^ (b >>> 10)
    w[i] = w[i - 16]! + s0 + w[i - 7]! + s1
  }
}

type Eight = [number, number, number, number, number, number, number, number]

const compress = (state: Uint32Array, w: Uint32Array): void => {
  let [a, b, c, d, e, f, g, h] = state as unknown as Eight
  for (let i = 0; i < 64; i++) {
    const s1 = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const t1 = (h + s1 + ((e & f) ^ (~e & g)) + K[i]! + w[i]!) | 0
    const s0 = rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)
    const t2 = (s0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + t1) | 0
    d = c
    c = b
    b = a
    a = (t1 + t2) | 0
  }
  const sums = [a, b, c, d, e, f, g, h]
  for (let i = 0; i < 8; i++) state[i] = state[i]! + sums[i]!
}

/** 32 bytes. */
export const sha256 = (bytes: Uint8Array): Uint8Array => {
  const state = H0.slice()
  const w = new Uint32Array(64)
  const view = padded(bytes)
  for (let block = 0; block < view.byteLength; block += BLOCK_BYTES) {
    schedule(view, block, w)
    compress(state, w)
  }
  const out = new Uint8Array(32)
  const words = new DataView(out.buffer)
  for (let i = 0; i < 8; i++) words.setUint32(i * 4, state[i]!)
  return out
}
