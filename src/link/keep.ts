/** A checkpoint as it goes into the log. */
import { mark } from "../base/mark.ts"
import type { Engine } from "../server/engine.ts"
import type { LogEntry, LogRecord } from "../server/LogRecord.ts"
import type { Output } from "../server/Output.ts"
import { encodeRecord } from "./recordCodec.ts"

/**
 * @param waiting outputs that did not leave yet: what is to be handed to the application is kept
 * too, since the records that say so go
 * @returns why there is none, where a state cannot be kept
 */
export const keep = (
  engine: Pick<Engine, "checkpoint">,
  waiting: ReadonlyArray<{ readonly output: Output }>
): Uint8Array | string => {
  let kept: LogRecord
  try {
    kept = engine.checkpoint()
  } catch (thrown) {
    return `its state cannot be kept: ${(thrown as Error).message}`
  }
  const delivered = waiting.flatMap(
    ({ output }): ReadonlyArray<LogEntry> => (output.kind === "deliver" ? [output.delivered] : [])
  )
  mark("host: checkpoint")
  return encodeRecord({ entries: [...kept.entries, ...delivered] })
}
