/** Lines for the operator, at a bounded rate: what a peer can cause, it can cause without end. */
const LINES_MAX = 10
const WINDOW_MS = 10_000

export class Reporter {
  private readonly print: (line: string) => void
  private readonly nowMs: () => number
  private sinceMs = 0
  private shown = 0
  private hidden = 0

  constructor(print: (line: string) => void, nowMs: () => number) {
    this.print = print
    this.nowMs = nowMs
  }

  /** At most 10 lines in 10 s are printed; the rest is counted, and the next line says how many. */
  say(text: string): void {
    const now = this.nowMs()
    if (now >= this.sinceMs + WINDOW_MS) {
      this.sinceMs = now
      this.shown = 0
    }
    if (this.shown >= LINES_MAX) {
      this.hidden++
      return
    }
    this.shown++
    const more = this.hidden === 0 ? "" : ` (${this.hidden} more lines were not printed)`
    this.hidden = 0
    this.print(oneLine(text) + more)
  }
}

const TEXT_MAX = 400

/** A peer's words in it must not look like lines of ours. */
export const oneLine = (text: string): string =>
  (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text).replaceAll(
    // biome-ignore lint/complexity/useRegexLiterals: kept escaped, so that the source shows them
    new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+", "g"),
    " "
  )
