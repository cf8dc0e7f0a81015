/** In hexadecimal, lower case. */
export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

const HEX = /^([0-9a-f]{2})*$/
/** The bytes that {@link hexOf} writes so; `undefined`: it is none. */
export const bytesOfHex = (hex: string): Uint8Array | undefined => {
  if (!HEX.test(hex)) return undefined
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(hex.slice(2 * i, 2 * i + 2), 16)
  }
  return bytes
}

/** No bytes: shared, since nobody can write into it. */
export const NO_BYTES: Uint8Array = new Uint8Array(0)

export const bytesEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a === b) return true
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

/** Takes as long whichever byte differs: for what a stranger must not find byte by byte. */
export const secretsEqual = (a: Uint8Array, b: Uint8Array): boolean => {
  if (a.length !== b.length) return false
  let differs = 0
  for (let i = 0; i < a.length; i++) differs |= a[i]! ^ b[i]!
  return differs === 0
}
