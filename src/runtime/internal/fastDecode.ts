/**
 * Bytes to messages for the plain kinds of fields, several times as fast as `fromBinary`. The same
 * message, or `undefined` for what is out of the ordinary (a field it does not know, a number that
 * does not fit, a message in two parts): then `fromBinary` decides. A twin test compares the two.
 */
import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf"
import { getTextEncoding } from "@bufbuild/protobuf/wire"
import { type Plain, plainOf, tagOf, WIRE_BYTES, WIRE_VARINT } from "./plainMessage.ts"

/** Reads a field's value into the message. False: this is for `fromBinary`. */
type Read = (message: any) => boolean
type Fields = ReadonlyMap<number, Read>

const DEPTH_MAX = 32
/** No value of a field. */
const ODD = Symbol("odd")

/** What is being read; reading calls nobody else's code. */
const NOTHING = new Uint8Array(0)
let bytes: Uint8Array = NOTHING
let at = 0
let end = 0
let depth = 0

/** `undefined`: this type has fields of other kinds. */
export const compileDecode = (
  desc: DescMessage
): ((bytes: Uint8Array) => object | undefined) | undefined => {
  const plain = plainOf(desc)
  if (plain === undefined) return undefined
  const fields = fieldsOf(plain)
  return (body) => {
    bytes = body
    at = 0
    end = body.length
    depth = 0
    const message = read(desc, fields)
    bytes = NOTHING
    return message
  }
}

const tables = new WeakMap<DescMessage, Fields>()

/** By tag. */
const fieldsOf = (plain: Plain): Fields => {
  const known = tables.get(plain.desc)
  if (known !== undefined) return known
  const fields = new Map<number, Read>()
  // Before its fields: a message may hold its own kind.
  tables.set(plain.desc, fields)
  for (const field of plain.fields) {
    fields.set(tagOf(field), field.fieldKind === "list" ? listReader(field) : fieldReader(field))
    const packable = field.fieldKind === "list" && tagOf(field) % 8 === WIRE_VARINT
    if (packable) fields.set(tagOf(field, WIRE_BYTES), packedReader(field))
  }
  return fields
}

/** Up to `end`. */
const read = (desc: DescMessage, fields: Fields): object | undefined => {
  if (++depth > DEPTH_MAX) return undefined
  const message = create(desc)
  while (at < end) {
    const tag = varint()
    const field = fields.get(tag)
    if (field === undefined || !field(message)) return undefined
  }
  depth--
  return message
}

const fieldReader = (field: DescField): Read => {
  const name = field.localName
  const oneof = field.oneof?.localName
  const value = valueReader(field)
  if (field.message !== undefined) {
    return (message) => {
      // A second part would have to be merged with the first.
      const before = oneof === undefined ? message[name] : undefined
      if (before !== undefined || (oneof !== undefined && message[oneof].case === name))
        return false
      const child = value()
      if (child === ODD) return false
      if (oneof === undefined) message[name] = child
      else message[oneof] = { case: name, value: child }
      return true
    }
  }
  if (oneof !== undefined) {
    return (message) => {
      const it = value()
      message[oneof] = { case: name, value: it }
      return it !== ODD
    }
  }
  return (message) => {
    const it = value()
    message[name] = it
    return it !== ODD
  }
}

const listReader = (field: DescField): Read => {
  const name = field.localName
  const value = valueReader(field)
  return (message) => {
    const it = value()
    message[name].push(it)
    return it !== ODD
  }
}

const packedReader = (field: DescField): Read => {
  const one = listReader(field)
  return (message) => {
    const outer = end
    if (!enter()) return false
    while (at < end) if (!one(message)) return false
    end = outer
    return true
  }
}

const valueReader = (field: DescField): (() => unknown) => {
  const child = field.message
  if (child !== undefined) {
    const fields = fieldsOf(plainOf(child)!)
    return () => {
      const outer = end
      if (!enter()) return ODD
      const message = read(child, fields)
      end = outer
      return message ?? ODD
    }
  }
  switch (field.scalar) {
    case ScalarType.UINT32:
      return () => orOdd(varint())
    case ScalarType.SINT32:
      return () => {
        const value = varint()
        return value < 0 ? ODD : (value >>> 1) ^ -(value & 1)
      }
    case ScalarType.BOOL:
      return () => {
        const value = varint()
        return value === 1 || (value === 0 ? false : ODD)
      }
    case ScalarType.BYTES:
      return block
    case ScalarType.STRING: {
      const strict = field.utf8Validation
      return () => text(strict)
    }
    default:
      return () => {
        const value = varint()
        return value <= 0x7fff_ffff ? orOdd(value) : ODD
      }
  }
}

const orOdd = (value: number): unknown => (value < 0 ? ODD : value)

/** At most 32 bits; -1: more of them, or the end. */
const varint = (): number => {
  let value = 0
  for (let shift = 0; shift < 35 && at < end; shift += 7) {
    const byte = bytes[at++]!
    if (shift === 28 && byte > 0x0f) return -1
    value |= (byte & 0x7f) << shift
    if (byte < 0x80) return value >>> 0
  }
  return -1
}

/** Reads a length, and makes what it measures the range that is read. */
const enter = (): boolean => {
  const length = varint()
  if (length < 0 || length > end - at) return false
  end = at + length
  return true
}

/** Of an array this short a copy costs no more than a view, and keeps nothing else in memory. */
const COPIED_BYTES = 64
const block = (): unknown => {
  const length = varint()
  if (length < 0 || length > end - at) return ODD
  const start = at
  at += length
  if (length > COPIED_BYTES) return bytes.subarray(start, at)
  const copy = new Uint8Array(length)
  for (let i = 0; i < length; i++) copy[i] = bytes[start + i]!
  return copy
}

/** Below it a call with an argument per character makes a string faster than a decoder does. */
const SHORT_TEXT = 128
const text = (strict: boolean): unknown => {
  const length = varint()
  if (length < 0 || length > end - at) return ODD
  const start = at
  at += length
  if (length >= SHORT_TEXT) return decode(start, strict)
  const codes = new Array<number>(length)
  for (let i = 0; i < length; i++) {
    const byte = bytes[start + i]!
    if (byte > 0x7f) return decode(start, strict)
    codes[i] = byte
  }
  return String.fromCharCode.apply(String, codes)
}

/** Throws what `fromBinary` throws. */
const decode = (start: number, strict: boolean): string =>
  getTextEncoding().decodeUtf8(bytes.subarray(start, at), strict)
