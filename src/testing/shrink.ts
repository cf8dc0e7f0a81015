import { type SimulateOptions, type SimulationRun, simulate } from "./simulate.ts"

/**
 * Leaves out planned faults of a failing run while it still fails: first many at once, then one by
 * one. The failure may change on the way; what is left fails, and fails without none of them.
 * @returns the last run that failed, and the numbers of the faults it went without
 */
export const shrink = (
  options: SimulateOptions
): { readonly run: SimulationRun; readonly drop: ReadonlySet<number> } | undefined => {
  let drop = new Set(options.drop)
  let run = simulate({ ...options, drop })
  if (run.failure === undefined) return undefined
  for (let size = Math.ceil(run.faults.length / 2); size >= 1; size = Math.floor(size / 2)) {
    let left = run.faults.map((_, i) => i + 1).filter((number) => !drop.has(number))
    for (let at = 0; at < left.length; ) {
      const fewer = new Set([...drop, ...left.slice(at, at + size)])
      const tried = simulate({ ...options, drop: fewer })
      if (tried.failure === undefined) at += size
      else {
        drop = fewer
        run = tried
        left = left.filter((number) => !drop.has(number))
      }
    }
  }
  return { run, drop }
}
