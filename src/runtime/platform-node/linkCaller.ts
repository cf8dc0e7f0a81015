/** Makes the calls of one link of unary calls, over a session of its own. */
import { type ClientHttp2Stream, constants } from "node:http2"
import { NO_BYTES } from "../../base/bytes.ts"
import type { ErrorCode } from "../../base/errorCode.ts"
import type { Limits } from "../../base/limits.ts"
import { LINK_HEADER, type LinkCall } from "../../link/unaryCall.ts"
import type { LinkReply } from "../../link/unaryLink.ts"
import { HEADER } from "./connectCode.ts"
import { letGo, networkErrorText, type Opened, openSession } from "./http2Sessions.ts"
import type { DialTls } from "./tls.ts"
import { answerOf, headersOf } from "./unaryCarrier.ts"

/** Of one session: HTTP/2 has numbers for a thousand times as many. */
const SESSION_CALLS_MAX = 1_000_000

export class LinkCaller {
  private readonly address: string
  private readonly limits: Limits
  private readonly tls: DialTls | undefined
  private current: Opened | undefined
  private currentCalls = 0
  private readonly sessions = new Set<Opened>()
  /** Ends a call that is open. */
  private readonly cancels = new Set<() => void>()

  constructor(address: string, limits: Limits, tls: DialTls | undefined) {
    this.address = address
    this.limits = limits
    this.tls = tls
  }

  /**
   * Calls `done` once. What gets no answer, or none of a node, goes once more, over another session
   * where the first one is gone: proxies end sessions as they like, and the receiver hands on each
   * frame once. Not so the handshake, whose answers are no mere yes.
   */
  call(call: LinkCall, done: (reply: LinkReply) => void): void {
    const { unaryTimeoutMs } = this.limits
    let over = false
    let stream: ClientHttp2Stream | undefined
    const end = (reply: LinkReply): void => {
      if (over) return
      over = true
      clearTimeout(timer)
      this.cancels.delete(cancel)
      done(reply)
    }
    const give = (code: ErrorCode, up: string): void => {
      end(failed(code, up))
      stream?.close(constants.NGHTTP2_CANCEL)
    }
    const timer = setTimeout(
      () => give("deadline_exceeded", `no answer within ${unaryTimeoutMs} ms`),
      unaryTimeoutMs
    )
    const cancel = (): void => give("cancelled", "the link is over")
    this.cancels.add(cancel)
    const again = call.headers[LINK_HEADER.call] !== "shake"
    const missed = (why: string): void => {
      if (over) return
      if (!again) return end(failed("unavailable", why))
      stream = this.attempt(call, end, (last) => end(failed("unavailable", last)))
    }
    stream = this.attempt(call, end, missed)
  }

  /** Calls that are open are cut. */
  close(): void {
    for (const cancel of this.cancels) cancel()
    for (const { session, socket } of this.sessions) letGo(session, socket, this.limits)
  }

  /** Calls one of both, once. */
  private attempt(
    { method, headers, body }: LinkCall,
    answered: (reply: LinkReply) => void,
    missed: (why: string) => void
  ): ClientHttp2Stream {
    const { unaryTimeoutMs, handshakeFrameBytesMax } = this.limits
    const { session, unbegun } = this.opened()
    this.currentCalls++
    const stream = session.request({ ...headersOf(`/${method}`, unaryTimeoutMs), ...headers })
    let over = false
    const miss = (why: string): void => {
      if (!over) missed(why)
      over = true
    }
    let ofNode = false
    stream.once("response", (it) => {
      ofNode = it[":status"] === 200 || it[HEADER.code] !== undefined
    })
    answerOf(stream, 2 * handshakeFrameBytesMax, (reply) => {
      if (over) return
      if (!ofNode) return miss(reply.detail ?? "")
      over = true
      answered(reply)
    })
    stream.once("error", (error) => miss(networkErrorText(error)))
    stream.once("close", () => miss(unbegun() ?? "the call was closed without an answer"))
    stream.end(body)
    return stream
  }

  private opened(): Opened {
    const { current } = this
    const gone = current === undefined || current.session.closed || current.session.destroyed
    if (!gone && this.currentCalls < SESSION_CALLS_MAX) return current
    current?.session.close()
    this.currentCalls = 0
    return (this.current = this.open())
  }

  private open(): Opened {
    const opened = openSession(this.address, this.limits, this.tls)
    const { session } = opened
    this.sessions.add(opened)
    const leave = (): void => {
      if (this.current === opened) this.current = undefined
    }
    session.on("error", leave)
    session.once("goaway", () => {
      leave()
      session.close()
    })
    session.once("close", () => {
      leave()
      this.sessions.delete(opened)
    })
    return opened
  }
}

const failed = (code: ErrorCode, detail: string): LinkReply => ({
  body: NO_BYTES,
  code,
  detail,
  lost: true
})
