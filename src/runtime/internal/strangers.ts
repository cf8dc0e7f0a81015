/**
 * Calls that come outside any link: of clients on the unary transport, which bring their ids, and
 * of strangers with stock clients, for whom the host makes the call as a client of its own group.
 */
import { Exit } from "effect"
import { NO_BYTES } from "../../base/bytes.ts"
import type { Limits } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { CallResult } from "../../link/callTypes.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Hello } from "../../link/groupHello.ts"
import { checkHello } from "../../link/hello.ts"
import { first, matching, type Policy } from "../../quorum/Policy.ts"
import { methodId } from "../../server/Message.ts"
import type { MethodSpec, ProtocolSpec } from "../../server/Protocol.ts"
import type { Carrier, UnaryCall, UnaryIds, UnaryReply } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import type { GroupNode } from "../GroupNode.ts"
import { GroupClient } from "./groupClient.ts"
import { unlinkedProblem } from "./identity.ts"
import type { Observers } from "./observed.ts"
import { traceIncoming } from "./spans.ts"

export interface StrangersOptions {
  readonly node: GroupNode
  readonly group: Group["Service"]
  readonly self: NodeId
  readonly carrier: Carrier["Service"]
  readonly limits: Limits
  readonly observers: Observers
  readonly protocols: ReadonlyArray<ProtocolSpec>
}
type Done = (reply: UnaryReply) => void

const noInterest = (): void => {}

export class Strangers {
  private readonly options: StrangersOptions
  private readonly methods = new Map<string, MethodSpec>()
  private readonly here: ReadonlyArray<NodeId>
  /** Made for the first stranger. */
  private client: GroupClient | undefined
  private closed = false
  /** Of the calls that came with their ids: answers them where the node stops. */
  private readonly open = new Set<Done>()

  constructor(options: StrangersOptions) {
    this.options = options
    this.here = [options.self]
    for (const { methods } of options.protocols) {
      for (const method of methods) this.methods.set(method.fullName, method)
    }
  }

  /** Calls `done` once, unless the returned function ran first. */
  call(call: UnaryCall, done: Done): () => void {
    const method = this.methods.get(call.method)
    if (method === undefined) {
      done(refusal("unknown_method", `${call.method} is not a method of this node`))
      return noInterest
    }
    if (method.call === "phase") {
      const detail = `${call.method} is a phase: only members say it, over their links`
      done(refusal("unknown_method", detail))
      return noInterest
    }
    if (this.closed) {
      done(refusal("not_ready", "the node stops"))
      return noInterest
    }
    const problem = unlinkedProblem(this.options.group, call.ids === undefined)
    if (problem !== undefined) {
      done(refusal("unauthenticated", problem))
      return noInterest
    }
    if (call.ids !== undefined && call.ids !== "oneWay" && this.options.group.epoch > 1) {
      done(refusal("wrong_group", LATER_EPOCH))
      return noInterest
    }
    if (call.ids === "oneWay") {
      this.options.node.oneWay({
        kind: "oneWay",
        method: methodId(method.fullName),
        body: call.body
      })
      done({ body: NO_BYTES })
      return noInterest
    }
    if (call.ids !== undefined) return this.known(call, call.ids, method, done)
    return this.stranger(call, method, done)
  }

  /** What a client on the unary transport asks first. */
  greet(theirs: Hello): Hello | Goodbye {
    if (this.closed) return { code: "not_ready", detail: "the node stops" }
    const ours = this.options.node.hello()
    const problem = unlinkedProblem(this.options.group, false)
    if (problem !== undefined) return { code: "unauthenticated", detail: problem }
    if (this.options.group.epoch > 1) return { code: "wrong_group", detail: LATER_EPOCH }
    return checkHello(ours, theirs) ?? ours
  }

  close(): void {
    this.closed = true
    for (const done of [...this.open]) done(refusal("not_ready", "the node stops"))
    this.client?.close()
    this.client = undefined
  }

  private known(call: UnaryCall, ids: UnaryIds, method: MethodSpec, done: Done): () => void {
    const { node } = this.options
    const id = methodId(method.fullName)
    const { session, index, ackedBelow, proof } = ids
    const { body, deadlineMs } = call
    const end = (reply: UnaryReply): void => {
      if (!this.open.delete(end)) return
      node.closeRoute(route)
      done(reply)
    }
    const route = node.openRoute({
      // One call has one answer here: the final one.
      send: (reply) => reply.tentative || reply.code === "epoch_closing" || end(reply)
    })
    this.open.add(end)
    node.fromRoute(route, {
      kind: "request",
      session,
      index,
      ackedBelow,
      method: id,
      deadlineMs,
      body,
      ...(proof && { proof }),
      ...(call.trace && { trace: call.trace })
    })
    return () => {
      if (!this.open.delete(end)) return
      node.fromRoute(route, { kind: "cancel", session, index })
      node.closeRoute(route)
    }
  }

  private stranger(call: UnaryCall, method: MethodSpec, done: Done): () => void {
    const { group, carrier, limits, observers } = this.options
    this.client ??= new GroupClient({ group, carrier, limits, observers, follows: false })
    const { tracer, sampleRate } = observers
    const span = traceIncoming(tracer, sampleRate, method.fullName, call.trace)
    const everywhere = method.call === "multiparty" || method.call === "multicast"
    return this.client.start<Uint8Array, Uint8Array>({
      name: method.fullName,
      method: methodId(method.fullName),
      call: method.call,
      signed: method.signed === true,
      body: () => call.body,
      trace: span?.context,
      targets: everywhere ? group.system.members : this.here,
      decode: (body) => body,
      policy: everywhere ? agreed : anybody,
      deadlineMs: Math.min(call.deadlineMs || limits.callTimeoutMs, limits.callTimeoutMsMax),
      done: (result) => {
        span?.end(result.ok ? Exit.void : Exit.fail(result.code))
        done(replyOf(result))
      }
    })
  }
}

const LATER_EPOCH = "the group's members have changed since its first epoch: call over links"

const agreed: Policy<Uint8Array, Uint8Array> = matching((body) => body)
const anybody: Policy<Uint8Array, Uint8Array> = first()

const replyOf = (result: CallResult<Uint8Array>): UnaryReply => {
  if (result.ok) return { body: result.answer ?? NO_BYTES }
  const { code, detail, outcomes, got, needed } = result
  const nodes = outcomes.map((it) => `node ${it.node} ${it.detail ?? it.code ?? it.outcome}`)
  return refusal(code, detail ?? `${got} of ${needed} replies; ${nodes.join("; ")}`)
}

const refusal = (code: NonNullable<UnaryReply["code"]>, detail: string): UnaryReply => ({
  body: NO_BYTES,
  code,
  detail
})
