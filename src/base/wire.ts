/**
 * Protobuf's wire format, as far as Quorate's own frames and records need it. Counters are
 * numbers up to 2^53 - 1. `@bufbuild/protobuf/wire` reads 64-bit varints as bigint or string and
 * throws on bad input; these two do neither.
 */
import { NO_BYTES } from "./bytes.ts"
import { assert } from "./assert.ts"
import { scalarAt, utf8Bytes, utf8Decode } from "./utf8.ts"

export const UINT32_MAX = 0xffff_ffff
/** 2^53 - 1 has 53 bits: 8 groups of 7, of the last one 4 bits. */
const VARINT_BYTES_MAX = 8
const VARINT_LAST_MAX = 15
/** What protobuf allows; only for values that are skipped. */
const VARINT_BYTES_SKIPPED_MAX = 10
/** A buffer that one large message grew is not kept. */
const KEPT_BYTES_MAX = 65_536
/**
 * An array of up to 64 bytes lives in the JavaScript heap and costs 40 ns; a larger one of its own
 * costs 200 to 500 ns. So what is small, and larger than that, shares a slab, which stays in memory
 * as long as any of its parts.
 */
const HEAP_BYTES_MAX = 64
const SLAB_BYTES = 8192
const SLAB_SHARE_MAX = 1024
/** Below it a loop copies faster than `TypedArray.set`. */
const COPY_LOOP_BYTES = 32

/**
 * Writes into one growing buffer. `reserve` first, for all that follows: the other methods do not
 * look at the buffer's end. What `take` returns is the caller's own, but for its ArrayBuffer, which
 * may hold the bytes of others beside it.
 */
export class Writer {
  private bytes: Uint8Array
  private at = 0
  private readonly bytesMin: number

  constructor(bytesMin: number) {
    this.bytesMin = bytesMin
    this.bytes = new Uint8Array(bytesMin)
  }

  /** Bytes written since the last `clear`. */
  get length(): number {
    return this.at
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.at + count
    if (needed <= this.bytes.length) return
    const grown = new Uint8Array(Math.max(needed, 2 * this.bytes.length))
    grown.set(this.bytes.subarray(0, this.at))
    this.bytes = grown
  }

  byte(value: number): void {
    this.bytes[this.at++] = value
  }

  /** A varint: 1 to 8 bytes. */
  uint(value: number): void {
    assert(Number.isSafeInteger(value) && value >= 0, "a counter is an integer of at most 2^53 - 1")
    const bytes = this.bytes
    let at = this.at
    while (value > 0x7fff_ffff) {
      bytes[at++] = (value % 128) | 0x80
      value = Math.floor(value / 128)
    }
    while (value > 0x7f) {
      bytes[at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    bytes[at++] = value
    this.at = at
  }

  fixed32(value: number): void {
    assert(value >>> 0 === value, "a fixed32 is an integer of at most 2^32 - 1")
    const bytes = this.bytes
    const at = this.at
    bytes[at] = value & 0xff
    bytes[at + 1] = (value >>> 8) & 0xff
    bytes[at + 2] = (value >>> 16) & 0xff
    bytes[at + 3] = value >>> 24
    this.at = at + 4
  }

  raw(value: Uint8Array): void {
    const bytes = this.bytes
    const at = this.at
    const length = value.length
    if (length <= COPY_LOOP_BYTES) {
      for (let i = 0; i < length; i++) bytes[at + i] = value[i]!
    } else {
      bytes.set(value, at)
    }
    this.at = at + length
  }

  /** Length, then bytes. */
  block(value: Uint8Array): void {
    this.uint(value.length)
    this.raw(value)
  }

  /** Length, then a string of one byte per character. */
  latin(value: string): void {
    const length = value.length
    this.uint(length)
    const bytes = this.bytes
    const at = this.at
    for (let i = 0; i < length; i++) bytes[at + i] = value.charCodeAt(i)
    this.at = at + length
  }

  /** Length, then UTF-8: reserve 3 bytes a character and 4. A lone surrogate becomes U+FFFD. */
  text(value: string): void {
    this.uint(utf8Bytes(value))
    const bytes = this.bytes
    let at = this.at
    for (let i = 0; i < value.length; i++) {
      const point = scalarAt(value, i)
      if (point < 0x80) {
        bytes[at++] = point
      } else if (point < 0x800) {
        bytes[at++] = 0xc0 | (point >> 6)
        bytes[at++] = 0x80 | (point & 0x3f)
      } else if (point < 0x1_0000) {
        bytes[at++] = 0xe0 | (point >> 12)
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
        bytes[at++] = 0x80 | (point & 0x3f)
      } else {
        bytes[at++] = 0xf0 | (point >> 18)
        bytes[at++] = 0x80 | ((point >> 12) & 0x3f)
        bytes[at++] = 0x80 | ((point >> 6) & 0x3f)
        bytes[at++] = 0x80 | (point & 0x3f)
        i++
      }
    }
    this.at = at
  }

  /**
   * Begins a block whose length is known at its end. `guess` bytes: moving it later costs a copy,
   * so guess well; `reserve` 4 bytes more. Returns what `close` takes.
   */
  open(guess: number): number {
    this.at += varintBytes(guess)
    return this.at
  }

  /** Ends the block that `open(guess)` began at `start`. */
  close(start: number, guess: number): void {
    const length = this.at - start
    const prefix = varintBytes(guess)
    const shift = varintBytes(length) - prefix
    if (shift !== 0) this.bytes.copyWithin(start + shift, start, this.at)
    this.at = start - prefix
    this.uint(length)
    this.at += length
  }

  /** Leaves `count` bytes to be written later. */
  skip(count: number): void {
    this.at += count
  }

  /** What was written, as bytes of their own; the writer is empty again. */
  take(): Uint8Array {
    assert(this.at <= this.bytes.length, "reserve before writing")
    const taken = copyOf(this.bytes, this.at)
    this.clear()
    return taken
  }

  /** What was written before `end`; the rest stays, behind `head` bytes to be written later. */
  split(end: number, head: number): Uint8Array {
    assert(this.at <= this.bytes.length && head <= end, "reserve before writing")
    const taken = this.bytes.slice(0, end)
    this.bytes.copyWithin(head, end, this.at)
    this.at = head + this.at - end
    return taken
  }

  clear(): void {
    this.at = 0
    if (this.bytes.length > KEPT_BYTES_MAX) this.bytes = new Uint8Array(this.bytesMin)
  }
}

let slab = new Uint8Array(SLAB_BYTES)
let slabAt = 0

const copyOf = (bytes: Uint8Array, length: number): Uint8Array => {
  if (length <= HEAP_BYTES_MAX || length > SLAB_SHARE_MAX) return bytes.slice(0, length)
  if (slabAt + length > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES)
    slabAt = 0
  }
  const start = slabAt
  slabAt += length
  slab.set(bytes.subarray(0, length), start)
  return slab.subarray(start, slabAt)
}

const varintBytes = (value: number): number =>
  value < 0x80 ? 1 : value < 0x4000 ? 2 : value < 0x20_0000 ? 3 : 4

/**
 * Reads `bytes` from `start` to `end` and never beyond. Nothing throws: the first thing that does
 * not fit clears `ok` and ends the range, so a loop over `more` ends; later reads give zeros.
 */
export class Reader {
  bytes: Uint8Array = NO_BYTES
  at = 0
  end = 0
  ok = true

  set(bytes: Uint8Array, start: number, end: number): void {
    // A Buffer's `slice` is a view: what is copied here must be a copy.
    const plain = bytes.constructor === Uint8Array
    this.bytes = plain ? bytes : new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    this.ok = start >= 0 && start <= end && end <= bytes.length
    this.at = this.ok ? start : 0
    this.end = this.ok ? end : 0
  }

  get more(): boolean {
    return this.at < this.end
  }

  fail(): 0 {
    this.ok = false
    this.at = this.end
    return 0
  }

  byte(): number {
    return this.at < this.end ? this.bytes[this.at++]! : this.fail()
  }

  /** A varint of at most 2^53 - 1, in at most 8 bytes. */
  uint(): number {
    const at = this.at
    if (at < this.end) {
      const first = this.bytes[at]!
      if (first < 0x80) {
        this.at = at + 1
        return first
      }
    }
    return this.uintLong()
  }

  private uintLong(): number {
    const bytes = this.bytes
    const at = this.at
    const count = Math.min(this.end - at, VARINT_BYTES_MAX)
    let value = 0
    let scale = 1
    for (let i = 0; i < count; i++) {
      const byte = bytes[at + i]!
      if (byte < 0x80) {
        if (i === VARINT_BYTES_MAX - 1 && byte > VARINT_LAST_MAX) return this.fail()
        this.at = at + i + 1
        return value + byte * scale
      }
      value += (byte & 0x7f) * scale
      scale *= 128
    }
    return this.fail()
  }

  uint32(): number {
    const value = this.uint()
    return value <= UINT32_MAX ? value : this.fail()
  }

  fixed32(): number {
    const at = this.at
    if (this.end - at < 4) return this.fail()
    this.at = at + 4
    const b = this.bytes
    return (b[at]! | (b[at + 1]! << 8) | (b[at + 2]! << 16) | (b[at + 3]! << 24)) >>> 0
  }

  /** The length of a block that lies whole inside the range; the reader stands before its bytes. */
  blockLength(bytesMax: number): number {
    const length = this.uint()
    return length <= this.end - this.at && length <= bytesMax ? length : this.fail()
  }

  /** The next `length` bytes, checked before, as a view. */
  view(length: number): Uint8Array {
    const at = this.at
    this.at = at + length
    return this.bytes.subarray(at, at + length)
  }

  /** The next `length` bytes, checked before, as a copy. */
  copy(length: number): Uint8Array {
    const at = this.at
    this.at = at + length
    return this.bytes.slice(at, at + length)
  }

  /** A block of strict UTF-8. */
  text(bytesMax: number): string {
    const length = this.blockLength(bytesMax)
    const text = utf8Decode(this.bytes, this.at, this.at + length)
    if (text === undefined) {
      this.fail()
      return ""
    }
    this.at += length
    return text
  }

  /** Passes over the value of a field that this version does not know. */
  skip(wireType: number): void {
    if (wireType === 0) this.skipVarint()
    else if (wireType === 1) this.pass(8)
    else if (wireType === 2) this.pass(this.uint())
    else if (wireType === 5) this.pass(4)
    else this.fail()
  }

  private pass(count: number): void {
    if (count <= this.end - this.at) this.at += count
    else this.fail()
  }

  private skipVarint(): void {
    const last = Math.min(this.end, this.at + VARINT_BYTES_SKIPPED_MAX)
    for (let at = this.at; at < last; at++) {
      if (this.bytes[at]! < 0x80) {
        this.at = at + 1
        return
      }
    }
    this.fail()
  }
}
