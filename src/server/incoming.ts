/** What a word must be to count as a vote, whichever way it came. */
import type { Method } from "./handlers.ts"
import { COUNT_MAX, isSession } from "./laneKey.ts"
import { type Instance, type Lane, ProtocolLane } from "./lanes.ts"
import type { Word } from "./Message.ts"

type Named = Pick<Word, "lane" | "index" | "method" | "round">

export const countable = (word: Word): boolean =>
  word.position <= COUNT_MAX && word.index <= COUNT_MAX && word.ackedBelow <= COUNT_MAX

/** The word names a phase, and a lane and a round of its kind. */
export const fits = (method: Method, word: Named): boolean =>
  method.call === "phase" &&
  (method.keyed.lane === undefined ? isSession(word.lane) : method.keyed.lane === word.lane) &&
  word.index >= 1 &&
  word.round < method.rounds

/** The instance at `index` where it takes votes now; a call's is there once somebody opened it. */
export const votable = (lane: Lane, index: number): Instance | undefined => {
  if (lane.finished(index) || !lane.inWindow(index)) return undefined
  const instance = lane.open.get(index)
  if (instance !== undefined) return instance.ended ? undefined : instance
  return lane instanceof ProtocolLane ? lane.instance(index) : undefined
}

/** The message of a word, or why there is none. */
export const read = (
  method: Method,
  word: Named & Pick<Word, "body">
): object | "malformed" | "key_mismatch" => {
  try {
    const message = method.spec.input.decode(word.body)
    return keyMatches(method, message, word) ? message : "key_mismatch"
  } catch {
    return "malformed"
  }
}

/** The message itself must say what its envelope says: tallies go by the envelope. */
const keyMatches = (method: Method, message: object, word: Named): boolean => {
  const { lane, index, round } = method.keyed
  return (
    (lane === undefined || index!(message) === word.index) && (round?.(message) ?? 0) === word.round
  )
}
