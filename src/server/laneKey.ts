import { assert } from "../base/assert.ts"

/**
 * The name of a lane as a map key. A session's key is 22 characters, one per byte of its id
 * (`opened` in 6 bytes, big endian, then 16 bytes of digest); a protocol lane's key is its name,
 * which is shorter. So the two never collide and `opened` is read off the key.
 */
export type LaneKey = string

export const SESSION_BYTES = 22
const OPENED_BYTES = 6
/**
 * Positions and indexes from others end here. No honest one comes so far, and sums with those
 * below stay exact.
 */
export const COUNT_MAX = 2 ** 52
/** Calls of a session end here: a CallId holds 32 bits. */
export const CALL_INDEX_MAX = 2 ** 32 - 1
export const LANE_NAME = /^[a-z][a-zA-Z0-9]{0,19}$/

export const isSession = (lane: LaneKey): boolean => lane.length === SESSION_BYTES

/** @param digest 16 bytes */
export const sessionKey = (openedMs: number, digest: Uint8Array): LaneKey => {
  assert(digest.length === SESSION_BYTES - OPENED_BYTES, "a session digest has 16 bytes")
  let key = ""
  for (let i = OPENED_BYTES - 1, rest = openedMs; i >= 0; i--, rest = Math.floor(rest / 256)) {
    key = String.fromCharCode(rest % 256) + key
  }
  return key + laneOfBytes(digest)
}

/** A session's time has six bytes, and comes after a horizon. */
export const HORIZON_MS_MAX = 256 ** OPENED_BYTES - 2

/** Milliseconds since 1970 at which the session says it was opened. */
export const openedMs = (session: LaneKey): number => {
  let ms = 0
  for (let i = 0; i < OPENED_BYTES; i++) ms = ms * 256 + session.charCodeAt(i)
  return ms
}

/** Any bytes to a key, one character a byte. */
export const laneOfBytes = (bytes: Uint8Array): LaneKey => {
  let key = ""
  for (let i = 0; i < bytes.length; i++) key += String.fromCharCode(bytes[i]!)
  return key
}

export const laneBytes = (lane: LaneKey): Uint8Array => {
  const bytes = new Uint8Array(lane.length)
  for (let i = 0; i < lane.length; i++) bytes[i] = lane.charCodeAt(i)
  return bytes
}

/** For people: a lane's name, or the session in hexadecimal. */
export const laneText = (lane: LaneKey): string => {
  if (!isSession(lane)) return lane
  let text = ""
  for (let i = 0; i < lane.length; i++) text += lane.charCodeAt(i).toString(16).padStart(2, "0")
  return text
}
