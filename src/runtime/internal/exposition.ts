/**
 * Families as text.
 * @source https://prometheus.io/docs/instrumenting/exposition_formats, "Text-based format" 0.0.4
 */
import type { Distribution, Family, Labels } from "../../base/families.ts"

export const EXPOSITION_TYPE = "text/plain; version=0.0.4; charset=utf-8"

export const exposition = (families: ReadonlyArray<Family>): string =>
  families.map((family) => `${familyText(family)}\n`).join("")

const familyText = (family: Family): string => {
  const { name, help, type } = family
  const head = [`# HELP ${name} ${escapedHelp(help)}`, `# TYPE ${name} ${type}`]
  if (family.type !== "histogram") {
    const lines = family.samples.map(({ labels, value }) => line(name, labels, value))
    return [...head, ...lines].join("\n")
  }
  return [...head, ...family.samples.flatMap((sample) => histogramLines(name, sample))].join("\n")
}

const histogramLines = (
  name: string,
  { labels, bounds, counts, sum }: Distribution
): ReadonlyArray<string> => {
  let below = 0
  const buckets = counts.map((count, i) => {
    below += count
    const le = i < bounds.length ? String(bounds[i]) : "+Inf"
    return line(`${name}_bucket`, { ...labels, le }, below)
  })
  return [...buckets, line(`${name}_sum`, labels, sum), line(`${name}_count`, labels, below)]
}

const line = (name: string, labels: Labels, value: number): string => {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escapedLabel(text)}"`)
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${number(value)}`
}

const number = (value: number): string => {
  if (Number.isNaN(value)) return "NaN"
  if (Number.isFinite(value)) return String(value)
  return value > 0 ? "+Inf" : "-Inf"
}
const escapedHelp = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")
const escapedLabel = (text: string): string => escapedHelp(text).replaceAll('"', '\\"')
