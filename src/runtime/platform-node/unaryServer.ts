/**
 * Calls of clients on the unary transport, which bring their ids: Connect's unary protocol, served
 * on the HTTP/2 stream itself, so that the bytes of a body reach the engine as they came.
 */
import { NO_BYTES } from "../../base/bytes.ts"
import { Gathered } from "../../base/gathered.ts"
import {
  constants,
  type Http2Stream,
  type IncomingHttpHeaders,
  type ServerHttp2Stream
} from "node:http2"
import type { Limits } from "../../base/limits.ts"
import { readTraceparent } from "../../link/traceContext.ts"
import { isSession, laneOfBytes } from "../../server/laneKey.ts"
import type { Door, UnaryIds, UnaryReply } from "../Carrier.ts"
import { connectCode, HEADER, proofOf, replyHeaders } from "./connectCode.ts"

export const CONTENT_TYPE = "application/proto"
/** Whether {@link serveKnown} is the one to serve this. */
export const bringsIds = (headers: IncomingHttpHeaders): boolean =>
  headers[HEADER.call] !== undefined && headers["content-type"] === CONTENT_TYPE

export const serveKnown = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { door, limits }: { readonly door: Door; readonly limits: Limits }
): void => {
  let cancel: (() => void) | undefined
  let answered = false
  const answer = (reply: UnaryReply): void => {
    if (answered || stream.destroyed || stream.closed) return
    answered = true
    respond(stream, reply)
  }
  stream.on("error", () => {})
  stream.on("close", () => {
    if (answered) return
    answered = true
    cancel?.()
  })
  const ids = idsOf(headers)
  if (ids === undefined) return answer(MALFORMED)
  readBody(stream, limits.bodyBytesMax, (body) => {
    if (body === undefined) {
      const detail = `a body of more than ${limits.bodyBytesMax} bytes`
      return answer({ body: NO_BYTES, code: "too_large", detail })
    }
    const method = String(headers[":path"]).slice(1)
    const deadlineMs = counter(headers["connect-timeout-ms"]) ?? 0
    const trace = readTraceparent(headers["traceparent"])
    cancel = door.unary({ method, body, deadlineMs, ids, trace }, answer)
  })
}

const MALFORMED: UnaryReply = {
  body: NO_BYTES,
  code: "malformed",
  detail: `the headers ${Object.values(HEADER).slice(0, 5).join(", ")} do not fit together`
}

const idsOf = (headers: IncomingHttpHeaders): UnaryIds | "oneWay" | undefined => {
  if (headers[HEADER.call] === "oneWay") return "oneWay"
  const session = laneOfBytes(Buffer.from(String(headers[HEADER.lane]), "hex"))
  const index = counter(headers[HEADER.index])
  const ackedBelow = counter(headers[HEADER.acknowledged])
  if (headers[HEADER.call] !== "request" || !isSession(session)) return undefined
  if (index === undefined || index < 1 || ackedBelow === undefined) return undefined
  if (headers[HEADER.proof] === undefined) return { session, index, ackedBelow }
  const proof = proofOf(String(headers[HEADER.proof]))
  return proof && { session, index, ackedBelow, proof }
}

/** A whole number that both sides can count with. */
export const counter = (header: unknown): number | undefined => {
  if (typeof header !== "string" || !/^[0-9]{1,16}$/.test(header)) return undefined
  const value = Number(header)
  return Number.isSafeInteger(value) ? value : undefined
}

/**
 * The whole body; `undefined` once it is larger than `bytesMax`. Not called for one that is cut
 * short: Node.js ends such a stream as any other where its connection ended in an orderly way.
 */
export const readBody = (
  stream: NodeJS.ReadableStream & Pick<Http2Stream, "aborted">,
  bytesMax: number,
  done: (body: Uint8Array | undefined) => void
): void => {
  const body = new Gathered()
  let isTooLarge = false
  stream.on("data", (chunk: Uint8Array) => {
    if (isTooLarge) return
    isTooLarge = body.length + chunk.length > bytesMax
    if (!isTooLarge) return body.add(chunk, bytesMax)
    body.clear()
    done(undefined)
  })
  stream.on("end", () => {
    if (!isTooLarge && !stream.aborted) done(body.take())
  })
}

export const respond = (stream: ServerHttp2Stream, reply: UnaryReply): void => {
  const extra = replyHeaders(reply)
  if (reply.code === undefined) {
    stream.respond({ ":status": 200, "content-type": CONTENT_TYPE, ...extra })
    stream.end(reply.body)
  } else {
    const { name, httpStatus } = connectCode(reply.code)
    stream.respond({ ":status": httpStatus, "content-type": "application/json", ...extra })
    stream.end(JSON.stringify({ code: name, message: reply.detail ?? reply.code }))
  }
  // What is left of an oversized request is not read.
  if (!stream.readableEnded) stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR))
}
