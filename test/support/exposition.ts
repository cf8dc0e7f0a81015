/**
 * A strict reader of Prometheus' text format: throws on what the format or good habit forbids.
 * @source https://prometheus.io/docs/instrumenting/exposition_formats, "Text-based format" 0.0.4
 */
export interface ReadFamily {
  readonly help: string
  readonly type: string
  /** By the text before the value, e.g. `a_total{x="1"}`. */
  readonly series: ReadonlyMap<string, number>
}

const NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/
const SERIES = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/
const NUMBER = /^(?:[-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|Inf)|NaN)$/
const SUFFIXES = ["_bucket", "_sum", "_count"]

export const readExposition = (text: string): ReadonlyMap<string, ReadFamily> => {
  if (!text.endsWith("\n")) throw new Error("the last line does not end")
  const families = new Map<string, ReadFamily & { readonly series: Map<string, number> }>()
  let name = ""
  let help = ""
  for (const line of text.slice(0, -1).split("\n")) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment?.[1] === "HELP") {
      name = comment[2]!
      help = comment[3]!
      if (families.has(name)) throw new Error(`${name} comes twice`)
    } else if (comment !== null) {
      if (comment[2] !== name) throw new Error(`the type of ${comment[2]} has no help before it`)
      if (!NAME.test(name)) throw new Error(`${name} is no name`)
      families.set(name, { help, type: checkedType(name, comment[3]!), series: new Map() })
    } else {
      const family = families.get(name)
      if (family === undefined) throw new Error(`no family for: ${line}`)
      readSeries(line, name, family)
    }
  }
  for (const [family, { type, series }] of families) {
    if (type === "histogram") checkHistogram(family, series)
  }
  return families
}

const checkedType = (name: string, type: string): string => {
  if (!["counter", "gauge", "histogram"].includes(type)) throw new Error(`${name}: ${type}`)
  if ((type === "counter") !== name.endsWith("_total")) throw new Error(`${name} is a ${type}`)
  return type
}

const readSeries = (
  line: string,
  family: string,
  { type, series }: ReadFamily & { readonly series: Map<string, number> }
): void => {
  const [, name, labels = "", value] = SERIES.exec(line) ?? []
  if (name === undefined || !NUMBER.test(value!)) throw new Error(`no sample: ${line}`)
  const known = type === "histogram" ? SUFFIXES.map((suffix) => family + suffix) : [family]
  if (!known.includes(name)) throw new Error(`${name} stands below ${family}`)
  const seen = new Set<string>()
  for (let rest = labels; rest !== ""; ) {
    const [whole, label] = LABEL.exec(rest) ?? []
    if (whole === undefined || seen.has(label!)) throw new Error(`bad labels: ${line}`)
    seen.add(label!)
    rest = rest.slice(whole.length)
  }
  const key = labels === "" ? name : `${name}{${labels}}`
  if (series.has(key)) throw new Error(`twice: ${key}`)
  const number = value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value)
  if (type === "counter" && !(number >= 0)) throw new Error(`a counter below 0: ${line}`)
  series.set(key, number)
}

/** Buckets rise with their bounds, and the last one has all. */
const checkHistogram = (name: string, series: ReadonlyMap<string, number>): void => {
  const byLabels = new Map<string, Array<readonly [number, number]>>()
  for (const [key, value] of series) {
    const bucket = /_bucket\{(.*?),?le="([^"]+)"\}$/.exec(key)
    if (bucket === null) continue
    const bound = bucket[2] === "+Inf" ? Number.POSITIVE_INFINITY : Number(bucket[2])
    byLabels.set(bucket[1]!, [...(byLabels.get(bucket[1]!) ?? []), [bound, value]])
  }
  for (const [labels, buckets] of byLabels) {
    const of = (suffix: string) => series.get(name + suffix + (labels === "" ? "" : `{${labels}}`))
    const rises = buckets.every(
      ([bound, count], i) => i === 0 || (bound > buckets[i - 1]![0] && count >= buckets[i - 1]![1])
    )
    const [bound, count] = buckets.at(-1)!
    if (!rises || bound !== Number.POSITIVE_INFINITY) throw new Error(`buckets of ${name}`)
    if (count !== of("_count") || of("_sum") === undefined) throw new Error(`count of ${name}`)
  }
}
