/**
 * Links of unary calls over HTTP/2: calls of this host leave by sessions that it dials, those of
 * others come in at its listener, and both find their link by its id.
 */
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2"
import { constants } from "node:http2"
import { hexOf, NO_BYTES } from "../../base/bytes.ts"
import type { Limits } from "../../base/limits.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { ConnectionEvents } from "../../link/ports.ts"
import { LINK_HEADER, LINK_ID_BYTES, type Way, wayOf } from "../../link/unaryCall.ts"
import { type LinkReply, UnaryLink } from "../../link/unaryLink.ts"
import type { Door, UnaryPeer } from "../Carrier.ts"
import { randomBytes } from "../internal/random.ts"
import { LinkCaller } from "./linkCaller.ts"
import type { DialTls } from "./tls.ts"
import { CONTENT_TYPE, readBody, respond } from "./unaryServer.ts"

/** A link, and the bytes of calls that came for it and are not answered. */
interface Served {
  readonly link: UnaryLink
  bytes: number
}

/** A handshake is done, or came to nothing. */
type Settled = (done: boolean) => void

export interface ServeOptions {
  readonly door: Door
  readonly remote: string
  /** No new links. */
  readonly refusing: boolean
  /** A new link: what refuses it, else it is told once the link is settled. */
  readonly begin: () => string | undefined
  readonly settled: Settled
}

/** Whether a call is one between members. */
export const isMemberCall = (headers: IncomingHttpHeaders): boolean =>
  headers[LINK_HEADER.link] !== undefined

export class UnaryLinks {
  private readonly limits: Limits
  private readonly tls: DialTls | undefined
  /** By id and by the node that is this side: both may be of this process. */
  private readonly links = new Map<string, Served>()

  constructor(limits: Limits, tls: DialTls | undefined) {
    this.limits = limits
    this.tls = tls
  }

  dial(peer: UnaryPeer, events: ConnectionEvents): UnaryLink {
    const way = { ...waysEnds(peer), link: hexOf(randomBytes(LINK_ID_BYTES)) }
    const link = this.open(peer, { way, remote: peer.address })
    link.events = events
    return link
  }

  /** A call that came for a link. */
  serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, options: ServeOptions): void {
    let answered = false
    const answer = (reply: LinkReply): void => {
      if (answered || stream.destroyed || stream.closed) return
      answered = true
      respond(stream, reply)
    }
    stream.on("error", () => {})
    if (headers["content-type"] !== CONTENT_TYPE) {
      const type = headers["content-type"]
      const what = `members speak ${CONTENT_TYPE}, and this is ${type}`
      return answer(failed("malformed", what))
    }
    const served = this.find(headers, options)
    if ("code" in served) return answer(served)
    this.bound(stream, served, answer)
    readBody(stream, served.link.bodyBytesMax, (body) => {
      if (body === undefined) {
        return answer(failed("too_large", `more than ${served.link.bodyBytesMax} bytes`))
      }
      served.link.take({ method: String(headers[":path"]).slice(1), headers, body }, answer)
    })
  }

  /** What is under way for one link is bounded in bytes. */
  private bound(stream: ServerHttp2Stream, served: Served, answer: (it: LinkReply) => void): void {
    let bytes = 0
    stream.on("data", (chunk: Uint8Array) => {
      bytes += chunk.length
      served.bytes += chunk.length
      if (served.bytes <= this.limits.linkBytes) return
      const what = `calls of more than ${this.limits.linkBytes} bytes are under way`
      answer(failed("overloaded", what))
      stream.close(constants.NGHTTP2_CANCEL)
    })
    stream.once("close", () => {
      served.bytes -= bytes
    })
  }

  private find(headers: IncomingHttpHeaders, options: ServeOptions): Served | Failure {
    const theirs = wayOf(headers)
    if (theirs === undefined) return failed("malformed", "its headers name no link")
    const known = this.links.get(keyOf(theirs.link, theirs.to))
    if (known !== undefined) {
      if (known.link.unary.to === theirs.from) return known
      return failed("malformed", `the link is with node ${known.link.unary.to}`)
    }
    const begins = headers[LINK_HEADER.call] === "shake" && headers[LINK_HEADER.sequence] === "1"
    if (!begins) return failed("not_ready", "there is no such link: dial again")
    return this.accept(theirs, options)
  }

  private accept(theirs: Way, options: ServeOptions): Served | Failure {
    const { door, remote, refusing, begin, settled } = options
    if (refusing) return failed("not_ready", "the node stops")
    const { group, from, to, link } = theirs
    const ends = { group, from: to, to: from }
    const peer = door.peer?.(ends) ?? NO_PEERS
    if ("code" in peer) {
      door.garbage(remote, peer.detail)
      return failed(peer.code, peer.detail)
    }
    const linksMax = 2 * this.limits.membersMax + this.limits.unprovenMax
    if (this.links.size >= linksMax) return failed("overloaded", `${linksMax} links are open`)
    const refused = begin()
    if (refused !== undefined) {
      door.garbage(remote, refused)
      return failed("overloaded", refused)
    }
    const made = this.open(peer, { way: { ...ends, link }, remote, settled })
    made.events = door.accept(made)
    return this.links.get(keyOf(link, to)) ?? failed("not_ready", "the link is over")
  }

  private open(
    peer: UnaryPeer,
    it: { readonly way: Way; readonly remote: string; readonly settled?: Settled }
  ): UnaryLink {
    const { way, remote, settled } = it
    const key = keyOf(way.link, way.from)
    let isSettled = settled === undefined
    const settle = (done: boolean): void => {
      if (!isSettled) settled?.(done)
      isSettled = true
    }
    const caller = new LinkCaller(peer.address, this.limits, this.tls)
    let late: ReturnType<typeof setTimeout> | undefined
    const link: UnaryLink = new UnaryLink({
      limits: this.limits,
      remote,
      way,
      dialled: settled === undefined,
      methodName: peer.methodName,
      call: (call, done) => caller.call(call, done),
      closing: () => {
        late = setTimeout(
          () => link.fail("the other side answers no more"),
          this.limits.shutdownMs / 2
        )
      },
      later: (run) => void setImmediate(run),
      settled: () => settle(true),
      ended: () => {
        clearTimeout(late)
        settle(false)
        this.links.delete(key)
        caller.close()
      }
    })
    this.links.set(key, { link, bytes: 0 })
    return link
  }
}

const keyOf = (link: string, self: number): string => `${link} ${self}`
const waysEnds = ({ group, from, to }: UnaryPeer) => ({ group, from, to })

type Failure = LinkReply & { readonly code: NonNullable<LinkReply["code"]> }
const failed = (code: Failure["code"], detail: string): Failure => ({
  body: NO_BYTES,
  code,
  detail
})
const NO_PEERS: Goodbye = { code: "not_ready", detail: "this node takes no calls of members" }
