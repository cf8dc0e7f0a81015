/**
 * Reads a store as a boot finds it, changing nothing: what is whole, what a crash left over at the
 * end, and what is damage. Only the one write that was under way at a crash may be broken, and it
 * is the last thing in the last segment; whatever else does not read is refused, never repaired.
 */
import {
  BLOCK_HEADER_BYTES,
  blockHeaderAt,
  blockHeaderNext,
  blockSeed,
  blockWhole,
  decodeSegmentHeader,
  LOG_VERSION,
  SEGMENT_HEADER_BYTES,
  type SegmentHeader,
  segmentName,
  segmentNumber,
  tornSegmentHeader
} from "./logBlock.ts"
import type { Disk } from "./ports.ts"

/** Why a store was not opened, for its operator: one line each. */
export interface StoreInvalid {
  readonly where: string
  readonly what: string
  readonly remedy: string
}

export interface Segment {
  readonly name: string
  readonly number: number
  /** Where its last whole block ends. 0: its header was torn and is to be written again. */
  readonly end: number
  /** Longer than `end` by what a crash left over. */
  readonly size: number
}

export interface Scan {
  readonly storeId: Uint8Array
  /** By number, without a gap. The first one begins the log. */
  readonly segments: ReadonlyArray<Segment>
  /** Sequence of the first block. */
  readonly first: number
  /** Sequence of the last whole block; first - 1 when there is none. */
  readonly blocks: number
  /** Bytes of the checkpoint that begins the log; 0: it begins with the first segment of all. */
  readonly checkpointBytes: number
  /** Older segments, which a crash left over. */
  readonly leftovers: ReadonlyArray<string>
}

const RESTORE =
  "delete nothing; restore this folder exactly as it last was (a copy from before lost words " +
  "and must not be used), or leave this node off, or start the group anew under another name"

/** The folder is missing or holds no segment, and nobody said `init`. */
export const storeMissing = (where: string): StoreInvalid => ({
  where,
  what: "the folder is empty or missing",
  remedy:
    "check that the disk is mounted and the path is right; " +
    "start with init only if this member never spoke"
})

/** A crash came before the first header of the store was durable. */
export const storeUnfinished = (where: string): StoreInvalid => ({
  where,
  what: "a crash interrupted the making of the store; it holds nothing",
  remedy: "start with init only if this member never spoke"
})

/** `init` was said, and the folder is somebody else's. */
export const storeForeign = (where: string, name: string): StoreInvalid => ({
  where,
  what: `it holds no store, and something else: ${name}`,
  remedy: "name a folder of the node's own, empty or not yet made"
})

const wrongOwner = (where: string, found: string, ours: string): StoreInvalid => ({
  where,
  what: `this is the store of ${found}, not of ${ours}`,
  remedy: `name the data folder of ${ours}`
})

const newer = (where: string, version: number): StoreInvalid => ({
  where,
  what: `written in format ${version}, this program reads formats up to ${LOG_VERSION}`,
  remedy: "start it with the newer version of Quorate that wrote it"
})

export const undecodable = (position: number): StoreInvalid => ({
  where: `log record ${position}`,
  what: "its checksum holds, but it is no record of this version",
  remedy: "start the version that wrote it, or restore the data folder from a copy"
})

const damaged = (disk: Disk, name: string, offset: number, what: string): StoreInvalid => ({
  where: `${disk.where}/${name} at byte ${offset}`,
  what: `the log is damaged: ${what}`,
  remedy: RESTORE
})

/** `read` of the disk; its failure as data. */
export const readSegment = (disk: Disk, name: string): Uint8Array | StoreInvalid => {
  try {
    return disk.read(name)
  } catch (thrown) {
    return diskRefused(disk, `${disk.where}/${name}`, thrown)
  }
}

export const diskRefused = (disk: Disk, where: string, thrown: unknown): StoreInvalid => ({
  where,
  what: thrown instanceof Error ? thrown.message : String(thrown),
  remedy: `check the disk and the rights of this user on ${disk.where}`
})

/** What a new file system, an interrupted `create` or other epochs of ours leave in a folder. */
const HARMLESS = /^(lost\+found|log-\d{10}\.making|epochs(\.making)?|epoch-\d+)$/

/** The first file in the folder of `disk` that no store put there. */
export const foreignFile = (disk: Disk): string | StoreInvalid | undefined => {
  try {
    const names = disk.list()
    return names.find((name) => segmentNumber(name) === undefined && !HARMLESS.test(name))
  } catch (thrown) {
    return diskRefused(disk, disk.where, thrown)
  }
}

/**
 * `"missing"`: there is no segment. `"unfinished"`: there is one whose header was torn; no record
 * was ever appended to it. Refuses the store of another owner.
 */
export const scanStore = (
  disk: Disk,
  owner: string
): Scan | StoreInvalid | "missing" | "unfinished" => {
  let names: ReadonlyArray<string>
  try {
    names = disk.list()
  } catch (thrown) {
    return diskRefused(disk, disk.where, thrown)
  }
  const numbers = names.map(segmentNumber).filter((number) => number !== undefined)
  numbers.sort((a, b) => a - b)
  if (numbers.length === 0) return "missing"
  const start = startOf(disk, numbers)
  if (typeof start === "object") return start
  const live = numbers.filter((number) => number >= start)
  for (const [at, number] of live.entries()) {
    const name = segmentName(start + at)
    if (number !== start + at) return damaged(disk, name, 0, "this segment is missing")
  }
  let storeId: Uint8Array | undefined
  let [first, blocks, checkpointBytes] = [1, 0, 0]
  const segments: Array<Segment> = []
  for (const number of live) {
    const name = segmentName(number)
    const bytes = readSegment(disk, name)
    if (!(bytes instanceof Uint8Array)) return bytes
    const last = number === live.at(-1)
    const header = readHeader(disk, name, bytes, last, storeId, blocks)
    if (header === "torn") {
      if (number > 1 && storeId === undefined) return unreadable(disk, name)
      if (storeId === undefined) return "unfinished"
      segments.push({ name, number, end: 0, size: bytes.length })
      continue
    }
    if ("what" in header) return header
    if (header.owner !== owner) return wrongOwner(disk.where, header.owner, owner)
    if (number === start && start > 1) {
      first = header.sequence
      blocks = first - 1
    }
    const wrong = headerMismatch(header, number, start, storeId, blocks)
    if (wrong !== undefined) return damaged(disk, name, 0, wrong)
    storeId = header.storeId
    const read = readBlocks(disk, name, bytes, last, blockSeed(storeId), blocks)
    if ("what" in read) return read
    blocks += read.blocks
    if (read.blocks === 0 && number === start && start > 1) {
      return damaged(disk, name, SEGMENT_HEADER_BYTES, "its checkpoint does not read")
    }
    // A checkpoint that was not durable yet: what it would have replaced is all there.
    const end = header.start > start ? 0 : read.end
    segments.push({ name, number, end, size: bytes.length })
    if (number === start && start > 1) checkpointBytes = read.firstBytes
  }
  const leftovers = numbers.filter((number) => number < start).map(segmentName)
  return { storeId: storeId!, segments, first, blocks, checkpointBytes, leftovers }
}

/**
 * The segment at which the log begins: the newest one says, or, where its header or its checkpoint
 * is torn, the one before. With neither whole, the one that the caller will refuse.
 */
const startOf = (disk: Disk, numbers: ReadonlyArray<number>): number | StoreInvalid => {
  const newest = numbers.slice(-2).reverse()
  for (const number of newest) {
    const name = segmentName(number)
    const bytes = readSegment(disk, name)
    if (!(bytes instanceof Uint8Array)) return bytes
    const header = decodeSegmentHeader(bytes)
    if (typeof header === "number") return newer(`${disk.where}/${name}`, header)
    if (header === undefined) continue
    if (header.start < number || number === 1) return header.start
    const seed = blockSeed(header.storeId)
    const checkpoint = blockHeaderAt(bytes, SEGMENT_HEADER_BYTES, seed)
    if (checkpoint === undefined) continue
    if (blockWhole(bytes, SEGMENT_HEADER_BYTES, checkpoint, seed)) return number
  }
  return newest.at(-1)!
}

const readHeader = (
  disk: Disk,
  name: string,
  bytes: Uint8Array,
  last: boolean,
  storeId: Uint8Array | undefined,
  blocks: number
): SegmentHeader | StoreInvalid | "torn" => {
  const header = decodeSegmentHeader(bytes)
  if (typeof header === "number") return newer(`${disk.where}/${name}`, header)
  if (header !== undefined) return header
  // The first segment was synced before anything was appended, a later one comes into being with
  // its first block: torn is only what holds less.
  const torn =
    last &&
    (storeId === undefined
      ? tornSegmentHeader(bytes)
      : blockBehind(bytes, 0, blockSeed(storeId), blocks) < 0)
  return torn ? "torn" : unreadable(disk, name)
}

const unreadable = (disk: Disk, name: string): StoreInvalid =>
  damaged(disk, name, 0, "its header does not read")

const headerMismatch = (
  header: SegmentHeader,
  number: number,
  start: number,
  storeId: Uint8Array | undefined,
  blocks: number
): string | undefined => {
  if (header.number !== number) return `this is segment ${header.number} under another name`
  if (storeId !== undefined && header.storeId.some((byte, at) => byte !== storeId[at])) {
    return "this segment belongs to another store"
  }
  if (header.start !== start && header.start !== number) {
    return `it says that the log begins with segment ${header.start}, not with ${start}`
  }
  if (header.sequence !== blocks + 1) {
    return `it begins with block ${header.sequence}, the segment before ends with block ${blocks}`
  }
  return undefined
}

interface Read {
  /** Whole ones. */
  readonly blocks: number
  /** Of the first. */
  readonly firstBytes: number
  readonly end: number
}

/** Reads from the header on; `before`: blocks in earlier segments. */
const readBlocks = (
  disk: Disk,
  name: string,
  bytes: Uint8Array,
  last: boolean,
  seed: number,
  before: number
): Read | StoreInvalid => {
  let blocks = 0
  let firstBytes = 0
  let at = SEGMENT_HEADER_BYTES
  while (at < bytes.length) {
    const header = blockHeaderAt(bytes, at, seed)
    const sequence = before + blocks + 1
    if (header !== undefined && header.sequence !== sequence) {
      const what = `block ${header.sequence} stands where block ${sequence} should`
      return damaged(disk, name, at, what)
    }
    if (header !== undefined && blockWhole(bytes, at, header, seed)) {
      blocks += 1
      if (blocks === 1) firstBytes = header.end - at
      at = header.end
      continue
    }
    if (!last) return damaged(disk, name, at, `block ${sequence} does not read`)
    // One write is under way at a time: what is behind a block was written when it was durable.
    const behind =
      header === undefined
        ? blockBehind(bytes, at, seed, before + blocks)
        : header.end < bytes.length
          ? header.end
          : -1
    if (behind < 0) break
    const what = `block ${sequence} does not read, and more was written at byte ${behind}`
    return damaged(disk, name, at, what)
  }
  return { blocks, firstBytes, end: at }
}

/**
 * Where, behind the unreadable bytes at `from`, something stands that proves that the write at
 * `from` was once durable; -1 when nothing does. `blocks`: how many come before it.
 */
const blockBehind = (bytes: Uint8Array, from: number, seed: number, blocks: number): number => {
  for (let at = from; ; at += BLOCK_HEADER_BYTES) {
    at = blockHeaderNext(bytes, at, seed)
    if (at < 0) return -1
    const header = blockHeaderAt(bytes, at, seed)!
    if (header.sequence > blocks + 1 || blockWhole(bytes, at, header, seed)) return at
  }
}
