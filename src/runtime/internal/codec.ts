import { create, type DescMessage, fromBinary, type Message, toBinary } from "@bufbuild/protobuf"
import type { Codec } from "../../server/Protocol.ts"

// What a node does not understand it does not pass on: votes are compared by what is in them.
const READ = { readUnknownFields: false }
const WRITE = { writeUnknownFields: false }

const codecs = new WeakMap<DescMessage, Codec>()

/** Bytes to messages of one type and back; `encode` also takes what a message is made of. */
export const codecOf = (schema: DescMessage): Codec => {
  let codec = codecs.get(schema)
  if (codec === undefined) {
    codec = {
      decode: (bytes) => fromBinary(schema, bytes, READ),
      encode: (init) => encode(schema, init)
    }
    codecs.set(schema, codec)
  }
  return codec
}

const encode = (schema: DescMessage, init: Partial<Message>): Uint8Array => {
  const { $typeName: typeName } = init
  if (typeName === undefined) return toBinary(schema, create(schema, init), WRITE)
  if (typeName !== schema.typeName) throw new TypeError(`a ${typeName} is no ${schema.typeName}`)
  try {
    return toBinary(schema, init as Message, WRITE)
  } catch {
    // `{ ...message, field: {} }` passes for a message while its new parts are none yet.
    const { $typeName: _, ...fields } = init
    return toBinary(schema, create(schema, fields), WRITE)
  }
}
