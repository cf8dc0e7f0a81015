/** Latencies by kind of command, and a table of them. */
export class Summary {
  private readonly samplesMs = new Map<string, Array<number>>()

  add(kind: string, ms: number): void {
    const samples = this.samplesMs.get(kind)
    if (samples === undefined) this.samplesMs.set(kind, [ms])
    else samples.push(ms)
  }

  /** One line per kind, milliseconds. */
  lines(): ReadonlyArray<string> {
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
    return [head, ...rows]
  }
}
