/**
 * What stock clients find at a node's port, in every protocol that Connect speaks: all methods as
 * ordinary unary ones, and the link for hosts that do not speak Connect's own protocol.
 */
import { type DescMethod, type DescService, fromBinary, toBinary } from "@bufbuild/protobuf"
import type { ConnectRouter, HandlerContext, ServiceImpl } from "@connectrpc/connect"
import { connectNodeAdapter } from "@connectrpc/connect-node"
import type { Limits } from "../../base/limits.ts"
import { readTraceparent } from "../../link/traceContext.ts"
import { Peer } from "../../../gen/quorate/v1/link_pb.ts"
import type { Door, UnaryReply } from "../Carrier.ts"
import { connectError } from "./connectCode.ts"
import { stockLink } from "./stockLink.ts"
import { helloFromWire, helloToWire } from "./wireHello.ts"

/** A request listener for Node's HTTP/2 server. */
export const strangerRoutes = (door: Door, limits: Limits): ReturnType<typeof connectNodeAdapter> =>
  connectNodeAdapter({
    routes: (router) => {
      peerRoutes(router, door, limits)
      for (const service of door.services) {
        const methods: { [name: string]: unknown } = {}
        for (const method of service.methods) {
          if (method.methodKind !== "unary") continue
          methods[method.localName] = unaryRoute(method, door)
        }
        router.service(service, methods as Partial<ServiceImpl<DescService>>)
      }
    },
    readMaxBytes: limits.batchBytesMax + 16,
    writeMaxBytes: limits.batchBytesMax + 16,
    acceptCompression: []
  })

const unaryRoute =
  (method: DescMethod, door: Door) =>
  async (request: never, context: HandlerContext): Promise<unknown> => {
    const reply = await new Promise<UnaryReply>((resolve, reject) => {
      const { signal } = context
      const cancel = door.unary(
        {
          method: `${method.parent.typeName}/${method.name}`,
          body: toBinary(method.input, request),
          deadlineMs: Math.max(0, Math.floor(context.timeoutMs() ?? 0)),
          ids: undefined,
          trace: readTraceparent(context.requestHeader.get("traceparent"))
        },
        resolve
      )
      const stop = (): void => {
        cancel()
        reject(signal.reason)
      }
      if (signal.aborted) stop()
      else signal.addEventListener("abort", stop, { once: true })
    })
    if (reply.code !== undefined) throw connectError(reply.code, reply.detail)
    return fromBinary(method.output, reply.body)
  }

const peerRoutes = (router: ConnectRouter, door: Door, limits: Limits): void => {
  router.service(Peer, {
    greet: (request) => {
      const theirs = helloFromWire(request)
      if (theirs === undefined) throw connectError("malformed", "this is no hello")
      const answer = door.greet(theirs)
      if ("code" in answer) throw connectError(answer.code, answer.detail)
      return helloToWire(answer)
    },
    link: (requests, context) => stockLink(requests, { context, door, limits })
  })
}
