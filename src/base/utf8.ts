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

/** Units of a string in the making: joined so many at a time, which is ten times as fast as one. */
const units = new Uint16Array(1024)

const joined = (count: number): string => {
  if (count > 64) {
    const made = units.subarray(0, count) as unknown as Array<number>
    return String.fromCharCode.apply(undefined, made)
  }
  let text = ""
  for (let i = 0; i < count; i++) text += String.fromCharCode(units[i]!)
  return text
}

/** `undefined` for what is not UTF-8: overlong forms, surrogates, torn sequences. */
export const utf8Decode = (bytes: Uint8Array, start: number, end: number): string | undefined => {
  let text = ""
  let count = 0
  for (let at = start; at < end; ) {
    if (count > units.length - 2) {
      text += joined(count)
      count = 0
    }
    const first = bytes[at]!
    if (first < 0x80) {
      units[count++] = first
      at++
      continue
    }
    const size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4
    if (size === 0 || first > 0xf4 || at + size > end) return undefined
    let point = first & (0x7f >> size)
    for (let i = 1; i < size; i++) {
      const next = bytes[at + i]!
      if ((next & 0xc0) !== 0x80) return undefined
      point = (point << 6) | (next & 0x3f)
    }
    const least = size === 3 ? 0x800 : size === 4 ? 0x1_0000 : 0
    if (point < least || point > 0x10_ffff || (point >= 0xd800 && point <= 0xdfff)) return undefined
    if (point < 0x1_0000) units[count++] = point
    else {
      units[count++] = 0xd800 + ((point - 0x1_0000) >> 10)
      units[count++] = 0xdc00 + ((point - 0x1_0000) & 0x3ff)
    }
    at += size
  }
  return text + joined(count)
}
