/** Asks one host for ranges, over a connection of its own that lives as long as it is used. */
import { type ClientHttp2Session, type ClientHttp2Stream, constants } from "node:http2"
import type { Socket } from "node:net"
import type { Limits } from "../../base/limits.ts"
import type { FetchResult } from "../../link/fetchCore.ts"
import { rangeBytesMax } from "../../link/fetchStore.ts"
import type { FetchCall, FetchChannel } from "../Carrier.ts"
import { letGo, openSession } from "./http2Sessions.ts"
import type { DialTls } from "./tls.ts"
import { answerOf, headersOf } from "./unaryCarrier.ts"
import {
  decodeFetchAnswer,
  encodeFetchCall,
  FETCH_PATH,
  FETCH_REPLY_AROUND_BYTES
} from "./wireFetch.ts"

export class HttpFetchChannel implements FetchChannel {
  private readonly address: string
  private readonly limits: Limits
  private readonly tls: DialTls | undefined
  private open: { readonly session: ClientHttp2Session; readonly socket: Socket } | undefined
  /** Asks under way. */
  private asks = 0
  private idle: ReturnType<typeof setTimeout> | undefined

  constructor(address: string, limits: Limits, tls: DialTls | undefined) {
    this.address = address
    this.limits = limits
    this.tls = tls
  }

  ask(call: FetchCall, done: (result: FetchResult) => void): void {
    const { fetchTimeoutMs } = this.limits
    clearTimeout(this.idle)
    this.asks++
    let result: FetchResult = { kind: "unreachable" }
    const stream = this.request(fetchTimeoutMs)
    stream.setTimeout(fetchTimeoutMs, () => stream.close(constants.NGHTTP2_CANCEL))
    stream.once("close", () => {
      this.asks--
      if (this.asks === 0) this.idle = setTimeout(() => this.close(), fetchTimeoutMs)
      done(result)
    })
    answerOf(stream, rangeBytesMax(this.limits) + FETCH_REPLY_AROUND_BYTES, (answer) => {
      // Whatever else was answered, by a node that stops or a proxy: perhaps later.
      const given = answer.code === undefined ? decodeFetchAnswer(answer.body) : undefined
      if (given !== undefined) result = given
    })
    stream.end(encodeFetchCall(call))
  }

  close(): void {
    clearTimeout(this.idle)
    const { open } = this
    this.open = undefined
    if (open !== undefined) letGo(open.session, open.socket, this.limits)
  }

  private request(timeoutMs: number): ClientHttp2Stream {
    return this.connected().request(headersOf(FETCH_PATH, timeoutMs))
  }

  private connected(): ClientHttp2Session {
    const { open } = this
    if (open !== undefined && !open.session.closed && !open.session.destroyed) return open.session
    const { session, socket } = openSession(this.address, this.limits, this.tls)
    // What goes wrong with it is told to its streams.
    session.on("error", () => {})
    session.once("goaway", () => session.close())
    this.open = { session, socket }
    return session
  }
}
