/**
 * Canonical bytes of plain data, so that worlds and applications need no snapshot code of their
 * own: undefined, null, booleans, numbers, bigint, strings, Uint8Array, arrays, Map, Set and plain
 * objects (messages of protobuf-es are such, but for those of proto2 and editions, whose defaults
 * stand in a prototype). Equal data in equal order has equal bytes on every machine. What is
 * referred to twice is written twice.
 */
import { Reader, Writer } from "./wire.ts"

const TAG = {
  undefined: 0,
  null: 1,
  false: 2,
  true: 3,
  /** Safe integers that are not negative. */
  uint: 4,
  /** -1 - value. */
  negative: 5,
  /** 8 bytes, big endian. */
  float: 6,
  bigint: 7,
  negativeBigint: 8,
  string: 9,
  /** Two bytes a unit: a string with a lone surrogate, which UTF-8 cannot hold. */
  units: 10,
  bytes: 11,
  array: 12,
  map: 13,
  set: 14,
  object: 15
} as const

/** Deeper data is refused; a cycle is data without end. */
const DEPTH_MAX = 128
/** Room of one tag, one length or number, and what has a fixed size. */
const FIXED_BYTES_MAX = 16

/** This value cannot be kept: the message says where it is and what it is. */
export class NotPlain extends Error {
  override readonly name = "NotPlain"
}

/** @throws NotPlain naming the path, e.g. `$.slots[3].run is a function` */
export const encodePlain = (value: unknown): Uint8Array => {
  const writer = new Writer(1024)
  write(writer, value, [])
  return writer.take()
}

type Path = Array<string>

const refuse = (path: Path, what: string): never => {
  throw new NotPlain(`$${path.join("")} is ${what}`)
}

const write = (to: Writer, value: unknown, path: Path): void => {
  to.reserve(FIXED_BYTES_MAX)
  switch (typeof value) {
    case "undefined":
      return to.byte(TAG.undefined)
    case "boolean":
      return to.byte(value ? TAG.true : TAG.false)
    case "number":
      return writeNumber(to, value)
    case "bigint":
      return writeBigint(to, value)
    case "string":
      return writeString(to, value)
    case "object":
      return value === null ? to.byte(TAG.null) : writeObject(to, value, path)
    default:
      return refuse(path, `a ${typeof value}`)
  }
}

const floats = new DataView(new ArrayBuffer(8))
const floatBytes = new Uint8Array(floats.buffer)

const writeNumber = (to: Writer, value: number): void => {
  if (Number.isSafeInteger(value) && !Object.is(value, -0)) {
    to.byte(value < 0 ? TAG.negative : TAG.uint)
    return to.uint(value < 0 ? -1 - value : value)
  }
  to.byte(TAG.float)
  // A machine may have many NaN; here there is one.
  if (Number.isNaN(value)) floats.setBigUint64(0, 0x7ff8_0000_0000_0000n)
  else floats.setFloat64(0, value)
  to.raw(floatBytes)
}

const writeBigint = (to: Writer, value: bigint): void => {
  const digits = (value < 0n ? -1n - value : value).toString(16)
  const even = digits.length % 2 === 0 ? digits : `0${digits}`
  const length = even.length / 2
  to.reserve(FIXED_BYTES_MAX + length)
  to.byte(value < 0n ? TAG.negativeBigint : TAG.bigint)
  to.uint(length)
  for (let i = 0; i < even.length; i += 2) to.byte(Number.parseInt(even.slice(i, i + 2), 16))
}

const writeString = (to: Writer, value: string): void => {
  to.reserve(FIXED_BYTES_MAX + 3 * value.length)
  if (!/\p{Surrogate}/u.test(value)) {
    to.byte(TAG.string)
    return to.text(value)
  }
  to.byte(TAG.units)
  to.uint(value.length)
  for (let i = 0; i < value.length; i++) {
    const unit = value.charCodeAt(i)
    to.byte(unit >>> 8)
    to.byte(unit & 0xff)
  }
}

const writeObject = (to: Writer, value: object, path: Path): void => {
  if (path.length >= DEPTH_MAX) return refuse(path, `more than ${DEPTH_MAX} levels deep`)
  if (value instanceof Uint8Array) {
    to.reserve(FIXED_BYTES_MAX + value.length)
    to.byte(TAG.bytes)
    return to.block(value)
  }
  if (Array.isArray(value)) {
    begin(to, TAG.array, value.length)
    for (let i = 0; i < value.length; i++) {
      const at = `[${i}]`
      if (!(i in value)) refuse([...path, at], "a hole in an array")
      inside(to, value[i], path, at)
    }
    return
  }
  if (value instanceof Map) {
    begin(to, TAG.map, value.size)
    let i = 0
    for (const [key, item] of value) {
      inside(to, key, path, `.keys()[${i++}]`)
      inside(to, item, path, typeof key === "object" ? `.get(…)` : `.get(${String(key)})`)
    }
    return
  }
  if (value instanceof Set) {
    begin(to, TAG.set, value.size)
    let i = 0
    for (const item of value) inside(to, item, path, `.values()[${i++}]`)
    return
  }
  writePlainObject(to, value, path)
}

const writePlainObject = (to: Writer, value: object, path: Path): void => {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && prototype !== Object.prototype) {
    const made = value as { readonly constructor?: { readonly name?: unknown } }
    refuse(path, `of class ${String(made.constructor?.name)}`)
  }
  const keys = Object.keys(value)
  begin(to, TAG.object, keys.length)
  for (const key of keys) {
    writeString(to, key)
    inside(to, (value as Record<string, unknown>)[key], path, `.${key}`)
  }
}

const begin = (to: Writer, tag: number, count: number): void => {
  to.byte(tag)
  to.uint(count)
}

const inside = (to: Writer, value: unknown, path: Path, at: string): void => {
  path.push(at)
  write(to, value, path)
  path.pop()
}

/**
 * What {@link encodePlain} wrote. Costs time and memory in proportion to `bytes`, whatever they
 * hold.
 * @throws NotPlain for bytes that are no plain data
 */
export const decodePlain = (bytes: Uint8Array): unknown => {
  const reader = new Reader()
  reader.set(bytes, 0, bytes.length)
  const value = read(reader, 0)
  if (!reader.ok || reader.more) throw new NotPlain(`bytes: no plain data in ${bytes.length} bytes`)
  return value
}

/** A reader that failed has nothing more, so whatever loops here ends. */
const read = (from: Reader, depth: number): unknown => {
  const tag = from.byte()
  if (depth > DEPTH_MAX) return from.fail()
  switch (tag) {
    case TAG.undefined:
      return undefined
    case TAG.null:
      return null
    case TAG.false:
      return false
    case TAG.true:
      return true
    case TAG.uint:
      return from.uint()
    case TAG.negative:
      return -1 - from.uint()
    case TAG.float:
      return readFloat(from)
    case TAG.bigint:
      return readBigint(from)
    case TAG.negativeBigint:
      return -1n - readBigint(from)
    case TAG.string:
    case TAG.units:
      return readString(from, tag)
    case TAG.bytes:
      return from.copy(from.blockLength(from.end))
    default:
      return readMany(from, tag, depth)
  }
}

const readFloat = (from: Reader): number => {
  for (let i = 0; i < 8; i++) floatBytes[i] = from.byte()
  return floats.getFloat64(0)
}

const readBigint = (from: Reader): bigint => {
  let digits = "0"
  for (let left = from.blockLength(from.end); left > 0; left--) {
    digits += from.byte().toString(16).padStart(2, "0")
  }
  return BigInt(`0x${digits}`)
}

const readString = (from: Reader, tag: number): string => {
  if (tag === TAG.string) return from.text(from.end)
  if (tag !== TAG.units) return String(from.fail())
  let text = ""
  for (let left = from.uint(); left > 0 && from.ok; left--) {
    text += String.fromCharCode(from.byte() * 256 + from.byte())
  }
  return text
}

const readMany = (from: Reader, tag: number, depth: number): unknown => {
  const count = from.uint()
  const next = (): unknown => read(from, depth + 1)
  switch (tag) {
    case TAG.array: {
      const array: Array<unknown> = []
      for (let i = 0; i < count && from.ok; i++) array.push(next())
      return array
    }
    case TAG.map: {
      const map = new Map<unknown, unknown>()
      for (let i = 0; i < count && from.ok; i++) map.set(next(), next())
      return map
    }
    case TAG.set: {
      const set = new Set<unknown>()
      for (let i = 0; i < count && from.ok; i++) set.add(next())
      return set
    }
    case TAG.object: {
      const object = {}
      for (let i = 0; i < count && from.ok; i++) {
        const key = readString(from, from.byte())
        // Not assigned: a key may be `__proto__`.
        const property = { configurable: true, enumerable: true, writable: true }
        Object.defineProperty(object, key, { ...property, value: next() })
      }
      return object
    }
    default:
      return from.fail()
  }
}
