/**
 * A protocol whose messages cannot be changed: handlers share what was decoded once, so one that
 * writes into a message breaks others. Here it throws instead.
 */
import type { Codec, ProtocolSpec } from "../../server/Protocol.ts"

export const frozen = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => ({ ...method, input: frozenCodec(method.input) }))
})

const frozenCodec = (codec: Codec): Codec => ({
  encode: codec.encode,
  decode: (bytes) => freezeDeep(codec.decode(bytes))
})

/** Bytes stay as they are: an array buffer cannot be frozen. */
const freezeDeep = <T extends object>(value: T): T => {
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) freezeDeep(part)
  }
  return value
}
