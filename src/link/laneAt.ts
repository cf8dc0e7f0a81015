import type { LaneKey } from "../server/laneKey.ts"
import { LANE_NAME, SESSION_BYTES } from "../server/laneKey.ts"
import type { Reader } from "../base/wire.ts"

/** Reads a block that is a session's id or a protocol lane's name; else fails the reader: "". */
export const laneAt = (reader: Reader): LaneKey => {
  const length = reader.blockLength(SESSION_BYTES)
  if (length === 0) {
    reader.fail()
    return ""
  }
  const b = reader.bytes
  const i = reader.at
  reader.at = i + length
  // One call instead of a sum of characters: the string is flat, and hashed once.
  if (length === SESSION_BYTES) return sessionAt(b, i)
  let name = ""
  for (let k = 0; k < length; k++) name += String.fromCharCode(b[i + k]!)
  if (LANE_NAME.test(name)) return name
  reader.fail()
  return ""
}

// biome-ignore format: one line a row
const sessionAt = (b: Uint8Array, i: number): LaneKey =>
  String.fromCharCode(
    b[i]!, b[i + 1]!, b[i + 2]!, b[i + 3]!, b[i + 4]!, b[i + 5]!,
    b[i + 6]!, b[i + 7]!, b[i + 8]!, b[i + 9]!, b[i + 10]!, b[i + 11]!, b[i + 12]!, b[i + 13]!,
    b[i + 14]!, b[i + 15]!, b[i + 16]!, b[i + 17]!, b[i + 18]!, b[i + 19]!, b[i + 20]!, b[i + 21]!
  )
