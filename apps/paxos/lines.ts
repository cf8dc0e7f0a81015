/** The lines of an input, one at a time, as an Effect that can be interrupted while it waits. */
import { StringDecoder } from "node:string_decoder"
import { Effect, type Scope } from "effect"

/** Lines that may wait before the input is paused. */
const WAITING_MAX = 1_024
/**
 * A longer line is cut here. What is left is still more than a message may hold, so the line is
 * refused, and memory stays bounded.
 */
const LINE_CHARS_MAX = 2_097_152

/** `undefined`: the end. */
export type NextLine = Effect.Effect<string | undefined>

/** Where lines come from: calls the two functions until it is closed. */
export interface LineSource {
  readonly listen: (line: (text: string) => void, end: () => void) => void
  readonly pause: () => void
  readonly resume: () => void
  readonly close: () => void
}

/** One reader at a time; the source is closed with the scope. */
export const readLines = (source: LineSource): Effect.Effect<NextLine, never, Scope.Scope> => {
  const waiting: Array<string> = []
  let ended = false
  let reader: ((line: string | undefined) => void) | undefined
  const give = (line: string | undefined): boolean => {
    const wakes = reader
    reader = undefined
    wakes?.(line)
    return wakes !== undefined
  }
  const next: NextLine = Effect.callback((resume) => {
    const line = waiting.shift()
    if (waiting.length === 0) source.resume()
    if (line !== undefined || ended) {
      resume(Effect.succeed(line))
      return
    }
    reader = (it) => resume(Effect.succeed(it))
    return Effect.sync(() => {
      reader = undefined
    })
  })
  const open = Effect.sync(() => {
    source.listen(
      (line) => {
        if (give(line)) return
        waiting.push(line)
        if (waiting.length >= WAITING_MAX) source.pause()
      },
      () => {
        ended = true
        give(undefined)
      }
    )
    return next
  })
  return Effect.acquireRelease(open, () => Effect.sync(() => source.close()))
}

/** Split at "\n" alone: a value may hold any other character. */
export const pipedLines = (input: NodeJS.ReadableStream): LineSource => ({
  listen: (line, end) => {
    const decoder = new StringDecoder("utf8")
    let rest = ""
    input.on("data", (chunk: Buffer) => {
      const [first, ...more] = decoder.write(chunk).split("\n")
      rest = (rest + first!).slice(0, LINE_CHARS_MAX)
      for (const part of more) {
        line(rest)
        rest = part
      }
    })
    input.once("end", () => {
      rest += decoder.end()
      if (rest !== "") line(rest)
      end()
    })
    input.once("error", end)
  },
  pause: () => void input.pause(),
  resume: () => void input.resume(),
  close: () => void input.pause()
})
