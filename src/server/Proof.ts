/**
 * What members can show each other of what others said, as the messages of
 * proto/quorate/v1/proof.proto hold it. The host verifies it before a handler sees the message it
 * came in.
 */
import type { NodeId } from "../base/NodeId.ts"
import { COUNT_MAX, laneBytes, laneOfBytes } from "./laneKey.ts"
import type { MethodId, Request, Word } from "./Message.ts"

/** `quorate.v1.SignedWord` */
export interface SignedWord {
  readonly lane: Uint8Array
  readonly index: bigint
  readonly method: MethodId
  readonly round: number
  readonly author: NodeId
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

/** `quorate.v1.Certificate` */
export interface Certificate {
  readonly lane: Uint8Array
  readonly index: bigint
  readonly method: MethodId
  readonly round: number
  readonly body: Uint8Array
  readonly votes: Array<{
    readonly author: NodeId
    /** Absent: the certificate's. */
    readonly body?: Uint8Array | undefined
    readonly signature: Uint8Array
  }>
}

/** `quorate.v1.SignedRequest` */
export interface SignedRequest {
  readonly session: Uint8Array
  readonly index: number
  readonly method: MethodId
  readonly body: Uint8Array
  readonly clientKey: Uint8Array
  readonly nonce: Uint8Array
  readonly signature: Uint8Array
}

/** A proof found in a message. */
export type Proof =
  | ({ readonly kind: "word" } & SignedWord)
  | ({ readonly kind: "certificate" } & Certificate)
  | ({ readonly kind: "request" } & SignedRequest)

/** A word with its author and signature, as it is signed. */
export type Signed = Pick<Word, "lane" | "index" | "method" | "round" | "body"> & {
  readonly author: NodeId
  readonly signature: Uint8Array
}

/** The words of a proof; `undefined`: its index is beyond all that are counted. */
export const wordsOf = (proof: SignedWord | Certificate): ReadonlyArray<Signed> | undefined => {
  const index = Number(proof.index)
  if (!(index >= 1 && index <= COUNT_MAX)) return undefined
  const { method, round } = proof
  const at = { lane: laneOfBytes(proof.lane), index, method, round }
  if (!("votes" in proof)) {
    return [{ ...at, author: proof.author, body: proof.body, signature: proof.signature }]
  }
  return proof.votes.map(({ author, body = proof.body, signature }) => ({
    ...at,
    author,
    body,
    signature
  }))
}

export const signedWord = ({ lane, index, ...word }: Signed): SignedWord => ({
  lane: laneBytes(lane),
  index: BigInt(index),
  method: word.method,
  round: word.round,
  author: word.author,
  body: word.body,
  signature: word.signature
})

/** @param words of one phase and round, at least one */
export const certificateOf = (words: ReadonlyArray<Signed>): Certificate => {
  const { lane, index, method, round, body } = words[0]!
  return {
    lane: laneBytes(lane),
    index: BigInt(index),
    method,
    round,
    body,
    votes: words.map((word) => ({
      author: word.author,
      ...(word.body !== body && { body: word.body }),
      signature: word.signature
    }))
  }
}

/** `undefined`: nobody signed it. */
export const signedRequest = (request: Request): SignedRequest | undefined =>
  request.proof && {
    session: laneBytes(request.session),
    index: request.index,
    method: request.method,
    body: request.body,
    ...request.proof
  }
