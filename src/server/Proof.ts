/**
 * What members can show each other of what others said, as the messages of
 * proto/quorate/v1/proof.proto hold it. The host verifies it before a handler sees the message it
 * came in.
 */
import type { NodeId } from "../base/NodeId.ts"
import { COUNT_MAX, laneBytes, laneOfBytes } from "./laneKey.ts"
import type { MethodId, Word } from "./Message.ts"
import type { MethodSpec } from "./Protocol.ts"

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

type Methods = (id: MethodId) => Pick<MethodSpec, "input" | "proofs"> | undefined

/** Proofs within proofs, and no deeper: a view change holds certificates, which hold words. */
const DEPTH_MAX = 8

/**
 * The proofs in a message, and those in the messages that they prove; `undefined`: more signatures
 * than `max`, or too deep.
 */
export const proofsIn = (
  methods: Methods,
  spec: Pick<MethodSpec, "proofs">,
  message: object,
  max: number
): ReadonlyArray<Proof> | undefined => {
  const found: Array<Proof> = []
  let left = max
  const add = (here: Pick<MethodSpec, "proofs">, of: object, depth: number): boolean => {
    if (here.proofs === undefined) return true
    if (depth > DEPTH_MAX) return false
    for (const proof of here.proofs(of)) {
      left -= proof.kind === "certificate" ? proof.votes.length : 1
      if (left < 0) return false
      found.push(proof)
      const inner = methods(proof.method)
      if (inner?.proofs === undefined) continue
      for (const body of bodiesOf(proof)) {
        const within = decoded(inner, body)
        if (within !== undefined && !add(inner, within, depth + 1)) return false
      }
    }
    return true
  }
  return add(spec, message, 1) ? found : undefined
}

const bodiesOf = (proof: Proof): ReadonlyArray<Uint8Array> =>
  proof.kind === "certificate"
    ? [proof.body, ...proof.votes.flatMap(({ body }) => (body === undefined ? [] : [body]))]
    : [proof.body]

/** What does not decode proves nothing, and nobody can count it. */
const decoded = (spec: Pick<MethodSpec, "input">, body: Uint8Array): object | undefined => {
  try {
    return spec.input.decode(body)
  } catch {
    return undefined
  }
}
