/** In hexadecimal, lower case. */
export const hexOf = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")

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
