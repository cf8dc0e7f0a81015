/**
 * A client's way to one node without a link: each call is a Connect unary call of its own, its ids
 * in headers. Written on HTTP/2 itself, so that the bytes of a body leave as the call table has
 * them.
 */
import { NO_BYTES } from "../../base/bytes.ts"
import { fromBinary, toBinary } from "@bufbuild/protobuf"
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  constants,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader
} from "node:http2"
import type { Socket } from "node:net"
import { HelloSchema } from "../../../gen/quorate/v1/link_pb.ts"
import { ERROR_CODES, type ErrorCode } from "../../base/errorCode.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import { traceparent } from "../../link/traceContext.ts"
import { type LaneKey, laneBytes } from "../../server/laneKey.ts"
import type { Cancel, ClientMessage, OneWay, Reply, Request } from "../../server/Message.ts"
import type { NodeChannel, NodeChannelOptions } from "../Carrier.ts"
import { HEADER, proofHeader } from "./connectCode.ts"
import { letGo, networkErrorText, openSession } from "./http2Sessions.ts"
import type { DialTls } from "./tls.ts"
import { counter, readBody } from "./unaryServer.ts"
import { helloFromWire, helloToWire } from "./wireHello.ts"

export const openUnaryChannel = (options: NodeChannelOptions, tls?: DialTls): NodeChannel =>
  new UnaryChannel(options, tls)

const GREET_PATH = "/quorate.v1.Peer/Greet"
/** A body in an error. */
const ERROR_BYTES_MAX = 65_536

interface Open {
  readonly stream: ClientHttp2Stream
  /** When nobody waits for it any more. */
  readonly dueMs: number
}

class UnaryChannel implements NodeChannel {
  private readonly options: NodeChannelOptions
  private readonly tls: DialTls | undefined
  private session: ClientHttp2Session | undefined
  private socket: Socket | undefined
  private ready = false
  private backoffMs: number
  private timer: ReturnType<typeof setTimeout> | undefined
  private closed = false
  private why: string | undefined
  private refusal: Goodbye | undefined
  private readonly open = new Map<string, Open>()

  constructor(options: NodeChannelOptions, tls: DialTls | undefined) {
    this.options = options
    this.tls = tls
    this.backoffMs = options.limits.redialMsMin
    this.dial()
  }

  send(message: ClientMessage): boolean {
    const { session } = this
    if (!this.ready || session === undefined || session.closed || session.destroyed) return false
    switch (message.kind) {
      case "request":
        return this.request(session, message)
      case "oneWay":
        return this.oneWay(session, message)
      case "cancel":
        return this.cancel(message)
    }
  }

  tick(): void {
    const now = Date.now()
    for (const { stream, dueMs } of this.open.values()) {
      if (dueMs <= now) stream.close(constants.NGHTTP2_CANCEL)
    }
  }

  close(): void {
    this.closed = true
    this.ready = false
    clearTimeout(this.timer)
    for (const { stream } of this.open.values()) stream.close(constants.NGHTTP2_CANCEL)
    const { session, socket } = this
    if (session !== undefined && socket !== undefined) letGo(session, socket, this.options.limits)
  }

  private dial(): void {
    const { address, limits } = this.options
    this.timer = undefined
    this.why = undefined
    this.refusal = undefined
    const { session, socket, unbegun } = openSession(address, limits, this.tls)
    this.session = session
    this.socket = socket
    session.once("connect", () => this.greet(session))
    session.on("error", (error) => this.because(networkErrorText(error)))
    session.once("goaway", () => {
      this.because("the other side takes no new streams")
      this.ready = false
      session.close()
    })
    session.once("close", () => {
      this.because(unbegun() ?? "the connection ended")
      this.lost()
    })
  }

  private greet(session: ClientHttp2Session): void {
    const { hello, limits, check } = this.options
    const stream = session.request(headersOf(GREET_PATH, limits.helloTimeoutMs))
    stream.setTimeout(limits.helloTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL))
    // Where TLS 1.3 refuses this side's certificate only the first stream hears of it, and Node
    // ends the session without its socket.
    stream.once("error", (error) => {
      this.because(networkErrorText(error))
      session.destroy()
      if (session === this.session) this.socket?.destroy()
    })
    stream.end(toBinary(HelloSchema, helloToWire(hello)))
    answerOf(stream, ERROR_BYTES_MAX, (answer) => {
      if (session !== this.session || this.closed) return
      const theirs = answer.code === undefined ? readHello(answer.body) : undefined
      const refusal = theirs === undefined ? undefined : check(theirs)
      if (theirs !== undefined && refusal === undefined) {
        this.ready = true
        this.backoffMs = limits.redialMsMin
        this.options.up(theirs)
        return
      }
      const what = refusal ?? { code: answer.code ?? "malformed", detail: answer.detail ?? "" }
      this.refusal = what
      this.because(`${what.code}: ${what.detail}`)
      session.close()
    })
  }

  /** The first reason is the one that is told. */
  private because(reason: string): void {
    this.why ??= reason
  }

  private lost(): void {
    this.ready = false
    this.session = undefined
    if (this.closed) return
    this.options.down(this.why!, this.refusal)
    const { redialMsMax } = this.options.limits
    const waitMs = this.backoffMs * (0.5 + Math.random() / 2)
    this.backoffMs = Math.min(2 * this.backoffMs, redialMsMax)
    this.timer = setTimeout(() => this.dial(), waitMs)
  }

  private request(over: ClientHttp2Session, message: Request): boolean {
    const { session, index, ackedBelow, deadlineMs } = message
    const path = this.path(message.method)
    if (path === undefined) return false
    const stream = over.request({
      ...headersOf(path, deadlineMs),
      [HEADER.call]: "request",
      [HEADER.lane]: Buffer.from(laneBytes(session)).toString("hex"),
      [HEADER.index]: String(index),
      [HEADER.acknowledged]: String(ackedBelow),
      ...(message.proof && { [HEADER.proof]: proofHeader(message.proof) }),
      ...(message.trace && { traceparent: traceparent(message.trace) })
    })
    const key = keyOf(session, index)
    const { callTimeoutMsMax, bodyBytesMax } = this.options.limits
    const dueMs = Date.now() + (deadlineMs || callTimeoutMsMax)
    this.open.set(key, { stream, dueMs })
    stream.once("close", () => {
      if (this.open.get(key)?.stream === stream) this.open.delete(key)
    })
    stream.end(message.body)
    answerOf(stream, bodyBytesMax, (answer) => {
      this.options.reply({ kind: "reply", session, index, ...answer })
    })
    return true
  }

  private oneWay(over: ClientHttp2Session, message: OneWay): boolean {
    const path = this.path(message.method)
    if (path === undefined) return false
    const stream = over.request({ ...headersOf(path, 0), [HEADER.call]: "oneWay" })
    stream.end(message.body)
    answerOf(stream, ERROR_BYTES_MAX, () => {})
    return true
  }

  private cancel({ session, index }: Cancel): boolean {
    this.open.get(keyOf(session, index))?.stream.close(constants.NGHTTP2_CANCEL)
    return true
  }

  private path(method: number): string | undefined {
    const name = this.options.methodName(method)
    return name === undefined ? undefined : `/${name}`
  }
}

const keyOf = (session: LaneKey, index: number): string => `${session}${index}`

export const headersOf = (path: string, deadlineMs: number) => ({
  ":method": "POST",
  ":path": path,
  "content-type": "application/proto",
  "connect-protocol-version": "1",
  ...(deadlineMs === 0 ? {} : { "connect-timeout-ms": String(Math.ceil(deadlineMs)) })
})

type ResponseHeaders = IncomingHttpHeaders & IncomingHttpStatusHeader
type Answer = Omit<Reply, "kind" | "session" | "index">

/** Calls `done` at most once; not at all for a stream that was cancelled or lost its session. */
export const answerOf = (
  stream: ClientHttp2Stream,
  bytesMax: number,
  done: (answer: Answer) => void
): void => {
  let headers: ResponseHeaders = {}
  stream.once("response", (it) => {
    headers = it
  })
  stream.on("error", () => {})
  readBody(stream, bytesMax, (body) => {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR) return
    if (body === undefined) {
      stream.close(constants.NGHTTP2_CANCEL)
      done({ body: NO_BYTES, code: "too_large", detail: `a reply of more than ${bytesMax} bytes` })
    } else if (headers[":status"] === 200) done({ body })
    else if (headers[":status"] !== undefined) done(failure(headers, body))
  })
}

const failure = (headers: ResponseHeaders, body: Uint8Array): Answer => {
  const text = String(headers[HEADER.code] ?? "")
  // Who gives no code of ours is a proxy, or what a node says before it knows the call: try again.
  const code: ErrorCode = Object.hasOwn(ERROR_CODES, text) ? (text as ErrorCode) : "not_ready"
  const node = counter(headers[HEADER.node])
  const horizonMs = counter(headers[HEADER.horizon])
  return {
    body: NO_BYTES,
    code,
    detail: messageOf(body) ?? `HTTP status ${headers[":status"]}`,
    ...(node === undefined ? {} : { node }),
    ...(horizonMs === undefined ? {} : { horizonMs })
  }
}

const messageOf = (body: Uint8Array): string | undefined => {
  try {
    const { message } = JSON.parse(Buffer.from(body).toString("utf8")) as { message?: unknown }
    return typeof message === "string" ? message : undefined
  } catch {
    return undefined
  }
}

const readHello = (body: Uint8Array) => {
  try {
    return helloFromWire(fromBinary(HelloSchema, body))
  } catch {
    return undefined
  }
}
