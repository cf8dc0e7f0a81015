/** The client of a service: an object of call functions over a call table. */
import type { DescService } from "@bufbuild/protobuf"
import { Effect, Stream } from "effect"
import { LIMITS } from "../../base/limits.ts"
import type { NodeId } from "../../base/NodeId.ts"
import type { CallPort } from "../../link/callTypes.ts"
import { CallFailed } from "../../quorum/client/Errors.ts"
import { type QuorumCallSpec, quorumCall } from "../../quorum/client/QuorumCall.ts"
import { replies } from "../../quorum/client/Replies.ts"
import { first, matching, type Policy, quorum } from "../../quorum/Policy.ts"
import type { Codec } from "../../server/Protocol.ts"
import type { CallOptions } from "../Call.ts"
import { codecOf } from "./codec.ts"
import { type MethodInfo, methodsOf } from "./methods.ts"
import { traceCall } from "./spans.ts"

export const makeClient = (service: DescService, port: CallPort): object => {
  const targets = new Targets(port)
  const client: { [method: string]: unknown } = {}
  for (const info of methodsOf(service)) {
    if (info.call !== "phase") client[info.name] = new Caller(info, port, targets).call()
  }
  return client
}

/** Thrown inside this file only: the caller's mistake, told as the call's failure. */
class Invalid extends Error {}

/** A reply and the bytes it came in. */
interface Received {
  readonly message: object
  readonly body: Uint8Array
}
const agreed = matching<Received>((reply) => reply.body)
/** The reply that `oneHonest` nodes agree on, byte for byte. */
const byBytes: Policy<Received, object> = {
  start: (system, targets) => {
    const count = agreed.start(system, targets)
    return {
      ...count,
      on: (from, reply) => {
        const done = count.on(from, reply)
        return done && { answer: done.answer.message }
      }
    }
  }
}

type AnyPolicy = Policy<any, any>
const FIRST: AnyPolicy = first()
const QUORUM: AnyPolicy = quorum()

/** What a run of a call needs beside its method. */
interface Ask {
  /** The request's bytes per node, made before the call starts: later changes do not travel. */
  readonly body: (targets: ReadonlyArray<NodeId>) => QuorumCallSpec<unknown, unknown>["body"]
  readonly options: CallOptions | undefined
}
type Spec = Omit<QuorumCallSpec<unknown, unknown>, "decode" | "policy">
type Requests = (node: NodeId) => object | undefined

class Caller {
  private readonly info: MethodInfo
  private readonly port: CallPort
  private readonly targets: Targets
  private readonly input: Codec
  private readonly decode: Codec["decode"]

  constructor(info: MethodInfo, port: CallPort, targets: Targets) {
    this.info = info
    this.port = port
    this.targets = targets
    this.input = codecOf(info.desc.input)
    this.decode = codecOf(info.desc.output).decode
  }

  call(): unknown {
    switch (this.info.call) {
      case "rpc":
        return (node: NodeId, request: object, options?: CallOptions) =>
          this.run(this.same(request, { ...options, to: this.targets.one(node) }), FIRST)
      case "unicast":
        return (node: NodeId, message: object) =>
          this.run(this.same(message, { to: this.targets.one(node) }), FIRST)
      case "multicast":
        return (message: object, options?: CallOptions) =>
          this.run(this.same(message, options), FIRST)
      case "quorum":
        return Object.assign(this.toMany(QUORUM), {
          each: (requests: Requests, policy: AnyPolicy = QUORUM, options?: CallOptions) =>
            this.run({ body: (targets) => this.bodies(requests, targets), options }, policy),
          replies: this.replies()
        })
      default:
        return Object.assign(this.toMany(undefined), { replies: this.replies() })
    }
  }

  private toMany(otherwise: AnyPolicy | undefined) {
    return (request: object, policy = otherwise, options?: CallOptions) =>
      this.run(this.same(request, options), policy)
  }

  private same(request: object, options: CallOptions | undefined): Ask {
    return {
      body: () => {
        const body = this.bytes(request)
        return () => body
      },
      options
    }
  }

  /** A call per run of the Effect. Without a policy: {@link byBytes}. */
  private run(ask: Ask, policy: AnyPolicy | undefined): Effect.Effect<unknown, CallFailed> {
    return Effect.withFiber((fiber) => {
      const spec = this.spec(ask)
      if (spec instanceof CallFailed) return Effect.fail(spec)
      const { fullName, call: kind } = this.info
      const oneWay = kind === "unicast" || kind === "multicast"
      const span = oneWay ? undefined : traceCall(fiber, fullName)
      if (span === undefined) return this.made(spec, policy)
      const made = this.made({ ...spec, trace: span.context }, policy)
      return Effect.onExit(made, (exit) => Effect.sync(() => span.end(exit)))
    })
  }

  private made(spec: Spec, policy: AnyPolicy | undefined): Effect.Effect<unknown, CallFailed> {
    return policy === undefined
      ? quorumCall(this.port, { ...spec, decode: this.received, policy: byBytes })
      : quorumCall(this.port, { ...spec, decode: this.decode, policy })
  }

  private replies() {
    return (request: object, options?: CallOptions) =>
      Stream.unwrap(
        Effect.withFiberSucceed((fiber) => {
          const spec = this.spec(this.same(request, options))
          if (spec instanceof CallFailed) return Stream.fail(spec)
          const span = traceCall(fiber, this.info.fullName)
          const { decode } = this
          if (span === undefined) return replies(this.port, { ...spec, decode })
          const all = replies(this.port, { ...spec, decode, trace: span.context })
          return Stream.onExit(all, (exit) => Effect.sync(() => span.end(exit)))
        })
      )
  }

  private readonly received = (body: Uint8Array): Received => ({
    message: this.decode(body),
    body
  })

  private spec({ body, options }: Ask): Spec | CallFailed {
    const { fullName: name, id: method, call, signed } = this.info
    try {
      const targets = this.targets.of(options?.to)
      const deadlineMs = options?.timeoutMs ?? LIMITS.callTimeoutMs
      const made = { name, method, call, signed, body: body(targets), targets, deadlineMs }
      // Always there: calls of two shapes would slow all of them down.
      return { ...made, trace: undefined }
    } catch (error) {
      if (!(error instanceof Invalid)) throw error
      const { message: detail } = error
      return new CallFailed({
        code: "invalid",
        method: name,
        needed: 1,
        got: 0,
        outcomes: [],
        detail
      })
    }
  }

  private bodies(
    requests: Requests,
    targets: ReadonlyArray<NodeId>
  ): QuorumCallSpec<any, any>["body"] {
    const bodies = new Map<NodeId, Uint8Array>()
    for (const node of targets) {
      const request = requests(node)
      if (request !== undefined) bodies.set(node, this.bytes(request))
    }
    return (node) => bodies.get(node)
  }

  private bytes(request: object): Uint8Array {
    try {
      return this.input.encode(request)
    } catch (cause) {
      throw new Invalid(cause instanceof Error ? cause.message : String(cause))
    }
  }
}

/** Checked targets; one array per configuration: the call table keeps what it knows by array. */
class Targets {
  private readonly port: CallPort
  /** For which the rest was checked: of the group's newest epoch. */
  private system: CallPort["system"]
  private singles = new Map<NodeId, ReadonlyArray<NodeId>>()
  private checked = new WeakMap<object, ReadonlyArray<NodeId>>()

  constructor(port: CallPort) {
    this.port = port
    this.system = port.system
  }

  one(node: NodeId): ReadonlyArray<NodeId> {
    const system = this.current()
    const known = this.singles.get(node)
    if (known !== undefined) return known
    const single = [node]
    if (system.rank(node) >= 0) this.singles.set(node, single)
    return single
  }

  /** @throws Invalid */
  of(to: CallOptions["to"]): ReadonlyArray<NodeId> {
    const system = this.current()
    if (to === undefined) return system.members
    const known = this.checked.get(to)
    if (known !== undefined) return known
    const nodes = [...new Set("nodes" in to ? to.nodes : to)].sort((a, b) => a - b)
    const stranger = nodes.find((node) => system.rank(node) < 0)
    if (stranger !== undefined) {
      const members = system.members.join(", ")
      throw new Invalid(`node ${stranger} is no member; members: ${members}`)
    }
    if (nodes.length === 0) throw new Invalid("the call goes to no node")
    this.checked.set(to, nodes)
    return nodes
  }

  private current(): CallPort["system"] {
    const { system } = this.port
    if (system === this.system) return system
    this.system = system
    this.singles = new Map()
    this.checked = new WeakMap()
    return system
  }
}
