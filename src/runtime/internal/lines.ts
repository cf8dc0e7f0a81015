/**
 * Lines for the operator, through Effect's logger: with what they are about as annotations, where a
 * program has loggers of its own; else as they stand, one on standard output for what is as it
 * should be, all others on standard error.
 */
import { Console, Context, Effect, Logger } from "effect"
import type { NodeId } from "../../base/NodeId.ts"

/** What a line is about, for programs that read it. */
export interface About {
  /** A code or another word of a closed list. */
  readonly reason: string
  /** Whose line it is, where several nodes share who prints it. */
  readonly group?: string | undefined
  readonly node?: NodeId | undefined
  readonly peer?: NodeId | undefined
  /** The other end, where it is nobody yet. */
  readonly remote?: string | undefined
  /** "session/index" of a call, or "lane/index" of a slot. */
  readonly call?: string | undefined
}
export type Level = "Info" | "Warn" | "Error"
export type Print = (level: Level, text: string, about: About) => void

const plain = Logger.make<unknown, void>(({ message, logLevel, fiber }) => {
  const text = Array.isArray(message) ? message.join(" ") : String(message)
  const console = fiber.getRef(Console.Console)
  if (logLevel === "Info") console.log(text)
  else console.error(text)
})
const PLAIN: ReadonlySet<Logger.Logger<unknown, void>> = new Set([plain])

/** @param labels on every line: group, node */
export const makePrint = (
  context: Context.Context<never>,
  labels: { readonly [label: string]: unknown }
): Print => {
  const ownLoggers = context.mapUnsafe.has(Logger.CurrentLoggers.key)
  const run = Effect.runForkWith(
    ownLoggers ? context : Context.add(context, Logger.CurrentLoggers, PLAIN)
  )
  return (level, text, about) => {
    const told = Object.entries(about).filter(([, value]) => value !== undefined)
    const all = { ...labels, ...Object.fromEntries(told) }
    run(Effect.annotateLogs(Effect.logWithLevel(level)(text), all))
  }
}
