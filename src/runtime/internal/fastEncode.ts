/**
 * Messages to bytes for the plain kinds of fields, several times as fast as `toBinary`, which makes
 * a writer and a buffer for each message. The same bytes, or `undefined` where anything is out of
 * the ordinary: then `toBinary` decides. A twin test compares the two.
 */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf"
import { getTextEncoding } from "@bufbuild/protobuf/wire"
import { type Plain, plainOf, type Singular, tagOf, WIRE_BYTES } from "./plainMessage.ts"

/** False: this is for `toBinary`. */
type Write = (message: any) => boolean
type WriteValue = (value: any) => boolean

const SCRATCH_BYTES = 1024
/** A buffer that one large message grew is not kept. */
const KEPT_BYTES_MAX = 65_536
const DEPTH_MAX = 32

/** What is being written; one message at a time. */
let bytes = new Uint8Array(SCRATCH_BYTES)
let at = 0
let depth = 0
let busy = false

/** `undefined`: this type has fields of other kinds. */
export const compileEncode = (
  desc: DescMessage
): ((message: object) => Uint8Array | undefined) | undefined => {
  const plain = plainOf(desc)
  if (plain === undefined) return undefined
  const write = writerOf(plain)
  return (message) => {
    // A getter of the message that encodes another one: possible, not worth being fast.
    if (busy) return undefined
    busy = true
    at = 0
    depth = 0
    try {
      return write(message) ? bytes.slice(0, at) : undefined
    } finally {
      busy = false
      if (bytes.length > KEPT_BYTES_MAX) bytes = new Uint8Array(SCRATCH_BYTES)
    }
  }
}

const writers = new WeakMap<DescMessage, Write>()

const writerOf = (plain: Plain): Write => {
  const known = writers.get(plain.desc)
  if (known !== undefined) return known
  const { typeName } = plain.desc
  let fields: ReadonlyArray<Write> = []
  const write: Write = (message) => {
    const named = message.$typeName
    if ((named !== undefined && named !== typeName) || ++depth > DEPTH_MAX) return false
    for (let i = 0; i < fields.length; i++) if (!fields[i]!(message)) return false
    depth--
    return true
  }
  // Before its fields: a message may hold its own kind.
  writers.set(plain.desc, write)
  fields = plain.fields.map(fieldWriter)
  return write
}

const fieldWriter = (field: DescField): Write => {
  const name = field.localName
  if (field.fieldKind === "list") return listWriter(field)
  const value = valueWriter(field as Singular)
  const oneof = field.oneof?.localName
  if (oneof !== undefined) {
    return (message) => {
      const chosen = message[oneof]
      return chosen == null || chosen.case !== name || (chosen.value != null && value(chosen.value))
    }
  }
  const zero = zeroOf(field as Singular)
  return (message) => {
    const it = message[name]
    return it == null || it === zero || value(it)
  }
}

/** What is not written; `undefined`: whatever is there is, but for empty bytes. */
const zeroOf = (field: Singular): unknown => {
  if (field.message !== undefined || field.proto.proto3Optional) return undefined
  switch (field.scalar) {
    case ScalarType.STRING:
      return ""
    case ScalarType.BOOL:
      return false
    case ScalarType.BYTES:
      return undefined
    default:
      return 0
  }
}

const listWriter = (field: DescField & { readonly fieldKind: "list" }): Write => {
  const name = field.localName
  const value = valueWriter(field)
  if (!field.packed) return (message) => each(message[name], value)
  const item = scalarWriter(field)
  return (message) => {
    const items = message[name]
    if (items == null || items.length === 0) return true
    return block(tagOf(field, WIRE_BYTES), () => each(items, item))
  }
}

const each = (items: unknown, write: WriteValue): boolean => {
  if (items == null) return true
  if (!Array.isArray(items)) return false
  for (let i = 0; i < items.length; i++) if (!write(items[i])) return false
  return true
}

/** Tag and value. */
const valueWriter = (
  field: Singular | (DescField & { readonly fieldKind: "list" })
): WriteValue => {
  const child = field.message
  if (child !== undefined) {
    const write = writerOf(plainOf(child)!)
    const tag = tagOf(field, WIRE_BYTES)
    return (value) =>
      value !== null &&
      typeof value === "object" &&
      !Array.isArray(value) &&
      nested(tag, write, value)
  }
  const write = scalarWriter(field)
  const tag = tagOf(field)
  const keepsZero =
    field.fieldKind === "list" || field.oneof !== undefined || field.proto.proto3Optional
  if (field.scalar !== ScalarType.BYTES || keepsZero) {
    return (value) => {
      room(5)
      uint(tag)
      return write(value)
    }
  }
  return (value) => {
    if (value instanceof Uint8Array && value.length === 0) return true
    room(5)
    uint(tag)
    return write(value)
  }
}

const scalarWriter = (field: DescField): WriteValue => {
  if (field.scalar === undefined) return int32
  return SCALARS[field.scalar as keyof typeof SCALARS]
}

const uint32: WriteValue = (value) => {
  // The right operand is a number: what is no uint32 is not the same.
  if (typeof value !== "number" || value >>> 0 !== value) return false
  room(5)
  uint(value)
  return true
}
/** Negative ones take ten bytes, and are rare. */
const int32: WriteValue = (value) => {
  if (typeof value !== "number" || (value | 0) !== value || value < 0) return false
  room(5)
  uint(value)
  return true
}
const sint32: WriteValue = (value) => {
  if (typeof value !== "number" || (value | 0) !== value) return false
  room(5)
  uint(((value << 1) ^ (value >> 31)) >>> 0)
  return true
}
const bool: WriteValue = (value) => {
  if (typeof value !== "boolean") return false
  room(1)
  bytes[at++] = value ? 1 : 0
  return true
}
const string: WriteValue = (value) => {
  if (typeof value !== "string") return false
  const { length } = value
  const start = at
  if (length < 0x80) {
    room(length + 1)
    bytes[at++] = length
    let i = 0
    for (; i < length; i++) {
      const code = value.charCodeAt(i)
      if (code > 0x7f) break
      bytes[at++] = code
    }
    if (i === length) return true
    at = start
  }
  return raw(getTextEncoding().encodeUtf8(value))
}
const raw: WriteValue = (value) => {
  if (!(value instanceof Uint8Array)) return false
  const { length } = value
  room(length + 5)
  uint(length)
  // Below it a loop copies faster than `set`.
  if (length <= 32) for (let i = 0; i < length; i++) bytes[at + i] = value[i]!
  else bytes.set(value, at)
  at += length
  return true
}

const SCALARS = {
  [ScalarType.UINT32]: uint32,
  [ScalarType.INT32]: int32,
  [ScalarType.SINT32]: sint32,
  [ScalarType.BOOL]: bool,
  [ScalarType.STRING]: string,
  [ScalarType.BYTES]: raw
} as const

const nested = (tag: number, write: Write, value: object): boolean => {
  const start = open(tag)
  return write(value) && close(start)
}

const block = (tag: number, write: () => boolean): boolean => {
  const start = open(tag)
  return write() && close(start)
}

/** Leaves one byte for the length: most are short. */
const open = (tag: number): number => {
  room(6)
  uint(tag)
  return ++at
}

const close = (start: number): boolean => {
  const length = at - start
  if (length < 0x80) {
    bytes[start - 1] = length
    return true
  }
  const prefix = length < 0x4000 ? 2 : length < 0x20_0000 ? 3 : length < 0x1000_0000 ? 4 : 5
  room(prefix)
  bytes.copyWithin(start - 1 + prefix, start, at)
  at = start - 1
  uint(length)
  at += length
  return true
}

/** A varint of at most 32 bits; `room` first. */
const uint = (value: number): void => {
  while (value > 0x7f) {
    bytes[at++] = (value & 0x7f) | 0x80
    value >>>= 7
  }
  bytes[at++] = value
}

const room = (count: number): void => {
  const needed = at + count
  if (needed <= bytes.length) return
  const grown = new Uint8Array(Math.max(needed, 2 * bytes.length))
  grown.set(bytes.subarray(0, at))
  bytes = grown
}
