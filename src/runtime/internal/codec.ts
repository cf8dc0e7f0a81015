import {
  create,
  type DescMessage,
  fromBinary,
  isMessage,
  type Message,
  toBinary
} from "@bufbuild/protobuf"
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

const encode = (schema: DescMessage, init: object): Uint8Array => {
  const { $typeName: typeName, ...fields } = init as Partial<Message>
  if (typeName !== undefined && typeName !== schema.typeName) {
    throw new TypeError(`a ${typeName} is no ${schema.typeName}`)
  }
  if (isMessage(init, schema)) {
    try {
      return toBinary(schema, init, WRITE)
    } catch {
      // `{ ...message, field: {} }` passes for a message while its new parts are none yet.
    }
  }
  return toBinary(schema, create(schema, fields), WRITE)
}
