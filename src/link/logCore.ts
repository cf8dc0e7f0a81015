/**
 * The log of one node: opaque records, durable in the order of their append.
 *
 * Group commit: at most one write runs; whatever is appended meanwhile goes with the next one. A
 * write is one block, all or nothing. Format: logBlock.ts. What a boot accepts: logScan.ts.
 */
import { assert } from "../base/assert.ts"
import type { Limits } from "../base/limits.ts"
import { mark } from "../base/mark.ts"
import {
  BLOCK_HEADER_BYTES,
  blockHeaderAt,
  blockRecords,
  blockSeed,
  blockWhole,
  encodeBlock,
  encodeSegmentHeader,
  type Piecewise,
  piecewise,
  SEGMENT_HEADER_BYTES,
  STORE_ID_BYTES,
  segmentName
} from "./logBlock.ts"
import {
  diskRefused,
  foreignFile,
  readSegment,
  type Scan,
  type Segment,
  type StoreInvalid,
  scanStore,
  storeForeign,
  storeMissing,
  storeUnfinished
} from "./logScan.ts"
import type { Disk, DiskFailure } from "./ports.ts"

export { type StoreInvalid, storeMissing } from "./logScan.ts"

export interface LogOptions {
  readonly disk: Disk
  readonly limits: Pick<Limits, "logBytesMax" | "logSegmentBytes">
  /** The operator vouches that this member never spoke: a store is made where there is none. */
  readonly init: boolean
  /** 16 random bytes: the id of the store if it is made now. */
  readonly storeId: Uint8Array
  /**
   * Whose words the store holds, e.g. `node 3 of group "reg"`: at most 96 characters of ASCII. The
   * store of another owner is refused, so that no node speaks out of another one's memory.
   */
  readonly owner: string
}

/** A record that waits to be written. */
interface Waiting {
  readonly piece: Piecewise
  /** It is a checkpoint. */
  readonly cuts: boolean
}

export interface LogListener {
  /** {@link LogCore.durable} has moved. */
  readonly durable: () => void
  /** Once: a write or its sync failed, and nothing becomes durable any more. */
  readonly failed: (failure: DiskFailure) => void
}

export class LogCore {
  readonly storeId: Uint8Array
  /** What a crash left over and `open` cut off, for the operator. */
  readonly repaired: string | undefined
  /** Whether `open` made the store. */
  readonly made: boolean

  readonly #disk: Disk
  readonly #limits: LogOptions["limits"]
  readonly #owner: string
  readonly #seed: number
  /** What was there at open, until it is replayed. */
  #found: ReadonlyArray<Segment>
  /** Sequence of the first block that was there. */
  readonly #first: number
  /** Segments before the checkpoint, oldest first, to be deleted. */
  readonly #old: Array<{ readonly name: string; readonly bytes: number }> = []
  #listener: LogListener | undefined
  #failure: DiskFailure | undefined

  /** The segment being written. Invariant: it is `#segmentBytes` long once the write is done. */
  #segment: number
  #segmentBytes: number
  /** Number of the segment the log begins with. */
  #start: number
  /** Bytes of the segments on disk by number, oldest first. */
  readonly #sizes = new Map<number, number>()
  /** Sequence of the next block. */
  #block: number
  #waiting: Array<Waiting> = []
  /** Bytes of the checkpoint the log begins with. */
  #checkpointBytes: number
  /** Appended since then, in bytes. */
  #sinceBytes: number
  /** A checkpoint waits to be written or is being written. */
  #cutting = false
  #removing = false
  /** Records in the write under way; 0 when none runs. */
  #writing = 0
  #appended = 0
  #durable = 0
  #bytes: number

  private constructor(options: LogOptions, scan: Scan, made: boolean, repaired?: string) {
    const last = scan.segments.at(-1)!
    this.storeId = scan.storeId
    this.made = made
    this.repaired = repaired
    this.#disk = options.disk
    this.#limits = options.limits
    this.#owner = options.owner
    this.#seed = blockSeed(scan.storeId)
    this.#found = scan.segments
    this.#segment = last.number
    this.#segmentBytes = last.end
    this.#block = scan.blocks + 1
    this.#first = scan.first
    this.#start = scan.segments[0]!.number
    for (const { number, end } of scan.segments) this.#sizes.set(number, end)
    this.#bytes = scan.segments.reduce((sum, segment) => sum + segment.end, 0)
    this.#checkpointBytes = scan.checkpointBytes
    this.#sinceBytes = this.#bytes - scan.checkpointBytes
    if (scan.leftovers.length > 0) mark("log: leftovers")
    for (const name of scan.leftovers) this.#old.push({ name, bytes: 0 })
    this.#remove()
  }

  /**
   * Opens the store in the folder of `disk`, checks every byte of it, and cuts off the one write a
   * crash may have torn. Everything it accepts is durable when it returns, also what an earlier
   * process wrote without living to sync it. Refuses what it cannot vouch for, changing nothing.
   */
  static open(options: LogOptions): LogCore | StoreInvalid {
    const { disk } = options
    assert(options.storeId.length === STORE_ID_BYTES, "a storeId has 16 bytes")
    const scan = scanStore(disk, options.owner)
    if (scan === "missing" || scan === "unfinished") {
      if (!options.init) return (scan === "missing" ? storeMissing : storeUnfinished)(disk.where)
      if (scan === "unfinished") mark("log: making a store was interrupted")
      return make(options, (made) => new LogCore(options, made, true))
    }
    if ("what" in scan) return scan
    const last = scan.segments.at(-1)!
    try {
      disk.truncate(last.name, last.end)
    } catch (thrown) {
      return diskRefused(disk, `${disk.where}/${last.name}`, thrown)
    }
    if (last.end === last.size) return new LogCore(options, scan, false)
    mark(last.end === 0 ? "log: torn segment header" : "log: torn tail")
    const repaired =
      `${disk.where}/${last.name}: cut ${last.size - last.end} bytes at byte ${last.end}, ` +
      "a write that a crash interrupted before it was durable"
    return new LogCore(options, scan, false, repaired)
  }

  /**
   * Hands every record to `each`, in order; once, before the first append. The records are copies.
   * Reads the segments again, and answers what is wrong when they are not what `open` saw.
   */
  replay(each: (record: Uint8Array) => void): StoreInvalid | undefined {
    assert(this.#appended === 0, "replay comes before append")
    let block = this.#first
    for (const { name, end } of this.#found) {
      const bytes = readSegment(this.#disk, name)
      if (!(bytes instanceof Uint8Array)) return bytes
      for (let at = Math.min(SEGMENT_HEADER_BYTES, end); at < end; block++) {
        const header = blockHeaderAt(bytes, at, this.#seed)
        if (header?.sequence !== block || !blockWhole(bytes, at, header, this.#seed)) {
          return {
            where: `${this.#disk.where}/${name} at byte ${at}`,
            what: "the file changed while it was read",
            remedy: "check the disk, and that nothing else writes into this folder"
          }
        }
        blockRecords(bytes, at, header.end, each)
        at = header.end
      }
    }
    assert(block === this.#block, "replay finds the blocks that open counted")
    this.#found = []
    return undefined
  }

  /** One listener, for good. */
  listen(listener: LogListener): void {
    assert(this.#listener === undefined, "a log has one listener")
    this.#listener = listener
  }

  /** Queues `record` and starts a write when none runs: {@link queue}, then {@link flush}. */
  append(record: Uint8Array): number {
    const sequence = this.queue(record)
    this.flush()
    return sequence
  }

  /**
   * Starts a write of all that is queued, when none runs; a write that ends starts the next
   * itself.
   */
  flush(): void {
    if (this.#writing === 0 && this.#waiting.length > 0) this.#write()
  }

  /**
   * Queues `record`, which must not change any more. Returns its sequence: 1, 2, 3 … of this
   * opening. It is durable once {@link durable} has reached that. After a failure it still counts,
   * but nothing is kept or written.
   */
  queue(record: Uint8Array): number {
    return this.#queue(record, false)
  }

  /**
   * Queues a checkpoint: it begins a new segment, and once it is durable those before are deleted,
   * oldest first. What was queued before it stays before it.
   */
  cut(record: Uint8Array): number {
    this.#cutting = true
    return this.#queue(record, true)
  }

  /**
   * A checkpoint pays: as much was appended since the last one as a segment holds, and twice what
   * the last one had, so that checkpoints are never more than a third of what is written.
   */
  get due(): boolean {
    const { logSegmentBytes } = this.#limits
    const enough = Math.max(logSegmentBytes, 2 * this.#checkpointBytes)
    return !this.#cutting && this.#failure === undefined && this.#sinceBytes >= enough
  }

  #queue(record: Uint8Array, cuts: boolean): number {
    this.#appended += 1
    if (this.#failure !== undefined) return this.#appended
    const piece = piecewise(record)
    this.#bytes += piece.bytes
    this.#sinceBytes += piece.bytes
    if (cuts) {
      this.#checkpointBytes = piece.bytes
      this.#sinceBytes = 0
    }
    this.#waiting.push({ piece, cuts })
    return this.#appended
  }

  /** Sequence of the newest record appended since `open`; 0 before the first. */
  get appended(): number {
    return this.#appended
  }
  /** Sequence up to which all is durable, of those appended since `open`. */
  get durable(): number {
    return this.#durable
  }
  /** Of the whole log, in bytes on disk; what waits to be written included. */
  get bytes(): number {
    return this.#bytes
  }
  /** At or above `logBytesMax`. It still takes records: its owner stops taking on work. */
  get full(): boolean {
    return this.#bytes >= this.#limits.logBytesMax
  }
  /** Why the log has stopped, if it has. */
  get failure(): DiskFailure | undefined {
    return this.#failure
  }

  #write(): void {
    const { records, cuts } = this.#take()
    const block = encodeBlock(records, this.#block, this.#seed)
    const roomless = this.#segmentBytes + block.length > this.#limits.logSegmentBytes
    // An empty segment, whose header a crash tore, is begun anew: no later one may follow it.
    if (
      this.#segmentBytes > 0 &&
      (cuts || (roomless && this.#segmentBytes > SEGMENT_HEADER_BYTES))
    ) {
      this.#segment += 1
      this.#segmentBytes = 0
    }
    if (cuts) this.#start = this.#segment
    const chunks = [block]
    if (this.#segmentBytes === 0) {
      const header = { storeId: this.storeId, owner: this.#owner, number: this.#segment }
      const start = this.#start
      chunks.unshift(encodeSegmentHeader({ ...header, start, sequence: this.#block }))
    }
    const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
    for (const record of records) this.#bytes -= record.bytes
    this.#bytes += bytes
    this.#segmentBytes += bytes
    this.#sizes.set(this.#segment, this.#segmentBytes)
    this.#block += 1
    this.#writing = records.length
    const name = segmentName(this.#segment)
    this.#disk.append(name, chunks, (failure) => this.#written(failure, cuts))
  }

  /** All that waits, as far as it fits a segment; at least one record. A checkpoint goes alone. */
  #take(): { readonly records: ReadonlyArray<Piecewise>; readonly cuts: boolean } {
    const room = this.#limits.logSegmentBytes - SEGMENT_HEADER_BYTES - BLOCK_HEADER_BYTES
    const { cuts } = this.#waiting[0]!
    let bytes = 0
    let count = 0
    for (const next of this.#waiting) {
      bytes += next.piece.bytes
      if (count > 0 && (cuts || next.cuts || bytes > room)) break
      count += 1
    }
    const taken = this.#waiting
    this.#waiting = count === taken.length ? [] : taken.splice(count)
    return { records: taken.map(({ piece }) => piece), cuts }
  }

  #written(failure: DiskFailure | undefined, cuts: boolean): void {
    assert(this.#writing > 0, "a write ends once")
    if (failure !== undefined) return this.#fail(failure)
    this.#durable += this.#writing
    this.#writing = 0
    if (cuts) this.#forget()
    // The next write starts first, so that the disk works while the listener does.
    if (this.#waiting.length > 0) this.#write()
    this.#listener?.durable()
  }

  #fail(failure: DiskFailure): void {
    if (this.#failure !== undefined) return
    // What the file holds now is unknown, also to the kernel: another try could succeed and lie.
    this.#failure = failure
    this.#waiting = []
    this.#listener?.failed(failure)
  }

  /** A checkpoint is durable: what lies before it is needed no more. */
  #forget(): void {
    this.#cutting = false
    for (const [number, bytes] of this.#sizes) {
      if (number >= this.#start) continue
      this.#sizes.delete(number)
      this.#old.push({ name: segmentName(number), bytes })
    }
    this.#remove()
  }

  /** One after the other; what a crash leaves over the next boot deletes. */
  #remove(): void {
    const next = this.#old[0]
    if (next === undefined || this.#removing) return
    this.#removing = true
    this.#disk.remove(next.name, (failure) => {
      this.#removing = false
      if (failure !== undefined) return this.#fail(failure)
      this.#old.shift()
      this.#bytes -= next.bytes
      this.#remove()
    })
  }
}

const make = (options: LogOptions, opened: (scan: Scan) => LogCore): LogCore | StoreInvalid => {
  const { disk, owner } = options
  const foreign = foreignFile(disk)
  if (typeof foreign === "string") return storeForeign(disk.where, foreign)
  if (foreign !== undefined) return foreign
  const storeId = options.storeId.slice()
  const name = segmentName(1)
  const header = encodeSegmentHeader({ storeId, owner, number: 1, start: 1, sequence: 1 })
  try {
    disk.create(name, header)
  } catch (thrown) {
    return diskRefused(disk, `${disk.where}/${name}`, thrown)
  }
  const end = header.length
  const segments = [{ name, number: 1, end, size: end }]
  return opened({ storeId, segments, first: 1, blocks: 0, checkpointBytes: 0, leftovers: [] })
}
