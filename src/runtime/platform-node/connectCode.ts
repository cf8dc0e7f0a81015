/** Error codes of Quorate as Connect's, for calls that come outside a link. */
import { Code, ConnectError } from "@connectrpc/connect"
import type { ErrorCode } from "../../base/errorCode.ts"
import { KEY_BYTES, NONCE_BYTES } from "../../link/proofs.ts"
import type { RequestProof } from "../../server/Message.ts"
import type { UnaryReply } from "../Carrier.ts"

interface ConnectCode {
  readonly code: Code
  /** As it is written in a body. */
  readonly name: string
  readonly httpStatus: number
}
const as = (code: Code, name: string, httpStatus: number): ConnectCode => ({
  code,
  name,
  httpStatus
})

/** @source https://connectrpc.com/docs/protocol, "Error Codes" */
const INVALID_ARGUMENT = as(Code.InvalidArgument, "invalid_argument", 400)
const FAILED_PRECONDITION = as(Code.FailedPrecondition, "failed_precondition", 400)
const RESOURCE_EXHAUSTED = as(Code.ResourceExhausted, "resource_exhausted", 429)
const UNAVAILABLE = as(Code.Unavailable, "unavailable", 503)
const INTERNAL = as(Code.Internal, "internal", 500)

const CODES: { readonly [K in ErrorCode]: ConnectCode } = {
  invalid: INVALID_ARGUMENT,
  not_found: as(Code.NotFound, "not_found", 404),
  conflict: as(Code.Aborted, "aborted", 409),
  unavailable: UNAVAILABLE,
  internal: INTERNAL,
  poisoned: INTERNAL,
  already_acknowledged: FAILED_PRECONDITION,
  session_expired: FAILED_PRECONDITION,
  unknown_method: as(Code.Unimplemented, "unimplemented", 501),
  malformed: INVALID_ARGUMENT,
  too_large: RESOURCE_EXHAUSTED,
  deadline_exceeded: as(Code.DeadlineExceeded, "deadline_exceeded", 504),
  cancelled: as(Code.Canceled, "canceled", 499),
  outcome_unknown: as(Code.Unknown, "unknown", 500),
  overloaded: RESOURCE_EXHAUSTED,
  too_early: UNAVAILABLE,
  redirect: UNAVAILABLE,
  window: RESOURCE_EXHAUSTED,
  not_ready: UNAVAILABLE,
  wrong_group: FAILED_PRECONDITION,
  unsupported_version: FAILED_PRECONDITION,
  unauthenticated: as(Code.Unauthenticated, "unauthenticated", 401),
  link_overrun: UNAVAILABLE,
  replaced: UNAVAILABLE,
  wrong_store: FAILED_PRECONDITION,
  banned: as(Code.PermissionDenied, "permission_denied", 403),
  altered: UNAVAILABLE,
  epoch_closing: UNAVAILABLE,
  epoch_ended: FAILED_PRECONDITION,
  epoch_gone: FAILED_PRECONDITION,
  bad_signature: as(Code.Unauthenticated, "unauthenticated", 401)
}

export const connectCode = (code: ErrorCode): ConnectCode => CODES[code]

/** What a stranger's client is told; the exact code travels as `quorate-code`. */
export const connectError = (code: ErrorCode, detail: string | undefined): ConnectError =>
  new ConnectError(detail ?? code, CODES[code].code, { [HEADER.code]: code })

/** Headers of calls that bring their ids, and of their answers. */
export const HEADER = {
  /** `request` or `oneWay`: this call is of a Quorate client and brings its ids. */
  call: "quorate-call",
  /** A client's session, 44 hexadecimal digits: its calls' lane. */
  lane: "quorate-lane",
  /** The call's number in its session. */
  index: "quorate-index",
  /** All calls of the session below it are settled. */
  acknowledged: "quorate-acknowledged",
  /** Of a signed method: client key, nonce and signature, 224 hexadecimal digits. */
  proof: "quorate-proof",
  /** In an error: the code, as error.proto names it, in lower case. */
  code: "quorate-code",
  /** With `redirect`: the node that takes the call. */
  node: "quorate-node",
  /** With `session_expired`. */
  horizon: "quorate-horizon"
} as const

/** What a reply says beside its body. */
export const replyHeaders = ({ code, node, horizonMs }: UnaryReply): Record<string, string> => ({
  ...(code === undefined ? {} : { [HEADER.code]: code }),
  ...(node === undefined ? {} : { [HEADER.node]: String(node) }),
  ...(horizonMs === undefined ? {} : { [HEADER.horizon]: String(horizonMs) })
})

export const proofHeader = ({ clientKey, nonce, signature }: RequestProof): string =>
  Buffer.concat([clientKey, nonce, signature]).toString("hex")

export const proofOf = (header: string): RequestProof | undefined => {
  if (!/^[0-9a-f]{224}$/.test(header)) return undefined
  const bytes = new Uint8Array(Buffer.from(header, "hex"))
  return {
    clientKey: bytes.slice(0, KEY_BYTES),
    nonce: bytes.slice(KEY_BYTES, KEY_BYTES + NONCE_BYTES),
    signature: bytes.slice(KEY_BYTES + NONCE_BYTES)
  }
}
