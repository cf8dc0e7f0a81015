/** Executes lines one after another against the store, and prints one line for each. */
import { createInterface } from "node:readline"
import { Effect, Stream } from "effect"
import { KeyValue } from "../../gen/paxos/v1/paxos_quorate.ts"
import { parseCommand, printResult, USAGE } from "./command.ts"
import { Summary } from "./summary.ts"

/** What one session of lines came to. */
export interface Outcome {
  readonly errors: number
  readonly summary: Summary
}

/** Standard input, line by line; on a terminal with a prompt, `help` and `quit`. */
export const runSession = Effect.gen(function* () {
  const store = yield* KeyValue
  const interactive = process.stdin.isTTY === true
  const summary = new Summary()
  let errors = 0
  const lines = createInterface({
    input: process.stdin,
    ...(interactive && { output: process.stdout, prompt: "> " })
  })
  const fail = (what: string): void => {
    errors++
    console.log(`error: ${what}`)
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
          console.log(printResult(parsed.verb, result))
        },
        onFailure: (failure) => fail(failure.message)
      })
    )
  })

  if (interactive) {
    console.log('a replicated store of three replicas; "help" lists the commands')
    lines.prompt()
  }
  yield* Stream.fromAsyncIterable(lines, (cause) => new Error(String(cause))).pipe(
    Stream.takeWhile((line) => !(interactive && line.trim() === "quit")),
    Stream.runForEach((line) =>
      interactive && line.trim() === "help"
        ? Effect.sync(() => console.log(USAGE.join("\n")))
        : execute(line)
    ),
    Effect.ensuring(Effect.sync(() => lines.close())),
    Effect.orDie
  )
  return { errors, summary } satisfies Outcome
})
