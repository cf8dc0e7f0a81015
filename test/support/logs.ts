/** What the tests of the log share: a disk whose writes end when the test says so, and words. */
import { LIMITS } from "../../src/base/limits.ts"
import { LogCore, type StoreInvalid } from "../../src/link/logCore.ts"
import { MemoryDisk } from "../../src/link/memoryDisk.ts"
import type { Disk, DiskFailure } from "../../src/link/ports.ts"

export const OWNER = 'node 3 of group "reg"'
export const STORE_ID = Uint8Array.from({ length: 16 }, (_, at) => at + 1)
export type Files = ReadonlyMap<string, Uint8Array>

/** Writes wait in `pending` until `finish`; then all that follows from them runs. */
export class SteppedDisk extends MemoryDisk {
  readonly pending: Array<() => void> = []
  appends = 0
  readonly truncated: Array<string> = []
  failure: DiskFailure | undefined

  constructor(files?: Files) {
    const pending: Array<() => void> = []
    super({ later: (run) => pending.push(run), ...(files === undefined ? {} : { files }) })
    this.pending = pending
  }
  override append(...[name, chunks, done]: Parameters<Disk["append"]>): void {
    this.appends += 1
    const { failure } = this
    if (failure !== undefined) this.pending.push(() => done(failure))
    else super.append(name, chunks, done)
  }
  override truncate(name: string, length: number): void {
    this.truncated.push(`${name} ${length}`)
    super.truncate(name, length)
  }
  /** Ends the write under way. */
  finish(): void {
    this.pending.shift()?.()
  }
  /** Ends writes until none runs. */
  settle(): void {
    while (this.pending.length > 0) this.finish()
  }
}

export const open = (
  disk: Disk,
  options: {
    init?: boolean
    segment?: number
    max?: number
    storeId?: Uint8Array
    owner?: string
  } = {}
): LogCore | StoreInvalid =>
  LogCore.open({
    disk,
    init: options.init ?? false,
    storeId: options.storeId ?? STORE_ID,
    owner: options.owner ?? OWNER,
    limits: {
      ...LIMITS,
      logSegmentBytes: options.segment ?? 1_000_000,
      logBytesMax: options.max ?? 1_000_000
    }
  })

export const opened = (...args: Parameters<typeof open>): LogCore => {
  const log = open(...args)
  if (log instanceof LogCore) return log
  throw new Error(`refused: ${log.where}: ${log.what}; ${log.remedy}`)
}

export const replayed = (log: LogCore): Array<Array<number>> => {
  const records: Array<Array<number>> = []
  const invalid = log.replay((record) => records.push([...record]))
  if (invalid !== undefined) throw new Error(`refused: ${invalid.where}: ${invalid.what}`)
  return records
}

/** The files of a store of `records`, one block each, in segments of `segment` bytes. */
export const written = (
  records: ReadonlyArray<ReadonlyArray<number>>,
  segment?: number
): Map<string, Uint8Array> => {
  const disk = new SteppedDisk()
  const log = opened(disk, { init: true, ...(segment === undefined ? {} : { segment }) })
  for (const record of records) {
    log.append(Uint8Array.from(record))
    disk.settle()
  }
  return disk.snapshot()
}

/** A copy of `files` with one file changed. */
export const changed = (files: Files, name: string, to: (file: Uint8Array) => Uint8Array): Files =>
  new Map([...files].map(([at, bytes]) => [at, at === name ? to(bytes.slice()) : bytes]))
