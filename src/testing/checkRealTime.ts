/**
 * What has an answer has happened: a call that begins later comes later in the lane. Together with
 * the run in order this makes the application linearizable, for calls that go through the lane.
 * Reads by the directive `read` have no place in it, and are not judged here.
 */
import type { LaneKey } from "../server/laneKey.ts"
import type { CallKey } from "./checkAnswers.ts"

/** Where a call's command is decided. */
export interface Place {
  readonly lane: LaneKey
  readonly index: number
  /** Its place in the batch, from 0. */
  readonly at: number
}

/** A call as its client saw it; virtual time, the same clock for all clients. */
export interface TimedCall {
  readonly number: number
  readonly key: CallKey | undefined
  readonly calledMs: number
  /** Absent: the client never had an answer. */
  readonly answeredMs: number | undefined
}

/**
 * The first call, in the order of their beginnings, that stands before one that was answered by
 * then. One that was never answered may stand anywhere from its beginning on.
 * @param placeOf where a call stands first: an application runs it once, there
 */
export const outOfTime = (
  calls: ReadonlyArray<TimedCall>,
  placeOf: (call: CallKey) => Place | undefined
): string | undefined => {
  const placed = calls.flatMap((call) => {
    const place = call.key === undefined ? undefined : placeOf(call.key)
    return place === undefined ? [] : [{ ...call, place, answeredMs: call.answeredMs ?? Infinity }]
  })
  const byAnswer = placed.toSorted((a, b) => a.answeredMs - b.answeredMs)
  /** By lane, the last place among calls answered so far. */
  const latest = new Map<LaneKey, (typeof placed)[number]>()
  let next = 0
  for (const call of placed.toSorted((a, b) => a.calledMs - b.calledMs)) {
    // Within one millisecond nobody knows which was first.
    for (; byAnswer[next] && byAnswer[next]!.answeredMs < call.calledMs; next++) {
      const answered = byAnswer[next]!
      const last = latest.get(answered.place.lane)
      if (last === undefined || before(last.place, answered.place)) {
        latest.set(answered.place.lane, answered)
      }
    }
    const last = latest.get(call.place.lane)
    if (last === undefined || !before(call.place, last.place)) continue
    const which = `call ${call.number} began at ${call.calledMs} ms and is at ${text(call.place)}`
    const other = `call ${last.number} was answered at ${last.answeredMs} ms`
    return `real time: ${which}; ${other} and is at ${text(last.place)}`
  }
  return undefined
}

const before = (a: Place, b: Place): boolean =>
  a.index < b.index || (a.index === b.index && a.at < b.at)

const text = ({ index, at }: Place): string => `index ${index}, place ${at}`
