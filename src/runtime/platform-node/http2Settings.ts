/** What Node's HTTP/2 leaves open or unbounded by default, set for hosts and clients alike. */
import type { Http2Session } from "node:http2"
import type { Limits } from "../../base/limits.ts"

/**
 * A stream's window holds what a link may have under way, so that the link's own bound is the one
 * that counts; `maxSessionMemory` (in MB) holds twice that.
 */
export const sessionOptions = ({ linkBytes }: Limits) => ({
  settings: { initialWindowSize: linkBytes, enablePush: false },
  maxSessionMemory: Math.ceil((2 * linkBytes) / 1_000_000) + 16
})

/** Bytes of a session's streams together: Node's default of 64 KiB would stall each of them. */
export const widen = (session: Http2Session, { linkBytes }: Limits): void => {
  if (!session.destroyed) session.setLocalWindowSize(2 * linkBytes)
}

/** What a system call said, short; for a stream that its session took along, what that says. */
export const networkErrorText = (error: unknown): string => {
  const code = error instanceof Error && "code" in error ? String(error.code) : ""
  if (code === "ERR_HTTP2_STREAM_CANCEL" && error instanceof Error && error.cause !== undefined) {
    return networkErrorText(error.cause)
  }
  return TEXTS[code] ?? (error instanceof Error ? error.message : String(error))
}
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
