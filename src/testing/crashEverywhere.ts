/**
 * Every place at which a process can die: after each step of its engine, before what that step says
 * has left, and after each thing its disk did. Not sampled: counted in a run without crashes, then
 * tried one by one.
 */
import type { NodeId } from "../base/NodeId.ts"
import { type SimulateOptions, type SimulationRun, simulate } from "./simulate.ts"

export interface CrashPoint {
  readonly node: NodeId
  readonly what: "step" | "disk"
  /** It dies after its 1st, 2nd, 3rd … of these. */
  readonly after: number
}

/** All crash points of a run, which must be one without other faults. */
export const crashPoints = (options: SimulateOptions): ReadonlyArray<CrashPoint> => {
  const points: Array<CrashPoint> = []
  const run = simulate({
    ...options,
    kills: (node, what, after) => {
      points.push({ node, what, after })
      return false
    }
  })
  if (run.failure !== undefined) throw new Error(`without a crash: ${run.failure}`)
  return points
}

/**
 * The run in which one process dies, and is started again.
 * @param again it dies once more after so many steps or operations; 0: only once
 */
export const crashAt = (options: SimulateOptions, point: CrashPoint, again = 0): SimulationRun =>
  simulate({
    ...options,
    kills: (node, what, after) =>
      node === point.node &&
      what === point.what &&
      (after === point.after || after === point.after + again)
  })
