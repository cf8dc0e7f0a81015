/**
 * What a process counts, as monitoring systems read it: families of samples with labels. Made when
 * somebody reads; what runs for every message counts in plain numbers.
 */
import { assert } from "./assert.ts"

export type Labels = { readonly [name: string]: string }

export interface Sample {
  readonly labels: Labels
  readonly value: number
}
/** How often a value was at or below each bound; the last count is of all others. */
export interface Distribution {
  readonly labels: Labels
  readonly bounds: ReadonlyArray<number>
  readonly counts: ReadonlyArray<number>
  readonly sum: number
}

export type Family = {
  /** Letters, digits and `_`; ends in its unit, a counter in `_total`. */
  readonly name: string
  /** One line. */
  readonly help: string
} & (
  | { readonly type: "counter" | "gauge"; readonly samples: ReadonlyArray<Sample> }
  | { readonly type: "histogram"; readonly samples: ReadonlyArray<Distribution> }
)

/** Seconds. @source https://prometheus.io/docs/practices/histograms: some buckets a decade */
export const LATENCY_BOUNDS_SEC: ReadonlyArray<number> = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10
]

/** Fixed buckets in one typed array: to add a value is a few comparisons. */
export class Histogram {
  private readonly bounds: ReadonlyArray<number>
  private readonly counts: Float64Array
  private sum = 0

  constructor(bounds: ReadonlyArray<number> = LATENCY_BOUNDS_SEC) {
    assert(
      bounds.every((bound, i) => i === 0 || bound > bounds[i - 1]!),
      "bounds rise"
    )
    this.bounds = bounds
    this.counts = new Float64Array(bounds.length + 1)
  }

  add(value: number): void {
    const { bounds } = this
    let i = 0
    while (i < bounds.length && value > bounds[i]!) i++
    this.counts[i]!++
    this.sum += value
  }

  read(labels: Labels): Distribution {
    return { labels, bounds: this.bounds, counts: [...this.counts], sum: this.sum }
  }
}

/** A sample for each entry of a table of counts. */
export const samplesOf = (
  counts: { readonly [key: string]: number },
  label: string,
  labels: Labels
): ReadonlyArray<Sample> =>
  Object.entries(counts).map(([key, value]) => ({ labels: { ...labels, [label]: key }, value }))

/** One family a name: samples with the same labels, e.g. of two clients, are added up. */
export const mergeFamilies = (families: ReadonlyArray<Family>): ReadonlyArray<Family> => {
  const byName = new Map<string, Family>()
  for (const family of families) {
    const known = byName.get(family.name)
    byName.set(family.name, known === undefined ? family : joined(known, family))
  }
  return [...byName.values()].map(summed).sort((a, b) => (a.name < b.name ? -1 : 1))
}

const joined = (a: Family, b: Family): Family => {
  assert(a.type === b.type, "a name has one type")
  return { ...a, samples: [...a.samples, ...b.samples] } as Family
}

const summed = (family: Family): Family =>
  family.type === "histogram"
    ? { ...family, samples: added(family.samples, addDistributions) }
    : { ...family, samples: added(family.samples, addSamples) }

const added = <S extends { readonly labels: Labels }>(
  samples: ReadonlyArray<S>,
  add: (a: S, b: S) => S
): ReadonlyArray<S> => {
  const byLabels = new Map<string, S>()
  for (const sample of samples) {
    const key = JSON.stringify(Object.entries(sample.labels).sort())
    const known = byLabels.get(key)
    byLabels.set(key, known === undefined ? sample : add(known, sample))
  }
  return [...byLabels.values()]
}
const addSamples = (a: Sample, b: Sample): Sample => ({ ...a, value: a.value + b.value })
const addDistributions = (a: Distribution, b: Distribution): Distribution => {
  assert(a.bounds.length === b.bounds.length, "a family has the same bounds everywhere")
  return { ...a, counts: a.counts.map((n, i) => n + b.counts[i]!), sum: a.sum + b.sum }
}

/** All that one process counts: nodes and clients add themselves, and leave when they end. */
export class Meters {
  private readonly sources = new Set<() => ReadonlyArray<Family>>()

  /** What is returned takes it out again. */
  add(source: () => ReadonlyArray<Family>): () => void {
    this.sources.add(source)
    return () => this.sources.delete(source)
  }

  read(): ReadonlyArray<Family> {
    return mergeFamilies([...this.sources].flatMap((source) => source()))
  }
}
