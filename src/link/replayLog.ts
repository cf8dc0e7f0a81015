/** A log read back at boot, record by record. */
import type { LogRecord } from "../server/LogRecord.ts"
import type { LogCore, StoreInvalid } from "./logCore.ts"
import { undecodable } from "./logScan.ts"
import { decodeRecord } from "./recordCodec.ts"

/** @returns what is wrong with it; records behind that are not handed over */
export const replayLog = (
  log: LogCore,
  each: (record: LogRecord) => void
): StoreInvalid | undefined => {
  let position = 0
  let invalid: StoreInvalid | undefined
  const unreadable = log.replay((bytes) => {
    position++
    const record = invalid === undefined ? decodeRecord(bytes) : undefined
    if (record !== undefined) each(record)
    else invalid ??= undecodable(position)
  })
  return unreadable ?? invalid
}
