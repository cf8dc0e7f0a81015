/** Random frames, and protobuf-es as the slow twin of their codec. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import {
  FrameSchema,
  GoodbyeSchema,
  HelloSchema,
  LinkHelloSchema,
  LinkProofSchema
} from "../../gen/quorate/v1/link_pb.ts"
import type { Frame } from "../../src/link/frame.ts"
import type { HandshakeParts } from "../../src/link/handshake.ts"
import { encodeLinkHello, encodeLinkProof } from "../../src/link/linkHello.ts"
import {
  counter,
  empty,
  exactly,
  goodbye,
  hello,
  message,
  signature,
  twinOf,
  uint32,
  wireCode
} from "./wire.ts"

const channel = fc.integer({ min: 1, max: 0xffff_ffff })
const anyChannel = fc.oneof(channel, fc.constant(0))
const linkHello = fc
  .constantFrom("plaintext" as const, "authenticated" as const, "encrypted" as const)
  .chain((strength) => {
    const keyed = strength === "plaintext" ? empty : exactly(32)
    return fc.record({
      version: fc.integer({ min: 1, max: 9 }),
      strength: fc.constant(strength),
      hostKey: keyed,
      nonce: keyed,
      ephemeralKey: keyed,
      versions: fc.array(fc.integer({ min: 1, max: 300 }), { maxLength: 3 })
    })
  })
const parts = fc.oneof(
  fc.record({ hello: linkHello.map(encodeLinkHello) }),
  fc.record({ proof: fc.record({ signature, mac: exactly(32) }).map(encodeLinkProof) }),
  fc.record({
    hello: linkHello.map(encodeLinkHello),
    proof: fc.record({ signature, mac: exactly(32) }).map(encodeLinkProof)
  })
)

const plainFrame: fc.Arbitrary<Frame> = fc.record({
  sequence: counter(1),
  acknowledged: counter(0),
  credit: fc.constant(0),
  content: fc.oneof(
    fc.record({ kind: fc.constant("handshake" as const), parts }),
    fc.record({ kind: fc.constant("open" as const), channel, hello }),
    fc.record({ kind: fc.constant("goodbye" as const), channel: anyChannel, goodbye }),
    fc.record({
      kind: fc.constant("fragment" as const),
      channel,
      bytes: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      left: uint32
    }),
    fc.record({
      kind: fc.constant("messages" as const),
      channel,
      messages: fc.array(message, { maxLength: 8 })
    })
  )
})

/** Credit is of a channel. */
export const frame: fc.Arbitrary<Frame> = fc
  .tuple(plainFrame, counter(0))
  .map(([plain, credit]) => {
    const { content } = plain
    const ofLink = !("channel" in content) || content.channel === 0
    return { ...plain, credit: ofLink ? 0 : credit }
  })

const handshakeTwin = ({ hello, proof }: HandshakeParts) => ({
  ...(hello && { hello: fromBinary(LinkHelloSchema, hello) }),
  ...(proof && { proof: fromBinary(LinkProofSchema, proof) })
})

export const frameTwinBytes = ({ sequence, acknowledged, credit, content }: Frame): Uint8Array =>
  toBinary(
    FrameSchema,
    create(FrameSchema, {
      sequence: BigInt(sequence),
      acknowledged: BigInt(acknowledged),
      credit: BigInt(credit),
      channel: "channel" in content ? content.channel : 0,
      ...(content.kind === "fragment"
        ? { fragment: content.bytes, fragmentLeft: content.left }
        : {}),
      ...(content.kind === "messages" ? { envelopes: content.messages.map(twinOf) } : {}),
      ...(content.kind === "goodbye"
        ? {
            goodbye: create(GoodbyeSchema, {
              code: wireCode(content.goodbye.code),
              detail: content.goodbye.detail
            })
          }
        : {}),
      ...(content.kind === "handshake" ? handshakeTwin(content.parts) : {}),
      ...(content.kind === "open"
        ? {
            open: create(HelloSchema, {
              ...content.hello,
              horizonMs: BigInt(content.hello.horizonMs)
            })
          }
        : {})
    })
  )
