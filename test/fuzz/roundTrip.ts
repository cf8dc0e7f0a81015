/** What is decoded can be encoded, and is decoded the same again. */
import { isDeepStrictEqual } from "node:util"

export const roundTrip = <A>(
  bytes: Uint8Array,
  decode: (bytes: Uint8Array) => A | undefined,
  encode: (value: A) => Uint8Array
): boolean => {
  const value = decode(bytes)
  if (value === undefined) return false
  // Encoders may keep their bytes in the value.
  const written = encode(structured(value))
  const again = decode(written)
  if (again === undefined) throw new Error("what was decoded and encoded is refused")
  if (!isDeepStrictEqual(again, value)) throw new Error("decoded, encoded and decoded, it differs")
  if (Buffer.compare(encode(structured(again)), written) !== 0) {
    throw new Error("encoded twice, its bytes differ")
  }
  return true
}

/** A copy as deep as encoders write into. */
const structured = <A>(value: A): A => {
  if (Array.isArray(value)) return value.map(structured) as A
  if (typeof value !== "object" || value === null) return value
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  return Object.fromEntries(Object.entries(value).map(([key, it]) => [key, structured(it)])) as A
}
