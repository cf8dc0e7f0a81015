/** What Node's HTTP/2 leaves open or unbounded by default, set for hosts and clients alike. */
import { type ClientHttp2Session, connect, type Http2Session } from "node:http2"
import { connect as connectSocket, type Socket } from "node:net"
import { connect as connectTls, TLSSocket } from "node:tls"
import type { Limits } from "../../base/limits.ts"
import {
  type DialTls,
  dialFailureText,
  dialOptions,
  isSecure,
  NO_HTTP2,
  unbegunText
} from "./tls.ts"

/** Of one session: calls on the unary transport wait at the client beyond it. */
const STREAMS_MAX = 1024
/** Headers of one request or reply; ours, with a signed call's proof, take less than 4 KiB. */
const HEADER_BYTES_MAX = 16_384

/**
 * A stream's window holds what a link may have under way, so that the link's own bound is the one
 * that counts; `maxSessionMemory` (in MB) holds twice that.
 */
export const sessionOptions = ({ linkBytes }: Limits) => ({
  settings: {
    initialWindowSize: linkBytes,
    enablePush: false,
    maxConcurrentStreams: STREAMS_MAX,
    maxHeaderListSize: HEADER_BYTES_MAX
  },
  maxSessionMemory: Math.ceil((2 * linkBytes) / 1_000_000) + 16
})

export interface Opened {
  readonly session: ClientHttp2Session
  readonly socket: Socket
  /** The connection was made and ended before the other side spoke HTTP/2: what may be wrong. */
  readonly unbegun: () => string | undefined
}

/**
 * A client's session over a socket of its own, so that it can be cut. An address with `https://`
 * before it is dialled with TLS.
 */
export const openSession = (address: string, limits: Limits, tls: DialTls = {}): Opened => {
  const { host, port } = hostAndPort(address)
  const secure = isSecure(address)
  const socket = secure ? connectTls(dialOptions(host, port, tls)) : connectSocket({ host, port })
  const session = connect(secure ? address : `http://${address}`, {
    ...sessionOptions(limits),
    createConnection: () => socket
  })
  let state: "dialling" | "connected" | "begun" = "dialling"
  session.once("connect", () => {
    state = "connected"
    if (socket instanceof TLSSocket && socket.alpnProtocol !== "h2") {
      session.destroy(new Error(NO_HTTP2))
    } else widen(session, limits)
  })
  const late = setTimeout(() => {
    session.destroy(new Error(`no HTTP/2 came within ${limits.helloTimeoutMs} ms`))
    // Else the session is over once its socket is, and that waits for the other side.
    socket.destroy()
  }, limits.helloTimeoutMs)
  session.once("remoteSettings", () => {
    state = "begun"
    clearTimeout(late)
  })
  session.once("close", () => clearTimeout(late))
  return {
    session,
    socket,
    unbegun: () => (state === "connected" ? unbegunText(secure) : undefined)
  }
}

/** A server's session: who has no stream open and was silent for long is sent away. */
export const boundSession = (session: Http2Session, limits: Limits): void => {
  widen(session, limits)
  // Streams that are open live on.
  session.setTimeout(limits.sessionIdleMsMax, () => session.close())
}

/** Bytes of a session's streams together: Node's default of 64 KiB would stall each of them. */
const widen = (session: Http2Session, { linkBytes }: Limits): void => {
  if (!session.destroyed) session.setLocalWindowSize(2 * linkBytes)
}

/** `host:port`, the host perhaps in brackets, `https://` perhaps before it. */
export const hostAndPort = (address: string): { readonly host: string; readonly port: number } => {
  const colon = address.lastIndexOf(":")
  const host = address.slice(address.lastIndexOf("/") + 1, colon).replace(/^\[(.*)\]$/, "$1")
  return { host, port: Number(address.slice(colon + 1)) }
}

/** A session without streams ends by itself, if its peer does its part; else its socket is cut. */
export const letGo = (session: Http2Session, socket: Socket, { shutdownMs }: Limits): void => {
  if (!session.destroyed) session.close()
  if (socket.destroyed) return
  const timer = setTimeout(() => socket.destroy(), shutdownMs)
  socket.once("close", () => clearTimeout(timer))
}

/** For people: a GOAWAY. A node sends one when it stops, a proxy also to cut a session's length. */
export const leavingText = (code: number): string =>
  code === 0
    ? "the other side takes no new streams"
    : `the other side ends the session (${errorCodeText(code)})`

/** What a system call said, short; for a stream that its session took along, what that says. */
export const networkErrorText = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  if (code === "ERR_HTTP2_STREAM_CANCEL" && error instanceof Error && error.cause !== undefined) {
    return networkErrorText(error.cause)
  }
  const text = error instanceof Error ? error.message : String(error)
  return TEXTS[code] ?? dialFailureText(error) ?? (text === BAD_MAGIC ? NO_PREFACE : text)
}
/** Whether a connection broke as connections do, without a word from the other side. */
export const isBreak = (error: unknown): boolean =>
  error instanceof Error && "code" in error && String(error.code) in TEXTS

/** For people: a code of RST_STREAM or GOAWAY. */
export const errorCodeText = (code: number): string => CODES[code] ?? String(code)

/** @source RFC 9113, 7 */
const CODES = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED"
]

/** What nghttp2 says of a first byte that is not HTTP/2's. */
const BAD_MAGIC = "Received bad client magic byte string"
const NO_PREFACE =
  'it spoke no HTTP/2; if that was TLS, leave "tls" out of its group file, or give listenTls here'

const TEXTS: { readonly [code: string]: string } = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  ETIMEDOUT: "connection timed out",
  EPIPE: "connection reset",
  EADDRINUSE: "the address is in use",
  EADDRNOTAVAIL: "the address is not this machine's",
  EACCES: "no right to use this port",
  ENOTFOUND: "the host name is unknown"
}
