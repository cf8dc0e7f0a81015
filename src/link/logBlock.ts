/**
 * The bytes of a log: a segment is a header and blocks; a block is what one write made durable.
 *
 * ```text
 * segment header, 144 bytes            block header, 28 bytes
 *   0  8  magic                          0  8  magic
 *   8  4  format version                 8  8  block sequence
 *  12 16  storeId                       16  4  payload bytes
 *  28  4  segment number                20  4  CRC-32C of the payload
 *  32  4  segment the log begins with   24  4  CRC-32C of the bytes 0 … 23
 *  36  8  sequence of the first block
 *  44 96  owner: ASCII, then zeros
 * 140  4  CRC-32C of the bytes 0 … 139
 * ```
 * A segment that names itself as the one the log begins with holds a checkpoint as its first block,
 * unless it is the first of all: with it durable, no earlier segment is needed.
 * Numbers are big-endian. The owner says whose words these are, e.g. `node 3 of group "reg"`.
 * Checksums of blocks start from the storeId, so blocks of another store that once lay on the same
 * disk are never taken for ours. The payload is records, each a run of
 * pieces: `00` (last piece of its record) or `80`, three bytes of length, `00`, the bytes. A record
 * is cut wherever it holds the block magic, so the magic begins blocks and nothing else, whatever
 * a client sent: after a torn write a search for later blocks finds no forged one.
 */
import { assert } from "../base/assert.ts"
import { crc32c } from "./crc32c.ts"

export const LOG_VERSION = 1
export const STORE_ID_BYTES = 16
/** Of a group's name, 64 characters, the largest node id, and the words around them: 85. */
const OWNER_BYTES = 96
const OWNER_AT = 44
const HEADER_CRC_AT = OWNER_AT + OWNER_BYTES
export const SEGMENT_HEADER_BYTES = HEADER_CRC_AT + 4
export const BLOCK_HEADER_BYTES = 28
const PIECE_HEADER_BYTES = 5
const PIECE_BYTES_MAX = 0xff_ffff
const PAYLOAD_BYTES_MAX = 0xffff_ffff

const SEGMENT_MAGIC = Uint8Array.of(0xf7, 0x51, 0x55, 0x4f, 0x52, 0x4c, 0x4f, 0x47) // ÷QUORLOG
/**
 * Its first byte occurs once in it, so two of it never overlap; it holds no 00 and no 80, so no
 * piece header is part of it.
 */
const BLOCK_MAGIC = Uint8Array.of(0xf7, 0x51, 0x55, 0x4f, 0x52, 0x42, 0x4c, 0x4b) // ÷QUORBLK

const put4 = (into: Uint8Array, at: number, value: number): void => {
  into[at] = value >>> 24
  into[at + 1] = value >>> 16
  into[at + 2] = value >>> 8
  into[at + 3] = value
}
const get4 = (from: Uint8Array, at: number): number =>
  ((from[at]! << 24) | (from[at + 1]! << 16) | (from[at + 2]! << 8) | from[at + 3]!) >>> 0
const put8 = (into: Uint8Array, at: number, value: number): void => {
  put4(into, at, Math.floor(value / 2 ** 32))
  put4(into, at + 4, value % 2 ** 32)
}
const get8 = (from: Uint8Array, at: number): number => get4(from, at) * 2 ** 32 + get4(from, at + 4)

const magicAt = (bytes: Uint8Array, at: number, magic: Uint8Array): boolean => {
  if (at + magic.length > bytes.length) return false
  for (let i = 0; i < magic.length; i++) if (bytes[at + i] !== magic[i]) return false
  return true
}

/** Where the block magic next begins, at `from` or later; -1 when nowhere. */
const magicNext = (bytes: Uint8Array, from: number): number => {
  const first = BLOCK_MAGIC[0]!
  for (let at = bytes.indexOf(first, from); at >= 0; at = bytes.indexOf(first, at + 1)) {
    if (magicAt(bytes, at, BLOCK_MAGIC)) return at
  }
  return -1
}

export const segmentName = (number: number): string => `log-${String(number).padStart(10, "0")}`
/** `undefined` for a file that is no segment. */
export const segmentNumber = (name: string): number | undefined =>
  /^log-\d{10}$/.test(name) ? Number(name.slice(4)) : undefined

export interface SegmentHeader {
  readonly storeId: Uint8Array
  /** Printable ASCII. */
  readonly owner: string
  readonly number: number
  /** Number of the segment at which reading the log begins. */
  readonly start: number
  /** Sequence of the segment's first block. */
  readonly sequence: number
}

export const encodeSegmentHeader = (header: SegmentHeader): Uint8Array => {
  assert(header.storeId.length === STORE_ID_BYTES, "a storeId has 16 bytes")
  const bytes = new Uint8Array(SEGMENT_HEADER_BYTES)
  bytes.set(SEGMENT_MAGIC, 0)
  put4(bytes, 8, LOG_VERSION)
  bytes.set(header.storeId, 12)
  put4(bytes, 28, header.number)
  put4(bytes, 32, header.start)
  put8(bytes, 36, header.sequence)
  putOwner(bytes, header.owner)
  put4(bytes, HEADER_CRC_AT, crc32c(bytes, 0, HEADER_CRC_AT))
  return bytes
}

const putOwner = (into: Uint8Array, owner: string): void => {
  assert(owner.length <= OWNER_BYTES && /^[ -~]*$/.test(owner), "an owner is a short ASCII text")
  for (let at = 0; at < owner.length; at++) into[OWNER_AT + at] = owner.charCodeAt(at)
}
const getOwner = (from: Uint8Array): string => {
  const bytes = from.subarray(OWNER_AT, HEADER_CRC_AT)
  const end = bytes.indexOf(0)
  return String.fromCharCode(...(end < 0 ? bytes : bytes.subarray(0, end)))
}

/** A number: the format version of a newer Quorate. `undefined`: unreadable. */
export const decodeSegmentHeader = (bytes: Uint8Array): SegmentHeader | number | undefined => {
  if (bytes.length < 12 || !magicAt(bytes, 0, SEGMENT_MAGIC)) return undefined
  const version = get4(bytes, 8)
  if (version > LOG_VERSION) return version
  if (bytes.length < SEGMENT_HEADER_BYTES || version !== LOG_VERSION) return undefined
  if (get4(bytes, HEADER_CRC_AT) !== crc32c(bytes, 0, HEADER_CRC_AT)) return undefined
  return {
    storeId: new Uint8Array(bytes.subarray(12, 28)),
    owner: getOwner(bytes),
    number: get4(bytes, 28),
    start: get4(bytes, 32),
    sequence: get8(bytes, 36)
  }
}

/** Whether a crash while the header was written could have left these bytes. */
export const tornSegmentHeader = (bytes: Uint8Array): boolean =>
  bytes.length < SEGMENT_HEADER_BYTES ||
  (bytes.length === SEGMENT_HEADER_BYTES && get4(bytes, HEADER_CRC_AT) === 0)

/** What the checksums of a store's blocks go on from. */
export const blockSeed = (storeId: Uint8Array): number => crc32c(storeId, 0, storeId.length)

/** A record on its way into a block. `cuts`: where its pieces after the first begin. */
export interface Piecewise {
  readonly record: Uint8Array
  readonly cuts: ReadonlyArray<number>
  /** In the block, piece headers included. */
  readonly bytes: number
}

export const piecewise = (record: Uint8Array): Piecewise => {
  const cuts: Array<number> = []
  let start = 0
  let magic = magicNext(record, 0)
  for (;;) {
    const cut = Math.min(magic < 0 ? record.length : magic + 4, start + PIECE_BYTES_MAX)
    if (cut >= record.length) break
    cuts.push(cut)
    start = cut
    if (magic >= 0 && cut >= magic + 4) magic = magicNext(record, magic + 8)
  }
  return { record, cuts, bytes: record.length + PIECE_HEADER_BYTES * (cuts.length + 1) }
}

const putPiece = (into: Uint8Array, at: number, piece: Uint8Array, last: boolean): number => {
  put4(into, at, piece.length)
  into[at] = last ? 0 : 0x80
  into[at + 4] = 0
  into.set(piece, at + PIECE_HEADER_BYTES)
  return at + PIECE_HEADER_BYTES + piece.length
}

export const encodeBlock = (
  records: ReadonlyArray<Piecewise>,
  sequence: number,
  seed: number
): Uint8Array => {
  let length = 0
  for (const record of records) length += record.bytes
  assert(length > 0 && length <= PAYLOAD_BYTES_MAX, "a block holds at least one record")
  const bytes = new Uint8Array(BLOCK_HEADER_BYTES + length)
  let at = BLOCK_HEADER_BYTES
  for (const { record, cuts } of records) {
    let start = 0
    for (const cut of cuts) {
      at = putPiece(bytes, at, record.subarray(start, cut), false)
      start = cut
    }
    at = putPiece(bytes, at, start === 0 ? record : record.subarray(start), true)
  }
  assert(at === bytes.length, "a block is as long as its records say")
  bytes.set(BLOCK_MAGIC, 0)
  put8(bytes, 8, sequence)
  put4(bytes, 16, length)
  put4(bytes, 20, crc32c(bytes, BLOCK_HEADER_BYTES, bytes.length, seed))
  put4(bytes, 24, crc32c(bytes, 0, 24, seed))
  return bytes
}

export interface BlockHeader {
  readonly sequence: number
  /** Where the block ends in the file, if the file is that long. */
  readonly end: number
}

/** The header of the block at `at`; `undefined` unless it is whole. */
export const blockHeaderAt = (
  bytes: Uint8Array,
  at: number,
  seed: number
): BlockHeader | undefined => {
  if (at + BLOCK_HEADER_BYTES > bytes.length || !magicAt(bytes, at, BLOCK_MAGIC)) return undefined
  if (get4(bytes, at + 24) !== crc32c(bytes, at, at + 24, seed)) return undefined
  return { sequence: get8(bytes, at + 8), end: at + BLOCK_HEADER_BYTES + get4(bytes, at + 16) }
}

/** Whether the payload of the block at `at` is what was written. */
export const blockWhole = (
  bytes: Uint8Array,
  at: number,
  header: BlockHeader,
  seed: number
): boolean =>
  header.end <= bytes.length &&
  get4(bytes, at + 20) === crc32c(bytes, at + BLOCK_HEADER_BYTES, header.end, seed)

/** Where the next whole block header begins, at `from` or later; -1 when nowhere. */
export const blockHeaderNext = (bytes: Uint8Array, from: number, seed: number): number => {
  for (let at = magicNext(bytes, from); at >= 0; at = magicNext(bytes, at + 1)) {
    if (blockHeaderAt(bytes, at, seed) !== undefined) return at
  }
  return -1
}

/** Hands out the records of a whole block as copies, so that none keeps a segment in memory. */
export const blockRecords = (
  bytes: Uint8Array,
  at: number,
  end: number,
  each: (record: Uint8Array) => void
): void => {
  const pieces: Array<Uint8Array> = []
  let from = at + BLOCK_HEADER_BYTES
  while (from < end) {
    const start = from + PIECE_HEADER_BYTES
    from = start + (get4(bytes, from) & PIECE_BYTES_MAX)
    assert(from <= end, "pieces end with their block")
    pieces.push(bytes.subarray(start, from))
    if (bytes[start - PIECE_HEADER_BYTES] === 0x80) continue
    each(joined(pieces))
    pieces.length = 0
  }
  assert(pieces.length === 0, "records end with their block")
}

const joined = (pieces: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const piece of pieces) length += piece.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const piece of pieces) {
    whole.set(piece, at)
    at += piece.length
  }
  return whole
}
