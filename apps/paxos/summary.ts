/** Latencies by kind of command, and a table of them. */
export class Summary {
  private readonly samplesMs = new Map<string, Array<number>>()
  private failures = 0

  add(kind: string, ms: number): void {
    const samples = this.samplesMs.get(kind)
    if (samples === undefined) this.samplesMs.set(kind, [ms])
    else samples.push(ms)
  }

  /** A line that could not be read or executed. */
  fail(): void {
    this.failures++
  }

  /** One line per kind, milliseconds, and one for the lines that failed. */
  lines(): ReadonlyArray<string> {
    if (this.samplesMs.size === 0 && this.failures === 0) return ["no commands"]
    const head = "command  count     min  median     p99     max  (ms)"
    const rows = [...this.samplesMs].map(([kind, samples]) => {
      const sorted = samples.toSorted((a, b) => a - b)
      const at = (part: number): string => {
        const rank = Math.min(sorted.length - 1, Math.floor(part * sorted.length))
        return sorted[rank]!.toFixed(1).padStart(8)
      }
      const count = String(sorted.length).padStart(7)
      return `${kind.padEnd(7)}${count}${at(0)}${at(0.5)}${at(0.99)}${at(1)}`
    })
    if (this.failures > 0) rows.push(`${"failed".padEnd(7)}${String(this.failures).padStart(7)}`)
    return [head, ...rows]
  }
}
