/** A call table whose nodes are functions: for tests of what calls a service. */
import type { DescService } from "@bufbuild/protobuf"
import type { ErrorCode } from "../../base/errorCode.ts"
import type { NodeId } from "../../base/NodeId.ts"
import { NodeSet } from "../../base/nodeSet.ts"
import type { CallPort, CallSpec, NodeOutcome } from "../../link/callTypes.ts"
import { makeSystem } from "../../quorum/QuorumSystem.ts"
import type { MockOptions } from "../Call.ts"
import { Failed } from "../Failed.ts"
import { codecOf } from "./codec.ts"
import { type MethodInfo, methodsOf } from "./methods.ts"

interface AnyMock {
  readonly [method: string]: (request: object, node: NodeId) => object | undefined
}

export const mockPort = (
  service: DescService,
  nodes: AnyMock,
  options: MockOptions = {}
): CallPort => {
  const members = Array.from({ length: options.nodes ?? 4 }, (_, i) => i + 1)
  const system = makeSystem(members, options.faults ?? "byzantine")
  const methods = new Map(methodsOf(service).map((info) => [info.id, info]))
  const port: CallPort = {
    system,
    start: (spec) => {
      new MockCall(port, spec, methods.get(spec.method)!, nodes).run()
      return () => {}
    }
  }
  return port
}

/** Asks the nodes in the order of the targets, until the policy has an answer. */
class MockCall<R, A> {
  private readonly port: CallPort
  private readonly spec: CallSpec<R, A>
  private readonly info: MethodInfo
  private readonly nodes: AnyMock
  private readonly outcomes = new Map<NodeId, NodeOutcome>()

  constructor(port: CallPort, spec: CallSpec<R, A>, info: MethodInfo, nodes: AnyMock) {
    this.port = port
    this.spec = spec
    this.info = info
    this.nodes = nodes
  }

  run(): void {
    const { system } = this.port
    const { spec, info } = this
    const targets = new NodeSet(system.size)
    const bodies = spec.targets.flatMap((node) => {
      const body = spec.body(node)
      return body === undefined ? [] : [{ node, body }]
    })
    for (const { node } of bodies) targets.add(system.rank(node))
    const count = spec.policy.start(system, targets)
    for (const { node, body } of bodies) {
      const reply = this.ask(node, body)
      if (reply === undefined) continue
      const decoded = spec.decode(codecOf(info.desc.output).encode(reply))
      spec.each?.(node, decoded)
      const done = count.on(node, decoded)
      if (done !== undefined) return spec.done({ ok: true, answer: done.answer })
    }
    if (info.call === "unicast" || info.call === "multicast") {
      return spec.done({ ok: true, answer: undefined as A })
    }
    const outcomes = bodies.map(({ node }) => this.outcomes.get(node)!)
    spec.done({
      ok: false,
      code: codeOf(outcomes),
      needed: count.needed,
      got: count.got(),
      outcomes
    })
  }

  private ask(node: NodeId, body: Uint8Array): object | undefined {
    const handler = this.nodes[this.info.name]
    if (handler === undefined) return this.failed(node, "unknown_method", "the mock leaves it out")
    const reply = handler(codecOf(this.info.desc.input).decode(body), node)
    if (reply instanceof Failed) return this.failed(node, reply.code, reply.detail)
    const outcome = reply === undefined ? "pending" : "replied"
    this.outcomes.set(node, { node, outcome })
    return reply
  }

  private failed(node: NodeId, code: ErrorCode, detail: string): undefined {
    this.outcomes.set(node, { node, outcome: "failed", code, detail })
  }
}

const codeOf = (outcomes: ReadonlyArray<NodeOutcome>): ErrorCode => {
  if (outcomes.some(({ outcome }) => outcome === "pending")) return "deadline_exceeded"
  const codes = new Set(outcomes.flatMap(({ code }) => (code === undefined ? [] : [code])))
  const [only] = codes
  return codes.size === 1 && only !== undefined ? only : "unavailable"
}
