/** The eight points of ed25519 whose order divides 8: for such a key anybody can sign anything. */
import { bytesEqual } from "./bytes.ts"

const point = (first: number, middle: number, last: number): Uint8Array => {
  const bytes = new Uint8Array(32).fill(middle)
  bytes[0] = first
  bytes[31] = last
  return bytes
}
const ORDER_8 = "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"
const MINUS_ORDER_8 = "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a"
const ofHex = (hex: string): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16))

/** Each y, in each of its encodings; x and -x differ in the highest bit alone. */
const SMALL_ORDER_Y: ReadonlyArray<Uint8Array> = [
  point(0, 0, 0),
  point(1, 0, 0),
  point(0xec, 0xff, 0x7f),
  // 0 and 1, not reduced
  point(0xed, 0xff, 0x7f),
  point(0xee, 0xff, 0x7f),
  ofHex(ORDER_8),
  ofHex(MINUS_ORDER_8)
]

/** @param bytes a key, or a signature: it begins with a point too */
export const isSmallOrder = (bytes: Uint8Array): boolean => {
  const y = bytes.slice(0, 32)
  y[31]! &= 0x7f
  return SMALL_ORDER_Y.some((small) => bytesEqual(small, y))
}
