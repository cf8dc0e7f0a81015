/** `quorate.v1.Batch`: a packet as one message. */
import { Writer } from "../base/wire.ts"
import type { Packet } from "./ports.ts"
import { TAG_BYTES } from "./sealing.ts"

/** Field number * 8 + wire type. */
export const BATCH_FRAME_FIELD = 0x0a
export const BATCH_TAG_FIELD = 0x12
/** What the fields add to a frame at most, tag included. */
export const BATCH_FIELD_BYTES_MAX = 6 + 2 + TAG_BYTES

const writer = new Writer(1024)

export const encodeBatch = ({ frame, tag }: Packet): Uint8Array => {
  writer.clear()
  writer.reserve(frame.length + BATCH_FIELD_BYTES_MAX)
  writer.byte(BATCH_FRAME_FIELD)
  writer.block(frame)
  if (tag !== undefined) {
    writer.byte(BATCH_TAG_FIELD)
    writer.block(tag)
  }
  return writer.take()
}

/** The packet in a Batch: its two fields, once each, or absent where they are empty. */
export const decodeBatch = (bytes: Uint8Array): Packet | undefined => {
  if (bytes.length === 0) return { frame: bytes }
  if (bytes[0] !== BATCH_FRAME_FIELD) return undefined
  let length = 0
  let at = 1
  for (let shift = 0; ; shift += 7) {
    const byte = bytes[at++]
    if (byte === undefined || shift > 28) return undefined
    length += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) break
  }
  const end = at + length
  if (end > bytes.length) return undefined
  const frame = bytes.subarray(at, end)
  if (end === bytes.length) return { frame }
  const tagged = bytes[end] === BATCH_TAG_FIELD && bytes[end + 1] === TAG_BYTES
  if (!tagged || end + 2 + TAG_BYTES !== bytes.length) return undefined
  return { frame, tag: bytes.subarray(end + 2) }
}
