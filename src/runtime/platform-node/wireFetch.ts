/** Asks for ranges, and their answers, between their own form and the generated one. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import {
  FetchReply_Outcome,
  FetchReplySchema,
  FetchRequestSchema
} from "../../../gen/quorate/v1/link_pb.ts"
import { NODE_ID_MAX } from "../../base/NodeId.ts"
import { FETCH_SEAL_BYTES } from "../../link/fetchSealing.ts"
import type { FetchAnswer } from "../../link/fetchStore.ts"
import type { FetchCall } from "../Carrier.ts"

export const FETCH_PATH = "/quorate.v1.Peer/Fetch"
/** Of a request: two digests, a token and a few numbers. */
export const FETCH_REQUEST_BYTES_MAX = 256
/** Around the bytes in a reply, sealed or not. */
export const FETCH_REPLY_AROUND_BYTES = 32 + FETCH_SEAL_BYTES

const { GIVEN, NOT_OFFERED, LATER } = FetchReply_Outcome

export const encodeFetchCall = ({ offset, ...call }: FetchCall): Uint8Array =>
  toBinary(FetchRequestSchema, create(FetchRequestSchema, { ...call, offset: BigInt(offset) }))

/** `undefined`: these bytes are no request. */
export const decodeFetchCall = (bytes: Uint8Array): FetchCall | undefined => {
  try {
    const { groupDigest, node, token, digest, list, length, ...more } = fromBinary(
      FetchRequestSchema,
      bytes
    )
    const offset = Number(more.offset)
    if (node < 1 || node > NODE_ID_MAX || !Number.isSafeInteger(offset)) return undefined
    return { groupDigest, node, token, digest, list, offset, length }
  } catch {
    return undefined
  }
}

export const encodeFetchAnswer = (answer: FetchAnswer): Uint8Array => {
  const reply = create(FetchReplySchema, replyOf(answer))
  return toBinary(FetchReplySchema, reply)
}

const replyOf = (answer: FetchAnswer) => {
  switch (answer.kind) {
    case "given":
      return { outcome: GIVEN, bytes: answer.bytes }
    case "not_offered":
      return { outcome: NOT_OFFERED }
    case "later":
      return { outcome: LATER, waitMs: answer.waitMs }
  }
}

/** `undefined`: these bytes are no reply. */
export const decodeFetchAnswer = (body: Uint8Array): FetchAnswer | undefined => {
  try {
    const { outcome, bytes, waitMs } = fromBinary(FetchReplySchema, body)
    if (outcome === GIVEN) return { kind: "given", bytes }
    if (outcome === NOT_OFFERED) return { kind: "not_offered" }
    return outcome === LATER ? { kind: "later", waitMs } : undefined
  } catch {
    return undefined
  }
}
