/** Why a link, or a group's part of it, was refused or ended: `quorate.v1.Goodbye`. */
import { type ErrorCode, errorCodeNumber, errorCodeOf } from "../base/errorCode.ts"
import { utf8Cut } from "../base/utf8.ts"
import { Reader, Writer } from "../base/wire.ts"
import { DETAIL_BYTES_MAX } from "./envelope.ts"

/** Why a link or channel was refused or ended: `detail` says what, and what to do. */
export interface Goodbye {
  readonly code: ErrorCode
  readonly detail: string
}

export const encodeGoodbye = (goodbye: Goodbye): Uint8Array => {
  const detail = utf8Cut(goodbye.detail, DETAIL_BYTES_MAX)
  const writer = new Writer(64)
  writer.reserve(16 + 3 * detail.length)
  writer.byte(0x08)
  writer.uint(errorCodeNumber(goodbye.code))
  if (detail !== "") {
    writer.byte(0x12)
    writer.text(detail)
  }
  return writer.take()
}

export const readGoodbye = (outer: Reader): Goodbye | undefined => {
  const reader = inner(outer)
  let number = 0
  let detail = ""
  while (reader.more) {
    const tag = reader.uint32()
    if (tag === 0x08) number = reader.uint()
    else if (tag === 0x12) detail = reader.text(DETAIL_BYTES_MAX)
    else if (tag >>> 3 <= 2) reader.fail()
    else reader.skip(tag & 7)
  }
  const code = errorCodeOf(number)
  if (reader.ok && code !== undefined) return { code, detail }
  outer.fail()
  return undefined
}

/** A reader over the block that `outer` stands before; `outer` passes it. */
export const inner = (outer: Reader): Reader => {
  const reader = new Reader()
  const length = outer.blockLength(outer.bytes.length)
  reader.set(outer.bytes, outer.at, outer.at + length)
  outer.at += length
  return reader
}
