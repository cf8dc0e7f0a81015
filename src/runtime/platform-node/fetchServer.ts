/** Serves ranges to members: Connect's unary protocol, on the HTTP/2 stream itself. */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2"
import { NO_BYTES } from "../../base/bytes.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { FetchAnswer } from "../../link/fetchStore.ts"
import type { Door, UnaryReply } from "../Carrier.ts"
import { CONTENT_TYPE, readBody, respond } from "./unaryServer.ts"
import {
  decodeFetchCall,
  encodeFetchAnswer,
  FETCH_PATH,
  FETCH_REQUEST_BYTES_MAX
} from "./wireFetch.ts"

export const isFetch = (headers: IncomingHttpHeaders): boolean =>
  headers[":path"] === FETCH_PATH && headers["content-type"] === CONTENT_TYPE

/** Answers that a member has not taken yet, of those it may ask for at once: it asks again then. */
const BUSY_WAIT_MS = 100

export class FetchServer {
  private readonly door: Door
  private readonly limits: Limits
  /** Answers on their way, by member. */
  private readonly sending = new Map<NodeId, number>()

  constructor(door: Door, limits: Limits) {
    this.door = door
    this.limits = limits
  }

  serve(stream: ServerHttp2Stream): void {
    const answer = (reply: UnaryReply): void => {
      if (!stream.destroyed && !stream.closed) respond(stream, reply)
    }
    stream.on("error", () => {})
    stream.setTimeout(this.limits.fetchTimeoutMs, () => stream.close())
    readBody(stream, FETCH_REQUEST_BYTES_MAX, (body) => {
      const call = body && decodeFetchCall(body)
      if (call === undefined) return answer(refusal("malformed", "this is no FetchRequest"))
      const given = this.door.fetch?.(call)
      if (given === undefined) return answer(refusal("not_found", "nothing is fetched here"))
      if ("code" in given) return answer(refusal(given.code, given.detail))
      answer({ body: encodeFetchAnswer(this.bounded(call.node, given, stream)) })
    })
  }

  /** Who does not take what it asked for gets no more. */
  private bounded(node: NodeId, given: FetchAnswer, stream: ServerHttp2Stream): FetchAnswer {
    if (given.kind !== "given") return given
    const sending = this.sending.get(node) ?? 0
    if (sending >= 2 * this.limits.fetchAsksMax) return { kind: "later", waitMs: BUSY_WAIT_MS }
    this.sending.set(node, sending + 1)
    stream.once("close", () => {
      const left = this.sending.get(node)! - 1
      if (left > 0) this.sending.set(node, left)
      else this.sending.delete(node)
    })
    return given
  }
}

const refusal = (code: NonNullable<UnaryReply["code"]>, detail: string): UnaryReply => ({
  body: NO_BYTES,
  code,
  detail
})
