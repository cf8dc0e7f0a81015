/**
 * A program for tests: `appender.ts FOLDER` opens the store in FOLDER (makes it where there is
 * none), then appends numbered records without end, five at a time, and prints each number when it
 * is durable. It goes on from the number the store holds. Killed by its test.
 */
import { writeSync } from "node:fs"
import { LIMITS } from "../../src/base/limits.ts"
import { LogCore } from "../../src/link/logCore.ts"
import { openFileDisk } from "../../src/runtime/platform-node/fileDisk.ts"
import { OWNER } from "./logs.ts"

const fail = (invalid: { where: string; what: string; remedy: string }): never => {
  writeSync(2, `${invalid.where}: ${invalid.what}; ${invalid.remedy}\n`)
  return process.exit(1)
}

const disk = openFileDisk({ folder: process.argv[2]!, init: true })
if ("what" in disk) fail(disk)
else {
  const limits = { ...LIMITS, logSegmentBytes: 50_000 }
  const storeId = new Uint8Array(16).fill(7)
  const log = LogCore.open({ disk, init: true, storeId, owner: OWNER, limits })
  if (!(log instanceof LogCore)) fail(log)
  else {
    let last = 0
    log.replay((record) => (last = new DataView(record.buffer).getUint32(0)))
    const found = last
    const append = (): void => {
      const record = new Uint8Array(4 + ((last * 37) % 400))
      new DataView(record.buffer).setUint32(0, ++last)
      log.append(record.fill(last, 4))
    }
    log.listen({
      durable: () => {
        writeSync(1, `${found + log.durable}\n`)
        while (log.appended - log.durable < 5) append()
      },
      failed: (failure) => fail({ where: "", what: failure, remedy: "" })
    })
    append()
  }
}
