/** How the programs of this folder end. */
import { Effect } from "effect"
import type { Outcome } from "./session.ts"

/** Prints the latencies on standard error; exit code 1 after a line that failed. */
export const conclude = ({ errors, summary }: Outcome): Effect.Effect<void> =>
  Effect.sync(() => {
    console.error(summary.lines().join("\n"))
    if (errors > 0) process.exitCode = 1
  })

/** Nobody reads the results any more (`… | head -1`): ends in good order. */
export const endWithReader = (output: NodeJS.WritableStream): void => {
  output.once("error", () => {
    output.on("error", () => {})
    process.kill(process.pid, "SIGTERM")
  })
}
