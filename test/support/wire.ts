/** Random messages, protobuf-es as the slow twin of the hand-written codecs, and mutations. */
import { create, toBinary } from "@bufbuild/protobuf"
import fc from "fast-check"
import { type Envelope, Envelope_Kind, EnvelopeSchema } from "../../gen/quorate/v1/link_pb.ts"
import type { ErrorCode as WireCode } from "../../gen/quorate/v1/error_pb.ts"
import { ERROR_CODES, type ErrorCode, errorCodeNumber } from "../../src/base/errorCode.ts"
import type { Prng } from "../../src/base/prng.ts"
import type { Goodbye } from "../../src/link/goodbye.ts"
import type { Hello } from "../../src/link/groupHello.ts"
import { laneBytes, laneOfBytes } from "../../src/server/laneKey.ts"
import { EPOCH_STATES } from "../../src/server/epoch.ts"
import type { CallId } from "../../src/server/Directive.ts"
import type { LogEntry } from "../../src/server/LogRecord.ts"
import type { Message } from "../../src/server/Message.ts"

export const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length })
/** Near every border of a varint, and anywhere. */
export const counter = (min: number) =>
  fc.oneof(
    fc.maxSafeInteger().map((n) => Math.max(min, Math.abs(n))),
    fc
      .tuple(fc.integer({ min: 0, max: 52 }), fc.integer({ min: -1, max: 1 }))
      .map(([bits, near]) => Math.max(min, 2 ** bits + near)),
    fc.constant(Number.MAX_SAFE_INTEGER)
  )
export const uint32 = fc.oneof(fc.integer({ min: 0, max: 0xffff_ffff }), fc.constant(0))
const node = fc.integer({ min: 1, max: 65_535 })
const session = exactly(22).map(laneOfBytes)
const lane = fc.oneof(session, fc.stringMatching(/^[a-z][a-zA-Z0-9]{0,19}$/))
const body = fc.oneof(
  fc.uint8Array({ maxLength: 40 }),
  fc.uint8Array({ maxLength: 300, size: "max" }),
  fc.integer({ min: 16_000, max: 16_500 }).map((length) => new Uint8Array(length).fill(length))
)
const detail = fc.string({ unit: "binary", minLength: 1, maxLength: 100 })
export const wireCode = (code: ErrorCode | undefined): WireCode =>
  (code === undefined ? 0 : errorCodeNumber(code)) as WireCode
const codes = Object.keys(ERROR_CODES) as ReadonlyArray<ErrorCode>
const code = fc.constantFrom(...codes)

export const signature = exactly(64)
export const word = fc.record(
  {
    kind: fc.constant("word" as const),
    position: counter(1),
    lane,
    index: counter(1),
    method: uint32,
    round: uint32,
    ackedBelow: counter(0),
    body,
    author: node,
    signature,
    trace: exactly(25)
  },
  {
    requiredKeys: ["kind", "position", "lane", "index", "method", "round", "ackedBelow", "body"]
  }
)
const proof = fc.record({ clientKey: exactly(32), nonce: exactly(16), signature })

const call = { session, index: counter(1) }
const failed = fc.record(
  {
    code: code.filter((name) => name !== "redirect"),
    detail,
    node,
    horizonMs: counter(1)
  },
  { requiredKeys: ["code"] }
)
const redirected = fc.record({ code: fc.constant("redirect" as const), node })
const reply = fc
  .tuple(
    fc.record({ kind: fc.constant("reply" as const), ...call, body }),
    fc.oneof(fc.constant({}), fc.constant({ tentative: true as const }), failed, redirected)
  )
  .map(([answer, failure]) => ({ ...answer, ...failure }))

const epoch = fc.record({
  kind: fc.constant("epoch" as const),
  state: fc.constantFrom(...EPOCH_STATES),
  next: body
})
export const message: fc.Arbitrary<Message> = fc.oneof(
  word,
  fc.record({ kind: fc.constant("want" as const), position: counter(0) }),
  fc.record({ kind: fc.constant("resume" as const), position: counter(1) }),
  fc
    .record({ kind: fc.constant("wantLane" as const), lane, from: counter(1), to: counter(1) })
    .filter(({ from, to }) => from < to),
  fc.record({ kind: fc.constant("cut" as const), position: counter(1) }),
  fc.record({ kind: fc.constant("behind" as const), lane, own: counter(1) }),
  fc.record({ kind: fc.constant("taken" as const), taken: counter(0), done: counter(0) }),
  fc.record(
    {
      kind: fc.constant("request" as const),
      ...call,
      ackedBelow: counter(0),
      method: uint32,
      deadlineMs: uint32,
      body,
      proof,
      trace: exactly(25)
    },
    {
      requiredKeys: ["kind", "session", "index", "ackedBelow", "method", "deadlineMs", "body"]
    }
  ),
  epoch,
  fc.record({ kind: fc.constant("oneWay" as const), method: uint32, body }),
  fc.record({ kind: fc.constant("cancel" as const), ...call }),
  reply
)

export const empty = fc.constant(new Uint8Array(0))
const common = {
  version: fc.integer({ min: 1, max: 9 }),
  group: fc.string({ unit: "binary", minLength: 1, maxLength: 20 }),
  groupDigest: exactly(32),
  incarnation: exactly(16),
  horizonMs: counter(0),
  fetchToken: fc.oneof(empty, exactly(16))
}
export const hello: fc.Arbitrary<Hello> = fc.oneof(
  fc.record({ ...common, node, clientKey: empty, storeId: exactly(16) }),
  fc.record({ ...common, node, clientKey: empty, storeId: exactly(16), protocols: exactly(32) }),
  fc.record({ ...common, node: fc.constant(0), clientKey: exactly(32), storeId: empty })
)
export const goodbye: fc.Arbitrary<Goodbye> = fc.record({
  code,
  detail: fc.oneof(detail, fc.constant(""))
})

const callId: fc.Arbitrary<CallId> = fc.record({
  session: fc.oneof(exactly(22), fc.uint8Array({ maxLength: 30 })),
  index: uint32,
  method: fc.string({ maxLength: 20 })
})
const ended = fc.oneof(fc.constant({}), fc.record({ code, detail }, { requiredKeys: ["code"] }))
const rising = fc
  .uniqueArray(counter(1), { maxLength: 8 })
  .map((numbers) => numbers.sort((a, b) => a - b))
const kept: fc.Arbitrary<LogEntry> = fc.oneof(
  fc.record({
    kind: fc.constant("checkpoint" as const),
    tailFirst: counter(1),
    last: counter(0)
  }),
  fc.record({
    kind: fc.constant("member" as const),
    node,
    storeId: fc.stringMatching(/^[0-9a-f]{1,40}$/),
    done: counter(0)
  }),
  fc.record({
    kind: fc.constant("session" as const),
    session: call.session,
    ackedBelow: counter(1),
    late: rising
  }),
  fc.record({ kind: fc.constant("lane" as const), lane, own: counter(1), ahead: rising }),
  fc.record({ kind: fc.constant("state" as const), protocol: uint32, body })
)
/** The log keeps no trace. */
const logged = word.map(({ trace: _, ...rest }) => rest)
export const entry: fc.Arbitrary<LogEntry> = fc.oneof(
  logged,
  epoch,
  fc
    .tuple(logged, fc.array(node, { maxLength: 5 }))
    .map(([said, to]): LogEntry => ({ ...said, to })),
  fc
    .tuple(fc.record({ kind: fc.constant("final" as const), ...call, body }), ended)
    .map(([final, failure]) => ({ ...final, ...failure })),
  fc.record({ kind: fc.constant("horizon" as const), horizonMs: counter(0) }),
  fc.record({ kind: fc.constant("floor" as const), lane, index: counter(1) }),
  fc.record({ kind: fc.constant("stored" as const), protocol: uint32, body }),
  kept,
  fc.record({
    kind: fc.constant("decided" as const),
    protocol: uint32,
    lane,
    index: counter(1),
    items: fc.array(fc.record({ command: body, call: callId }, { requiredKeys: ["command"] }), {
      maxLength: 3
    })
  }),
  fc.record({
    kind: fc.constant("installed" as const),
    protocol: uint32,
    lane,
    index: counter(0),
    body
  }),
  fc.record({
    kind: fc.constant("delivered" as const),
    protocol: uint32,
    lane,
    index: counter(1),
    call: fc.string({ maxLength: 20 }),
    body
  })
)

/** What the message is in the generated type, field by field. */
export const twinOf = (m: Message): Envelope => {
  switch (m.kind) {
    case "word":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.WORD,
        position: BigInt(m.position),
        lane: laneBytes(m.lane),
        index: BigInt(m.index),
        method: m.method,
        round: m.round,
        acknowledgedBelow: BigInt(m.ackedBelow),
        body: m.body,
        ...(m.author && { author: m.author }),
        ...(m.signature && { signature: m.signature }),
        ...(m.trace && { trace: m.trace })
      })
    case "want":
      return create(EnvelopeSchema, { kind: Envelope_Kind.WANT, position: BigInt(m.position) })
    case "resume":
      return create(EnvelopeSchema, { kind: Envelope_Kind.RESUME, position: BigInt(m.position) })
    case "cut":
      return create(EnvelopeSchema, { kind: Envelope_Kind.CUT, position: BigInt(m.position) })
    case "behind":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.BEHIND,
        lane: laneBytes(m.lane),
        index: BigInt(m.own)
      })
    case "wantLane":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.WANT_LANE,
        lane: laneBytes(m.lane),
        index: BigInt(m.from),
        indexEnd: BigInt(m.to)
      })
    case "taken":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.TAKEN,
        position: BigInt(m.taken),
        done: BigInt(m.done)
      })
    case "epoch":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.EPOCH,
        position: BigInt(EPOCH_STATES.indexOf(m.state) + 1),
        body: m.next
      })
    case "oneWay":
      return create(EnvelopeSchema, {
        kind: Envelope_Kind.ONE_WAY,
        method: m.method,
        body: m.body
      })
    default:
      return callTwinOf(m)
  }
}

const callTwinOf = (m: Extract<Message, { session: string }>): Envelope => {
  const named = { lane: laneBytes(m.session), index: BigInt(m.index) }
  if (m.kind === "cancel") {
    return create(EnvelopeSchema, { kind: Envelope_Kind.CANCEL, ...named })
  }
  if (m.kind === "request") {
    return create(EnvelopeSchema, {
      kind: Envelope_Kind.REQUEST,
      ...named,
      method: m.method,
      acknowledgedBelow: BigInt(m.ackedBelow),
      deadlineMs: m.deadlineMs,
      body: m.body,
      ...m.proof,
      ...(m.trace && { trace: m.trace })
    })
  }
  return create(EnvelopeSchema, {
    kind: Envelope_Kind.REPLY,
    ...named,
    body: m.body,
    code: wireCode(m.code),
    detail: m.detail ?? "",
    node: m.node ?? 0,
    horizonMs: BigInt(m.horizonMs ?? 0),
    tentative: m.tentative ?? false
  })
}

export const twinBytes = (m: Message): Uint8Array => toBinary(EnvelopeSchema, twinOf(m))

/** `valid` with some of its bytes changed, cut, doubled or moved; or something else altogether. */
export const mutate = (prng: Prng, valid: Uint8Array): Uint8Array => {
  const kind = prng.below(10)
  if (kind === 0) return prng.bytes(prng.below(80))
  const bytes = Array.from(valid)
  const at = prng.below(bytes.length + 1)
  if (kind <= 5)
    for (let i = prng.below(3); i >= 0; i--) bytes[prng.below(bytes.length)] = odd(prng)
  else if (kind === 6) bytes.splice(at)
  else if (kind === 7) bytes.splice(at, 1 + prng.below(4))
  else if (kind === 8)
    bytes.splice(at, 0, ...Array.from({ length: prng.below(12) }, () => odd(prng)))
  else bytes.push(...valid.subarray(0, at))
  return Uint8Array.from(bytes)
}

/** A byte, often one at a border. */
const odd = (prng: Prng): number =>
  prng.chance(500) ? prng.below(256) : prng.pick([0, 1, 0x7f, 0x80, 0xff, 0x0a, 0x22, 0x5a])
