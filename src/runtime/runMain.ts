/** The program's outermost line: runs an Effect until it ends or the process is told to stop. */
import { Cause, type Effect, Exit, Runtime } from "effect"
import { CallFailed } from "../quorum/client/Errors.ts"
import { ProtocolInvalid } from "../server/handlers.ts"
import { GroupInvalid, MetricsFailed, ReplicaFailed, StoreInvalid } from "./Errors.ts"

/** Failures that are for the operator: one line, no stack. */
const forPeople = (error: unknown): error is Error =>
  error instanceof GroupInvalid ||
  error instanceof ReplicaFailed ||
  error instanceof StoreInvalid ||
  error instanceof MetricsFailed ||
  error instanceof CallFailed ||
  error instanceof ProtocolInvalid

const EXIT_FAILED = 1
/** 128 and the number of SIGINT, as shells expect it. */
const EXIT_INTERRUPTED = 130

/**
 * Runs a program. SIGTERM and SIGINT interrupt it, once: its scopes close, nodes stop gracefully; a
 * second signal ends the process at once. Exit code: 0, or the `process.exitCode` that the program
 * set, at its end and after SIGTERM, 130 after SIGINT, 1 after a failure, of which standard error
 * has one line where it is `GroupInvalid`, `StoreInvalid`, `ReplicaFailed`, `MetricsFailed`,
 * `CallFailed` or `ProtocolInvalid`, and the whole cause where it is not.
 */
export const runMain = <A, E>(program: Effect.Effect<A, E>): void =>
  run(program, { disableErrorReporting: true })

const run = Runtime.makeRunMain(({ fiber }) => {
  let signalled: "SIGINT" | "SIGTERM" | undefined
  const stop = (signal: "SIGINT" | "SIGTERM"): void => {
    if (signalled !== undefined) process.exit(EXIT_INTERRUPTED)
    signalled = signal
    fiber.interruptUnsafe()
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  fiber.addObserver((exit) => {
    process.off("SIGINT", stop)
    process.off("SIGTERM", stop)
    end(Exit.isSuccess(exit) ? ownCode() : codeOf(exit.cause, signalled))
  })
})

const codeOf = (cause: Cause.Cause<unknown>, signalled: string | undefined): number => {
  if (Cause.hasInterruptsOnly(cause)) {
    if (signalled === "SIGTERM") return ownCode()
    return EXIT_INTERRUPTED
  }
  const error = Cause.squash(cause)
  process.stderr.write(`${forPeople(error) ? error.message : Cause.pretty(cause)}\n`)
  return EXIT_FAILED
}

/** What the program set by itself, e.g. for lines it could not read. */
const ownCode = (): number => Number(process.exitCode ?? 0)

/** Lets what was printed leave first: a pipe takes it only in the next turns of the loop. */
const end = (code: number): void => {
  process.exitCode = code
  process.stdout.write("", () => process.stderr.write("", () => process.exit(code)))
}
