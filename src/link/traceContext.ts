/**
 * The context of a trace: id of the trace (16 bytes), of the span that goes before (8), flags (1).
 * @source https://www.w3.org/TR/trace-context, "traceparent"
 */
import { bytesOfHex, hexOf } from "../base/bytes.ts"
import { TRACE_BYTES } from "../server/Message.ts"

const SPAN_AT = 16
const FLAGS_AT = 24
const SAMPLED = 1
/** A version that comes later may have more behind. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** Ids of zeros alone are invalid, and what is not sampled is not followed. */
export const isTraced = (context: Uint8Array): boolean =>
  context.length === TRACE_BYTES &&
  (context[FLAGS_AT]! & SAMPLED) !== 0 &&
  isId(context, 0, SPAN_AT) &&
  isId(context, SPAN_AT, FLAGS_AT)

const isId = (context: Uint8Array, from: number, to: number): boolean => {
  for (let i = from; i < to; i++) if (context[i] !== 0) return true
  return false
}

export const traceIdOf = (context: Uint8Array): string => hexOf(context.subarray(0, SPAN_AT))
export const spanIdOf = (context: Uint8Array): string => hexOf(context.subarray(SPAN_AT, FLAGS_AT))

/** Of a sampled span; `undefined`: its ids are not those of W3C. */
export const traceContext = (ids: {
  readonly traceId: string
  readonly spanId: string
}): Uint8Array | undefined => {
  const { traceId, spanId } = ids
  if (traceId.length !== 2 * SPAN_AT || spanId.length !== 2 * (FLAGS_AT - SPAN_AT)) return undefined
  return contextOf(`${traceId}${spanId}01`)
}

export const traceparent = (context: Uint8Array): string =>
  `00-${traceIdOf(context)}-${spanIdOf(context)}-${hexOf(context.subarray(FLAGS_AT))}`

/** `undefined`: it is none, or its caller does not trace this call. */
export const readTraceparent = (header: unknown): Uint8Array | undefined => {
  if (typeof header !== "string") return undefined
  const found = TRACEPARENT.exec(header)
  if (found === null || (header.startsWith("00-") && found[4] !== undefined)) return undefined
  return contextOf(`${found[1]}${found[2]}${found[3]}`)
}

const contextOf = (hex: string): Uint8Array | undefined => {
  const context = bytesOfHex(hex)
  return context !== undefined && isTraced(context) ? context : undefined
}
