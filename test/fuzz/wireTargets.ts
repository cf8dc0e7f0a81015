/** What peers and clients send: envelopes, frames, batches, headers, hellos, proofs. */
import { EventEmitter } from "node:events"
import type { ServerHttp2Stream } from "node:http2"
import type { Duplex } from "node:stream"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { HelloSchema } from "../../gen/quorate/v1/link_pb.ts"
import {
  CertificateSchema,
  SignedRequestSchema,
  SignedWordSchema
} from "../../gen/quorate/v1/proof_pb.ts"
import { LIMITS } from "../../src/base/limits.ts"
import { Prng } from "../../src/base/prng.ts"
import { utf8Bytes, utf8Decode } from "../../src/base/utf8.ts"
import { decodeMessage, encodeMessage } from "../../src/link/envelope.ts"
import { decodeFrame, encodeFrame } from "../../src/link/frame.ts"
import type { Packet } from "../../src/link/ports.ts"
import { jobsOf, requestPreimage, sessionDigest } from "../../src/link/proofs.ts"
import type { Door, UnaryCall } from "../../src/runtime/Carrier.ts"
import { HEADER, proofHeader } from "../../src/runtime/platform-node/connectCode.ts"
import { FrameStream } from "../../src/runtime/platform-node/frameStream.ts"
import { bringsIds, serveKnown } from "../../src/runtime/platform-node/unaryServer.ts"
import { helloFromWire, helloToWire } from "../../src/runtime/platform-node/wireHello.ts"
import { laneBytes, sessionKey } from "../../src/server/laneKey.ts"
import { certificateOf, type Proof, type Signed, signedWord } from "../../src/server/Proof.ts"
import { frame, frameTwinBytes } from "../support/frames.ts"
import { hello, message, twinBytes } from "../support/wire.ts"
import type { Target } from "./fuzz.ts"
import { roundTrip } from "./roundTrip.ts"

const sample = <T>(arbitrary: fc.Arbitrary<T>, seed: number, count = 300): ReadonlyArray<T> =>
  fc.sample(arbitrary, { seed, numRuns: count })

const envelope: Target = {
  name: "envelope",
  cost: 1,
  corpus: (seed) => sample(message, seed).map(twinBytes),
  run: (bytes) => roundTrip(bytes, (it) => decodeMessage(it, 0, it.length), encodeMessage)
}

const frames: Target = {
  name: "frame",
  cost: 2,
  corpus: (seed) => sample(frame, seed).map(frameTwinBytes),
  run: (bytes) => roundTrip(bytes, decodeFrame, encodeFrame)
}

const NONE = new Uint8Array(0)

/** As much of a stream of HTTP/2 as a connection touches. */
class FakeStream extends EventEmitter {
  readonly written: Array<Uint8Array> = []
  rstCode = 0
  destroyed = false
  closed = false
  readableEnded = true
  status: unknown
  answers = 0
  respond(headers: { readonly [name: string]: unknown }): void {
    this.answers++
    this.status = headers[":status"]
  }
  write(bytes: Uint8Array): boolean {
    this.written.push(bytes)
    return true
  }
  end(bytes?: Uint8Array | string): void {
    if (bytes !== undefined) this.written.push(Buffer.from(bytes))
  }
  close(code: number): void {
    this.rstCode = code
    this.destroyed = true
  }
  destroy(): void {
    this.destroyed = true
  }
}

interface Heard {
  readonly packets: ReadonlyArray<Packet>
  readonly garbage: number
}

/** What a connection hears of `bytes` that come in pieces of these lengths, over and over. */
const heard = (bytes: Uint8Array, pieces: ReadonlyArray<number>): Heard => {
  const stream = new FakeStream()
  const packets: Array<Packet> = []
  let garbage = 0
  const connection = new FrameStream(stream as unknown as ServerHttp2Stream & Duplex, {
    server: true,
    remote: "fuzz",
    limits: LIMITS,
    garbage: () => garbage++
  })
  connection.events = { packet: (it: Packet) => void packets.push(it), closed: () => {} } as never
  for (let at = 0, i = 0; at < bytes.length; i++) {
    const next = at + pieces[i % pieces.length]!
    stream.emit("data", bytes.subarray(at, next))
    at = next
  }
  return { packets, garbage }
}

const isSame = (a: Packet, b: Packet): boolean =>
  Buffer.compare(a.frame, b.frame) === 0 && Buffer.compare(a.tag ?? NONE, b.tag ?? NONE) === 0

const written = (packets: ReadonlyArray<Packet>): Uint8Array => {
  const stream = new FakeStream()
  const connection = new FrameStream(stream as unknown as ServerHttp2Stream & Duplex, {
    server: false,
    remote: "fuzz",
    limits: LIMITS,
    garbage: () => {}
  })
  for (const it of packets) connection.send(it)
  return new Uint8Array(Buffer.concat(stream.written))
}

const batches: Target = {
  name: "batch",
  cost: 4,
  corpus: (seed) => {
    const all = sample(frame, seed).map(frameTwinBytes)
    const small = all
      .filter((it) => it.length < 2_000)
      .map((it, at): Packet => (at % 2 ? { frame: it } : { frame: it, tag: new Uint8Array(16) }))
    return small.map((it, at) => written([it, ...small.slice(at, at + (at % 4))]))
  },
  run: (bytes) => {
    const whole = heard(bytes, [bytes.length])
    const torn = heard(bytes, [1 + (bytes.length % 7), 3, 1 + (bytes.length % 29)])
    const same =
      whole.garbage === torn.garbage &&
      whole.packets.length === torn.packets.length &&
      whole.packets.every((it, at) => isSame(it, torn.packets[at]!))
    if (!same) throw new Error("what is heard depends on how the bytes were cut")
    if (whole.garbage > 1) throw new Error("a connection is garbage once")
    const again = heard(written(whole.packets), [1_000])
    const kept = again.packets.every((it, at) => isSame(it, whole.packets[at]!))
    if (!kept || again.packets.length !== whole.packets.length) {
      throw new Error("packets that cannot be sent")
    }
    return whole.packets.length > 0 && whole.garbage === 0
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1")
const bytesOf = (it: string): Uint8Array => new Uint8Array(Buffer.from(it, "latin1"))

/** `name: value` a line, as HTTP/2 hands them to Node: later ones win. */
const headersOf = (bytes: Uint8Array): { [name: string]: string } =>
  Object.fromEntries(
    text(bytes)
      .split("\n")
      .map((line) => line.split(": ", 2) as [string, string | undefined])
      .flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]))
  )

const headerLines = (seed: number): ReadonlyArray<Uint8Array> =>
  sample(message, seed).flatMap((it) => {
    if (it.kind !== "request" && it.kind !== "oneWay") return []
    const lines = [`:path: /kv.v1.Kv/Put`, "content-type: application/proto"]
    lines.push(`${HEADER.call}: ${it.kind}`)
    if (it.kind === "request") {
      lines.push(`${HEADER.lane}: ${Buffer.from(laneBytes(it.session)).toString("hex")}`)
      lines.push(`${HEADER.index}: ${it.index}`, `${HEADER.acknowledged}: ${it.ackedBelow}`)
      lines.push(`connect-timeout-ms: ${it.deadlineMs}`)
      if (it.proof !== undefined) lines.push(`${HEADER.proof}: ${proofHeader(it.proof)}`)
    }
    return [bytesOf(lines.join("\n"))]
  })

const checkCall = ({ ids, deadlineMs }: UnaryCall): void => {
  const whole = (it: number): boolean => Number.isSafeInteger(it) && it >= 0
  if (!whole(deadlineMs)) throw new Error("a deadline that is no number")
  if (ids === undefined || ids === "oneWay") return
  const { session, index, ackedBelow, proof } = ids
  if (session.length !== 22 || !whole(index) || index < 1 || !whole(ackedBelow)) {
    throw new Error("ids that are none were taken")
  }
  if (proof !== undefined && proofHeader(proof).length !== 224) throw new Error("a short proof")
}

const headers: Target = {
  name: "headers",
  cost: 4,
  corpus: headerLines,
  run: (bytes) => {
    const given = headersOf(bytes)
    if (!bringsIds(given)) return false
    const stream = new FakeStream()
    let calls = 0
    const unary: Door["unary"] = (call, done) => {
      calls++
      checkCall(call)
      done({ body: call.body })
      return () => {}
    }
    const door = { unary } as unknown as Door
    serveKnown(stream as unknown as ServerHttp2Stream, given, { door, limits: LIMITS })
    stream.emit("data", bytes)
    stream.emit("end")
    stream.emit("close")
    if (stream.answers !== 1) throw new Error(`${stream.answers} answers to one call`)
    return calls === 1 && stream.status === 200
  }
}

const hellos: Target = {
  name: "greeting",
  cost: 3,
  corpus: (seed) => sample(hello, seed).map((it) => toBinary(HelloSchema, helloToWire(it))),
  run: (bytes) => {
    const decode = (it: Uint8Array) => {
      const wire = parsed(() => fromBinary(HelloSchema, it))
      return wire && helloFromWire(wire)
    }
    return roundTrip(bytes, decode, (it) => toBinary(HelloSchema, helloToWire(it)))
  }
}

/** What protobuf-es makes of bytes; its refusals are its own. */
const parsed = <A>(parse: () => A): A | undefined => {
  try {
    return parse()
  } catch {
    return undefined
  }
}

const DIGEST = new Uint8Array(32).fill(7)
const scope = { digest: DIGEST, epoch: 0 }
const random = new Prng(5)
const keys = new Map([1, 2, 3, 4].map((node) => [node, random.bytes(32)] as const))

const signed = (author: number, body: string): Signed => ({
  ...{ lane: "slots", index: 7, method: 9, round: 1, author },
  ...{ body: bytesOf(body), signature: random.bytes(64) }
})

/** Its first byte says which message the rest is. */
const proofBytes = (): ReadonlyArray<Uint8Array> => {
  const clientKey = random.bytes(32)
  const nonce = random.bytes(16)
  const session = laneBytes(sessionKey(63_000, sessionDigest(clientKey, DIGEST, nonce, 63_000)))
  const request = {
    ...{ session, index: 3, method: 9, body: bytesOf("a"), clientKey, nonce },
    signature: random.bytes(64)
  }
  const certificates = [
    certificateOf([1, 2, 3].map((author) => signed(author, "a"))),
    certificateOf([signed(2, "a"), signed(3, "a"), signed(4, "b")])
  ]
  const word = create(SignedWordSchema, signedWord(signed(1, "word")) as never)
  return [
    [0, ...toBinary(SignedWordSchema, word)],
    [1, ...toBinary(SignedRequestSchema, create(SignedRequestSchema, request as never))],
    ...certificates.map((it) => [
      2,
      ...toBinary(CertificateSchema, create(CertificateSchema, it as never))
    ])
  ].map((it) => Uint8Array.from(it))
}

const proofOf = (bytes: Uint8Array): Proof | undefined => {
  const rest = bytes.subarray(1)
  const parse = (): Proof => {
    switch (bytes[0]) {
      case 0:
        return { ...fromBinary(SignedWordSchema, rest), kind: "word" }
      case 1:
        return { ...fromBinary(SignedRequestSchema, rest), kind: "request" }
      default:
        return { ...fromBinary(CertificateSchema, rest), kind: "certificate" } as Proof
    }
  }
  return parsed(parse)
}

const proofs: Target = {
  name: "proof",
  cost: 5,
  corpus: proofBytes,
  run: (bytes) => {
    const proof = proofOf(bytes)
    const jobs = proof && jobsOf({ scope, keys }, proof)
    if (jobs === undefined) return false
    for (const { message, key, signature } of jobs) {
      if (message.length < DIGEST.length || key.length !== 32 || signature.length !== 64) {
        throw new Error("a signature over less than the group")
      }
    }
    if (proof?.kind === "request") requestPreimage(scope, { ...proof, session: "s".repeat(22) })
    return true
  }
}

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const utf8: Target = {
  name: "utf8",
  cost: 1,
  corpus: (seed) =>
    sample(fc.string({ unit: "binary", maxLength: 60 }), seed).map(
      (it) => new Uint8Array(Buffer.from(it.toWellFormed()))
    ),
  run: (bytes) => {
    const read = utf8Decode(bytes, 0, bytes.length)
    if (read !== parsed(() => strict.decode(bytes)))
      throw new Error("TextDecoder reads it otherwise")
    if (read !== undefined && utf8Bytes(read) !== bytes.length) throw new Error("another length")
    return read !== undefined
  }
}

export const WIRE: ReadonlyArray<Target> = [
  envelope,
  frames,
  batches,
  headers,
  hellos,
  proofs,
  utf8
]
