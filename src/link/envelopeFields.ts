/** The fields of one envelope, as they are read, and the message they make; or none. */
import { NO_BYTES } from "../base/bytes.ts"
import { errorCodeOf } from "../base/errorCode.ts"
import { NODE_ID_MAX } from "../base/NodeId.ts"
import { EPOCH_STATES } from "../server/epoch.ts"
import { isSession } from "../server/laneKey.ts"
import type { Message, Request, Word } from "../server/Message.ts"

export const KIND = {
  word: 1,
  want: 2,
  wantLane: 3,
  taken: 4,
  request: 5,
  oneWay: 6,
  cancel: 7,
  reply: 8,
  resume: 9,
  cut: 10,
  behind: 11,
  epoch: 12
} as const

export class Fields {
  kind = 0
  position = 0
  done = 0
  lane = ""
  index = 0
  indexEnd = 0
  method = 0
  round = 0
  ackedBelow = 0
  deadlineMs = 0
  body: Uint8Array = NO_BYTES
  code = 0
  detail = ""
  node = 0
  horizonMs = 0
  tentative = 0
  author = 0
  signature: Uint8Array = NO_BYTES
  clientKey: Uint8Array = NO_BYTES
  nonce: Uint8Array = NO_BYTES
  trace: Uint8Array = NO_BYTES

  clear(): void {
    this.kind = this.position = this.done = this.index = this.indexEnd = this.method = 0
    this.round = this.ackedBelow = this.deadlineMs = this.code = this.node = this.horizonMs = 0
    this.tentative = 0
    this.author = 0
    this.lane = this.detail = ""
    this.body = this.signature = this.clientKey = this.nonce = this.trace = NO_BYTES
  }
}

/** `undefined`: a field that the kind needs is absent, or beyond its bounds. */
export const build = (f: Fields): Message | undefined => {
  switch (f.kind) {
    case KIND.word:
      return buildWord(f)
    case KIND.want:
      return { kind: "want", position: f.position }
    case KIND.resume:
      return f.position < 1 ? undefined : { kind: "resume", position: f.position }
    case KIND.cut:
      return f.position < 1 ? undefined : { kind: "cut", position: f.position }
    case KIND.behind:
      if (f.lane === "" || f.index < 1) return undefined
      return { kind: "behind", lane: f.lane, own: f.index }
    case KIND.wantLane:
      if (f.lane === "" || f.index < 1 || f.indexEnd <= f.index) return undefined
      return { kind: "wantLane", lane: f.lane, from: f.index, to: f.indexEnd }
    case KIND.taken:
      return { kind: "taken", taken: f.position, done: f.done }
    case KIND.epoch: {
      const state = EPOCH_STATES[f.position - 1]
      return state && { kind: "epoch", state, next: f.body }
    }
    case KIND.request:
      return buildRequest(f)
    case KIND.oneWay:
      return { kind: "oneWay", method: f.method, body: f.body }
    case KIND.cancel:
      if (!isSession(f.lane) || f.index < 1) return undefined
      return { kind: "cancel", session: f.lane, index: f.index }
    case KIND.reply:
      return buildReply(f)
    default:
      return undefined
  }
}

const buildWord = (f: Fields): Message | undefined => {
  if (f.position < 1 || f.lane === "" || f.index < 1 || f.author > NODE_ID_MAX) return undefined
  const word: Word = {
    kind: "word",
    position: f.position,
    lane: f.lane,
    index: f.index,
    method: f.method,
    round: f.round,
    ackedBelow: f.ackedBelow,
    body: f.body
  }
  if (f.author === 0 && f.signature === NO_BYTES && f.trace === NO_BYTES) return word
  return {
    ...word,
    ...(f.author === 0 ? undefined : { author: f.author }),
    ...(f.signature === NO_BYTES ? undefined : { signature: f.signature }),
    ...(f.trace === NO_BYTES ? undefined : { trace: f.trace })
  }
}

const buildRequest = (f: Fields): Message | undefined => {
  if (!isSession(f.lane) || f.index < 1) return undefined
  const request: Request = {
    kind: "request",
    session: f.lane,
    index: f.index,
    ackedBelow: f.ackedBelow,
    method: f.method,
    deadlineMs: f.deadlineMs,
    body: f.body,
    trace: f.trace === NO_BYTES ? undefined : f.trace
  }
  const { clientKey, nonce, signature } = f
  if (signature === NO_BYTES) return request
  if (clientKey === NO_BYTES || nonce === NO_BYTES) return undefined
  return { ...request, proof: { clientKey, nonce, signature } }
}

const buildReply = (f: Fields): Message | undefined => {
  if (!isSession(f.lane) || f.index < 1 || f.node > NODE_ID_MAX) return undefined
  if (f.code === 0) {
    const answer = { kind: "reply", session: f.lane, index: f.index, body: f.body } as const
    return f.tentative === 0 ? answer : { ...answer, tentative: true }
  }
  const code = errorCodeOf(f.code)
  if (code === undefined || (code === "redirect" && f.node === 0)) return undefined
  return {
    kind: "reply",
    session: f.lane,
    index: f.index,
    body: f.body,
    code,
    ...(f.detail === "" ? undefined : { detail: f.detail }),
    ...(f.node === 0 ? undefined : { node: f.node }),
    ...(f.horizonMs === 0 ? undefined : { horizonMs: f.horizonMs })
  }
}
