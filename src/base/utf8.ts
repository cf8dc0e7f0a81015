/** UTF-8 for the pure floors, which have no TextEncoder. */

/** The code point at `i`; U+FFFD for a lone surrogate. */
export const scalarAt = (text: string, i: number): number => {
  const unit = text.charCodeAt(i)
  if (unit < 0xd800 || unit > 0xdfff) return unit
  const point = text.codePointAt(i)!
  return point > 0xffff ? point : 0xfffd
}

export const utf8Bytes = (text: string): number => {
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const point = scalarAt(text, i)
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4
    if (point > 0xffff) i++
  }
  return bytes
}

/** The longest beginning of `text` that has at most `bytesMax` bytes of UTF-8. */
export const utf8Cut = (text: string, bytesMax: number): string => {
  if (3 * text.length <= bytesMax) return text
  let bytes = 0
  for (let i = 0; i < text.length; i++) {
    const point = scalarAt(text, i)
    bytes += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x1_0000 ? 3 : 4
    if (bytes > bytesMax) return text.slice(0, i)
    if (point > 0xffff) i++
  }
  return text
}

/** `undefined` for what is not UTF-8: overlong forms, surrogates, torn sequences. */
export const utf8Decode = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  let text = ""
  for (let at = start; at < end; ) {
    const first = bytes[at]!
    const size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    if (size === 0 || first > 0xf4 || at + size > end) return undefined
    let point = size === 1 ? first : first & (0x7f >> size)
    for (let i = 1; i < size; i++) {
      const next = bytes[at + i]!
      if ((next & 0xc0) !== 0x80) return undefined
      point = (point << 6) | (next & 0x3f)
    }
    const least = size === 3 ? 0x800 : size === 4 ? 0x1_0000 : 0
    if (point < least || point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    text += String.fromCodePoint(point)
    at += size
  }
  return text
}
