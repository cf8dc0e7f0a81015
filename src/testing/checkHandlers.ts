import type { NodeId } from "../base/NodeId.ts"
import type { HandlerFunction, KeyedHandler, MethodSpec, ProtocolSpec } from "../server/Protocol.ts"

/** What a phase handler's context shows of the message it is about. */
interface Seen {
  readonly index: number
  readonly round: number
  readonly author?: NodeId
  readonly votes?: { readonly author: NodeId }
  readonly call?: { readonly key: string } | undefined
}

/**
 * The protocol of one life of a node, with every message counted that its phase handlers see: at
 * most one per (lane, index, phase, round, author). One that was parked may come once more.
 */
export const seenOnce = (
  fail: (what: string) => void,
  spec: ProtocolSpec,
  node: NodeId
): ProtocolSpec => {
  const seen = new Set<string>()
  const over = (method: MethodSpec, lane: string | undefined, run: HandlerFunction) => {
    return (context: Seen): unknown => {
      const author = context.author ?? context.votes?.author
      const instance = lane === undefined ? context.call?.key : `${lane}/${context.index}`
      const key = `${method.name} ${instance} ${context.round} ${author}`
      if (seen.has(key)) {
        const what = `${method.name} of ${instance} round ${context.round}`
        fail(`P1: node ${node} was shown the message of node ${author} twice: ${what}`)
      }
      seen.add(key)
      const result = run(context)
      if (parks(result)) seen.delete(key)
      return result
    }
  }
  const phase = (method: MethodSpec): MethodSpec => {
    const { handler } = method
    if (typeof handler === "function")
      return { ...method, handler: over(method, undefined, handler) }
    const keyed: KeyedHandler = {
      ...handler,
      ...(handler.each && { each: over(method, handler.lane, handler.each) }),
      ...(handler.quorum && { quorum: over(method, handler.lane, handler.quorum) })
    }
    return { ...method, handler: keyed }
  }
  const methods = spec.methods.map((method) => (method.call === "phase" ? phase(method) : method))
  return { ...spec, methods }
}

const parks = (result: unknown): boolean =>
  [result].flat().some((one) => (one as { kind?: string } | undefined)?.kind === "park")
