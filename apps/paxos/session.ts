/** Executes lines one after another against the store, and prints one line for each. */
import { createInterface, type Interface } from "node:readline"
import { Effect } from "effect"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { parseCommand, printResult, USAGE } from "./command.ts"
import { type LineSource, pipedLines, readLines } from "./lines.ts"
import { Summary } from "./summary.ts"

/** Where the lines come from, and where the results go. */
export interface Console {
  readonly input: NodeJS.ReadableStream
  readonly output: NodeJS.WritableStream
  /** A person sits there: with a prompt, `help` and `quit`. */
  readonly interactive: boolean
}

/** What one session of lines came to. */
export interface Outcome {
  readonly errors: number
  readonly summary: Summary
}

export const standardConsole = (): Console => ({
  input: process.stdin,
  output: process.stdout,
  interactive: process.stdin.isTTY === true
})

const GREETING = 'a replicated store; "help" lists the commands, "quit" ends'
const HELP = [...USAGE, "help              this list", "quit              ends, as Ctrl-D does"]

/**
 * Ends with the input, or at `quit`. Lines that fail are counted and printed as `error: …`, with
 * their number at the end where they come from a pipe.
 */
export const runSession = ({ input, output, interactive }: Console) =>
  Effect.gen(function* () {
    const store = yield* KeyValue
    const summary = new Summary()
    let errors = 0
    let number = 0
    const prompt = interactive ? promptOn(input, output) : undefined
    const nextLine = yield* readLines(
      prompt === undefined ? pipedLines(input) : promptedLines(prompt)
    )
    const print = (line: string): void => void output.write(`${line}\n`)
    const fail = (what: string): void => {
      errors++
      summary.fail()
      // Where a person types, the line is in sight.
      print(interactive ? `error: ${what}` : `error: ${what} (line ${number})`)
    }

    const execute = Effect.fnUntraced(function* (line: string) {
      const parsed = parseCommand(line)
      if (parsed === undefined) return
      if ("error" in parsed) return fail(parsed.error)
      const start = performance.now()
      yield* store.submit(parsed.command).pipe(
        Effect.match({
          onSuccess: (result) => {
            summary.add(parsed.verb, performance.now() - start)
            print(printResult(parsed.verb, result))
          },
          onFailure: (failure) => fail(failure.message)
        })
      )
    })

    if (interactive) print(GREETING)
    for (;;) {
      prompt?.prompt()
      const line = yield* nextLine
      number++
      if (line === undefined || (interactive && line.trim() === "quit")) break
      if (interactive && line.trim() === "help") print(HELP.join("\n"))
      else yield* execute(line)
    }
    return { errors, summary } satisfies Outcome
  }).pipe(Effect.scoped)

const promptOn = (input: NodeJS.ReadableStream, output: NodeJS.WritableStream): Interface => {
  const lines = createInterface({ input, output, prompt: "> " })
  // On a terminal in raw mode Ctrl-C is a key: make it the signal that it is elsewhere.
  lines.on("SIGINT", () => {
    output.write("\n")
    process.kill(process.pid, "SIGINT")
  })
  return lines
}

const promptedLines = (lines: Interface): LineSource => ({
  listen: (line, end) => {
    lines.on("line", line)
    lines.once("close", end)
  },
  pause: () => {},
  resume: () => {},
  close: () => lines.close()
})
