const HEX: ReadonlyArray<string> = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, "0")
)

/** In hexadecimal, lower case. */
export const hexOf = (bytes: Uint8Array): string => {
  let text = ""
  for (let i = 0; i < bytes.length; i++) text += HEX[bytes[i]!]!
  return text
}

/** The bytes that {@link hexOf} writes so; `undefined`: it is none. */
export const bytesOfHex = (hex: string): Uint8Array | undefined => {
  if (hex.length % 2 !== 0) return undefined
  const bytes = new Uint8Array(hex.length / 2)
  for (let i = 0; i < bytes.length; i++) {
    const byte = 16 * digitOf(hex, 2 * i) + digitOf(hex, 2 * i + 1)
    if (byte < 0) return undefined
    bytes[i] = byte
  }
  return bytes
}

/** Far below 0 for what is no digit, or an upper-case one. */
const digitOf = (hex: string, at: number): number => {
  const code = hex.charCodeAt(at)
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  return code >= 0x61 && code <= 0x66 ? code - 0x57 : -1000
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
