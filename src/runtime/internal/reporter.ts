import { laneText } from "../../server/laneKey.ts"
import type { Report, ReportAbout } from "../../server/Output.ts"
import type { About } from "./lines.ts"

/** Lines for the operator, at a bounded rate: what a peer can cause, it can cause without end. */
const LINES_MAX = 10
const WINDOW_MS = 10_000
/** The same line again, at most so often. */
const AGAIN_MS = 60_000
/** Lines that are remembered, the oldest of which is forgotten first. */
const KNOWN_MAX = 64

/** A line that was printed. */
interface Known {
  readonly printedMs: number
  /** How often it came since. */
  repeats: number
}

export class Reporter {
  private readonly print: (line: string, about: About) => void
  private readonly nowMs: () => number
  private readonly known = new Map<string, Known>()
  private sinceMs = 0
  private shown = 0
  private hidden = 0

  constructor(print: (line: string, about: About) => void, nowMs: () => number) {
    this.print = print
    this.nowMs = nowMs
  }

  /**
   * Prints the line, at most once a minute for one `cause`; the next one says how many there were
   * since. In all at most 10 lines in 10 s are printed; the rest is counted, and the next line says
   * how many.
   */
  say(text: string, about: About, cause = text): void {
    const now = this.nowMs()
    const known = this.known.get(cause)
    if (known !== undefined && now < known.printedMs + AGAIN_MS) {
      known.repeats++
      return
    }
    if (now >= this.sinceMs + WINDOW_MS) {
      this.sinceMs = now
      this.shown = 0
    }
    if (this.shown >= LINES_MAX) {
      this.hidden++
      return
    }
    this.shown++
    this.remember(cause, now)
    const again = known === undefined || known.repeats === 0 ? "" : ` (${repeated(known, now)})`
    const more = this.hidden === 0 ? "" : ` (${this.hidden} more lines were not printed)`
    this.hidden = 0
    this.print(oneLine(text) + again + more, about)
  }

  /** What the engine reports. */
  report(what: Report, detail: string, about: ReportAbout & Pick<About, "group" | "node">): void {
    const { peer, lane, index, group, node } = about
    const call = lane === undefined ? undefined : `${laneText(lane)}/${index ?? 0}`
    this.say(`${what}: ${detail}`, { reason: what, group, node, peer, call })
  }

  private remember(cause: string, printedMs: number): void {
    this.known.delete(cause)
    for (const oldest of this.known.keys()) {
      if (this.known.size < KNOWN_MAX) break
      this.known.delete(oldest)
    }
    this.known.set(cause, { printedMs, repeats: 0 })
  }
}

const repeated = ({ printedMs, repeats }: Known, now: number): string => {
  const times = repeats === 1 ? "once more" : `${repeats} times more`
  return `${times} in the last ${Math.round((now - printedMs) / 1000)} s`
}

const TEXT_MAX = 400

/** A peer's words in it must not look like lines of ours. */
export const oneLine = (text: string): string =>
  (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text).replaceAll(
    // biome-ignore lint/complexity/useRegexLiterals: kept escaped, so that the source shows them
    new RegExp("[\\u0000-\\u001f\\u007f-\\u009f\\u2028\\u2029]+", "g"),
    " "
  )
