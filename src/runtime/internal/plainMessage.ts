/** Which messages have only the kinds of fields that fastEncode.ts and fastDecode.ts know. */
import { type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf"

/** A message of plain fields all the way down. */
export interface Plain {
  readonly desc: DescMessage
  /** By rising number: the order on the wire. */
  readonly fields: ReadonlyArray<DescField>
}
export type Singular = DescField & { readonly fieldKind: "scalar" | "enum" | "message" }

export const WIRE_VARINT = 0
export const WIRE_BYTES = 2

const PLAIN_SCALARS: ReadonlySet<ScalarType> = new Set([
  ScalarType.UINT32,
  ScalarType.INT32,
  ScalarType.SINT32,
  ScalarType.BOOL,
  ScalarType.STRING,
  ScalarType.BYTES
])
const EDITION_PROTO3 = 999

/** Tag of a field, as its values are written one by one, or with another wire type. */
export const tagOf = (field: DescField, wireType = wireTypeOf(field)): number =>
  ((field.number << 3) | wireType) >>> 0

const wireTypeOf = ({ scalar, message }: DescField): number =>
  message !== undefined || scalar === ScalarType.STRING || scalar === ScalarType.BYTES
    ? WIRE_BYTES
    : WIRE_VARINT

const plains = new WeakMap<DescMessage, Plain | undefined>()

/** `undefined`: some field, here or below, is of another kind (64 bits, floats, maps …). */
export const plainOf = (desc: DescMessage): Plain | undefined => {
  if (plains.has(desc)) return plains.get(desc)
  const seen = new Set<DescMessage>()
  const plain = isPlain(desc, seen)
  // What `desc` holds is plain where `desc` is; where it is not, each is asked on its own.
  for (const each of plain ? seen : [desc]) {
    const fields = each.fields.toSorted((a, b) => a.number - b.number)
    plains.set(each, plain ? { desc: each, fields } : undefined)
  }
  return plains.get(desc)
}

const isPlain = (desc: DescMessage, seen: Set<DescMessage>): boolean => {
  if (seen.has(desc)) return true
  seen.add(desc)
  // Well-known types have forms of their own.
  if (desc.file.edition !== EDITION_PROTO3 || desc.typeName.startsWith("google.protobuf.")) {
    return desc.typeName === "google.protobuf.Empty"
  }
  return desc.fields.every((field) => {
    if (field.fieldKind === "map") return false
    if (field.message !== undefined) return isPlain(field.message, seen)
    if (field.enum !== undefined) return field.enum.open && field.enum.values[0]!.number === 0
    return PLAIN_SCALARS.has(field.scalar!)
  })
}
