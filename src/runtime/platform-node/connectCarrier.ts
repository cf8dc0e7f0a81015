/** The carrier of real hosts: Connect over HTTP/2, with TLS or without, one session per link. */
import {
  constants,
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type Http2Server,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  type ServerHttp2Stream
} from "node:http2"
import type { Socket } from "node:net"
import { Effect } from "effect"
import { LIMITS, type Limits, portConnectionsMax } from "../../base/limits.ts"
import { Admission } from "../../link/admission.ts"
import type { Connection, ConnectionEvents } from "../../link/ports.ts"
import type { Carrier, Door, Listener } from "../Carrier.ts"
import { HttpFetchChannel } from "./fetchChannel.ts"
import { FetchServer, isFetch } from "./fetchServer.ts"
import { FrameStream, LINK_CONTENT_TYPE, LINK_PATH } from "./frameStream.ts"
import { nodeCrypto } from "./nodeCrypto.ts"
import { makeSigner } from "./nodeKeys.ts"
import {
  hostAndPort,
  boundSession,
  isBreak,
  leavingText,
  letGo,
  networkErrorText,
  openSession,
  sessionOptions
} from "./http2Sessions.ts"
import { strangerRoutes } from "./strangerRoutes.ts"
import { type DialTls, type ListenTls, onHandshakeFailure, serverOptions } from "./tls.ts"
import { isMemberCall, UnaryLinks } from "./unaryLinks.ts"
import { bringsIds, serveKnown } from "./unaryServer.ts"

export interface CarrierOptions {
  /**
   * All connections come from one address, as behind a proxy: what is bounded by address is bounded
   * in all alone.
   */
  readonly sharedAddress?: boolean | undefined
  /** TLS is in PEM; absent: nodes are dialled with the authorities of Node.js. */
  readonly dial?: DialTls | undefined
  /** Absent: this side has no TLS. */
  readonly listen?: ListenTls | undefined
}

export const makeConnectCarrier = (
  limits: Limits = LIMITS,
  options: CarrierOptions = {}
): Carrier["Service"] => {
  const unary = new UnaryLinks(limits, options.dial)
  return {
    dial: (address, events) => dial(address, events, limits, options.dial),
    dialUnary: (peer, events) => unary.dial(peer, events),
    listen: (address, door) =>
      Effect.callback((resume) => {
        const server = new NodeServer(door, limits, { ...options, unary })
        server.listen(address, (failure) =>
          resume(failure === undefined ? Effect.succeed(server) : Effect.fail(failure))
        )
      }),
    fetches: (address, limits) => new HttpFetchChannel(address, limits, options.dial),
    makeKey: makeSigner,
    suite: nodeCrypto
  }
}

const dial = (
  address: string,
  events: ConnectionEvents,
  limits: Limits,
  tls: DialTls | undefined
): Connection => {
  const { session, socket, unbegun } = openSession(address, limits, tls)
  const stream = session.request({
    ":method": "POST",
    ":path": LINK_PATH,
    "content-type": LINK_CONTENT_TYPE,
    "connect-protocol-version": "1"
  })
  const frames = new FrameStream(stream, {
    server: false,
    remote: address,
    limits,
    unbegun,
    garbage: () => {}
  })
  stream.once("response", (headers) => {
    const type = headers["content-type"]
    if (headers[":status"] === 200 && type === LINK_CONTENT_TYPE) return
    frames.fail(statusText(Number(headers[":status"])))
  })
  session.on("error", (error) => frames.because(networkErrorText(error)))
  session.once("goaway", (code) => frames.leave(leavingText(code)))
  frames.events = {
    ...events,
    closed: (reason) => {
      letGo(session, socket, limits)
      events.closed(reason)
    }
  }
  return frames
}

/** For people: who answers a link so is no node, or a proxy that does not reach one. */
const statusText = (status: number): string => {
  if (status === TOO_MANY) return "the node takes no more links from here for now"
  const proxy = status === 502 || status === 503 || status === 504
  return proxy
    ? `a proxy answers with HTTP status ${status}: it does not reach the node`
    : `what listens there answers with HTTP status ${status}: no node`
}

/** A node's address: links, calls with ids, strangers. */
class NodeServer implements Listener {
  private readonly door: Door
  private readonly limits: Limits
  private readonly server: Http2Server
  private readonly admission: Admission
  private readonly sessions = new Set<ServerHttp2Session>()
  private readonly sockets = new Set<Socket>()
  private readonly fetches: FetchServer
  private readonly unary: UnaryLinks
  private refusing = false
  private routes:
    | {
        readonly services: Door["services"]
        readonly serve: (request: Http2ServerRequest, response: Http2ServerResponse) => void
      }
    | undefined

  constructor(
    door: Door,
    limits: Limits,
    { listen: tls, sharedAddress, unary }: CarrierOptions & { readonly unary: UnaryLinks }
  ) {
    this.unary = unary
    this.door = door
    this.limits = limits
    this.admission = new Admission(limits, sharedAddress)
    this.fetches = new FetchServer(door, limits)
    const serve = (request: Http2ServerRequest, response: Http2ServerResponse): void =>
      this.serve(request, response)
    const options = sessionOptions(limits)
    if (tls === undefined) this.server = createServer(options, serve)
    else {
      const secure = serverOptions(tls, limits.helloTimeoutMs)
      this.server = createSecureServer({ ...options, ...secure }, serve)
      onHandshakeFailure(this.server, door.garbage)
    }
    this.server.maxConnections = portConnectionsMax(limits)
    this.server.on("connection", (socket: Socket) => this.connected(socket))
    this.server.on("session", (session) => this.opened(session))
  }

  listen(address: string, done: (failure: string | undefined) => void): void {
    const { server } = this
    const refused = (error: Error): void => done(networkErrorText(error))
    server.once("error", refused)
    server.listen(hostAndPort(address), () => {
      server.off("error", refused)
      server.on("error", (error) => this.door.garbage("the listener", networkErrorText(error)))
      done(undefined)
    })
  }

  refuse(): void {
    this.refusing = true
    this.server.close()
    // GOAWAY: streams that are open live on, whoever dialled goes elsewhere.
    for (const session of this.sessions) session.close()
  }

  readonly close: Effect.Effect<void> = Effect.callback((resume) => {
    this.refuse()
    const { sockets } = this
    const timer = setTimeout(() => {
      // A session that was asked to close waits for its peer, even when it is destroyed.
      for (const socket of sockets) socket.destroy()
    }, this.limits.shutdownMs)
    const done = (): void => {
      if (sockets.size > 0) return
      clearTimeout(timer)
      resume(Effect.void)
    }
    for (const socket of sockets) socket.once("close", done)
    done()
  })

  private connected(socket: Socket): void {
    // A socket that is gone already has none.
    const address = socket.remoteAddress ?? ""
    const refused = this.admission.connected(address, performance.now())
    if (refused !== undefined) {
      socket.destroy()
      return this.door.garbage(address, refused)
    }
    this.sockets.add(socket)
    socket.once("close", () => {
      this.sockets.delete(socket)
      this.admission.disconnected(address)
    })
  }

  private opened(session: ServerHttp2Session): void {
    const remote = `${session.socket.remoteAddress}:${session.socket.remotePort}`
    this.sessions.add(session)
    session.once("close", () => this.sessions.delete(session))
    session.on("error", (error) => {
      if (!isBreak(error)) this.door.garbage(remote, networkErrorText(error))
    })
    boundSession(session, this.limits)
    this.mustBegin(session, remote)
    if (this.refusing) session.close()
  }

  /** Who dials and asks for nothing only holds a connection. */
  private mustBegin(session: ServerHttp2Session, remote: string): void {
    const timer = setTimeout(() => {
      this.door.garbage(remote, "nothing was asked in time")
      session.destroy()
    }, this.limits.helloTimeoutMs)
    session.once("stream", () => clearTimeout(timer))
    session.once("close", () => clearTimeout(timer))
  }

  /** Anew where a node came or went. */
  private strangers(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { services } = this.door
    if (this.routes?.services !== services) {
      this.routes = { services, serve: strangerRoutes(this.door, this.limits) }
    }
    this.routes.serve(request, response)
  }

  private serve(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const { stream, headers } = request
    // Links that there are live on.
    if (this.refusing && !isMemberCall(headers)) {
      stream.respond({ ":status": 503 }, { endStream: true })
    } else if (isLink(request)) this.link(stream)
    else if (isFetch(headers)) this.fetches.serve(stream)
    else if (isMemberCall(headers)) this.memberCall(stream, headers)
    else if (bringsIds(headers)) {
      serveKnown(stream, headers, { door: this.door, limits: this.limits })
    } else this.strangers(request, response)
  }

  private memberCall(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const socket = stream.session?.socket
    const address = socket?.remoteAddress ?? ""
    this.unary.serve(stream, headers, {
      door: this.door,
      remote: `${address}:${socket?.remotePort}`,
      refusing: this.refusing,
      begin: () => this.admission.begun(address),
      settled: (done) => this.admission.settled(address, done, performance.now())
    })
  }

  private link(stream: ServerHttp2Stream): void {
    const socket = stream.session?.socket
    const remote = `${socket?.remoteAddress}:${socket?.remotePort}`
    const address = socket?.remoteAddress ?? ""
    const refused = this.admission.begun(address)
    if (refused !== undefined) {
      this.door.garbage(remote, refused)
      return stream.respond({ ":status": TOO_MANY }, { endStream: true })
    }
    const frames = new FrameStream(stream, {
      server: true,
      remote,
      limits: this.limits,
      settled: (done) => this.admission.settled(address, done, performance.now()),
      garbage: (what) => this.door.garbage(remote, what)
    })
    stream.respond({ ":status": constants.HTTP_STATUS_OK, "content-type": LINK_CONTENT_TYPE })
    frames.events = this.door.accept(frames)
  }
}

const TOO_MANY = constants.HTTP_STATUS_TOO_MANY_REQUESTS

const isLink = ({ url, method, headers }: Http2ServerRequest): boolean =>
  url === LINK_PATH && method === "POST" && headers["content-type"] === LINK_CONTENT_TYPE
