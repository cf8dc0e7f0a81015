/** Curves of memory: how they look, and whether they rise. */

const BARS = "▁▂▃▄▅▆▇█"
const MIB = 2 ** 20
/** Fewer show how programs begin, and no growth. */
const SAMPLES_MIN = 20

/** A character for each value, from the lowest to the highest. */
export const drawn = (values: ReadonlyArray<number>): string => {
  const [least, most] = [Math.min(...values), Math.max(...values)]
  const level = (value: number): number =>
    most === least ? 0 : Math.round(((value - least) / (most - least)) * (BARS.length - 1))
  return values.map((value) => BARS[level(value)]!).join("")
}

const median = (values: ReadonlyArray<number>): number => {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/**
 * What the values rise by from their first to their last, by the median of the slopes of all pairs:
 * a few odd values move it little. @source Sen, J. Amer. Statist. Assoc. 63, 1968
 */
export const rise = (values: ReadonlyArray<number>): number => {
  if (values.length < 2) return 0
  const slopes: Array<number> = []
  for (let i = 0; i < values.length; i++) {
    for (let j = i + 1; j < values.length; j++) slopes.push((values[j]! - values[i]!) / (j - i))
  }
  return median(slopes) * (values.length - 1)
}

export interface Verdict {
  readonly name: string
  readonly curve: string
  readonly medianMiB: number
  readonly riseMiB: number
  /** A larger rise is growth. */
  readonly riseMiBMax: number
  readonly flat: boolean
}

/** Of the curve behind its first tenth. Flat: it rises no more than by `share`, or a floor. */
export const judged = (
  name: string,
  values: ReadonlyArray<number>,
  { share, floorMiB }: { readonly share: number; readonly floorMiB: number }
): Verdict => {
  const settled = values.slice(Math.floor(values.length / 10))
  const middle = median(settled) / MIB
  const riseMiB = rise(settled) / MIB
  const riseMiBMax = Math.max(share * middle, floorMiB)
  const flat = settled.length < SAMPLES_MIN || riseMiB <= riseMiBMax
  return { name, curve: drawn(values), medianMiB: middle, riseMiB, riseMiBMax, flat }
}

export const verdictText = ({ name, curve, medianMiB, riseMiB, riseMiBMax, flat }: Verdict) => {
  const rises = `${riseMiB >= 0 ? "+" : ""}${riseMiB.toFixed(1)} MiB`
  const verdict = flat ? "flat" : `RISES, at most ${riseMiBMax.toFixed(1)} may be`
  return `${name.padEnd(14)} ${curve} ${medianMiB.toFixed(1)} MiB, ${rises}: ${verdict}`
}
