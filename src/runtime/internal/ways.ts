/** How the members of a group reach each other: by streams, or by unary calls. */
import type { NodeId } from "../../base/NodeId.ts"
import type { Goodbye } from "../../link/goodbye.ts"
import type { Hello } from "../../link/groupHello.ts"
import type { Target } from "../../link/hostLinks.ts"
import type { Connection, ConnectionEvents } from "../../link/ports.ts"
import type { UnaryEnds } from "../../link/unaryCall.ts"
import { type MethodId, methodId } from "../../server/Message.ts"
import type { ProtocolSpec } from "../../server/Protocol.ts"
import type { Carrier, UnaryPeer } from "../Carrier.ts"
import type { Group } from "../Group.ts"
import { lineTo } from "./identity.ts"

export interface WaysOptions {
  readonly group: Group["Service"]
  readonly self: NodeId
  readonly carrier: Carrier["Service"]
  readonly protocols: ReadonlyArray<ProtocolSpec>
}

export class Ways {
  private readonly options: WaysOptions
  private readonly names = new Map<MethodId, string>()

  constructor(options: WaysOptions) {
    this.options = options
    for (const { methods } of options.protocols) {
      for (const { fullName } of methods) this.names.set(methodId(fullName), fullName)
    }
  }

  /** A link by calls belongs to one group: its calls name the nodes that speak. */
  to(node: NodeId, address: string): Pick<Target, "name" | "address" | "unary"> {
    const { group, self } = this.options
    if (group.transport === "link") return { name: lineTo(group, node), address }
    const unary = { group: group.name, from: self, to: node }
    return { name: `${address} unary ${group.name}`, address, unary }
  }

  readonly dial = (address: string, events: ConnectionEvents, ends?: UnaryEnds): Connection => {
    const { carrier } = this.options
    if (ends === undefined) return carrier.dial(address, events)
    return carrier.dialUnary!({ ...ends, address, methodName: this.methodName }, events)
  }

  /** Where the member listens that dials by calls, or why it is refused. */
  peer(ends: UnaryEnds): UnaryPeer | Goodbye {
    const { group, self } = this.options
    if (ends.group !== group.name || ends.from !== self) {
      const what = `this is node ${self} of group "${group.name}"`
      return wrong(`${what}, not node ${ends.from} of "${ends.group}": check the group files`)
    }
    if (group.transport !== "unary") return this.otherTransport(ends.to, "unary")
    const address = ends.to === self ? undefined : group.addresses.get(ends.to)
    if (address !== undefined) return { ...ends, address, methodName: this.methodName }
    return wrong(`node ${ends.to} is no other member of group "${group.name}": check its id`)
  }

  /** Whether a channel came as the group file says, from the node that its link's calls name. */
  check(theirs: Hello, unary: UnaryEnds | undefined): Goodbye | undefined {
    const { group } = this.options
    if (theirs.node === 0 && unary === undefined) return undefined
    const transport = unary === undefined ? "link" : "unary"
    if (transport !== group.transport) return this.otherTransport(theirs.node, transport)
    if (unary === undefined || unary.to === theirs.node) return undefined
    return wrong(`node ${theirs.node} speaks on the link of node ${unary.to}: dial for each node`)
  }

  private otherTransport(node: NodeId, transport: string): Goodbye {
    const what = `node ${node} uses transport "${transport}", not "${this.options.group.transport}"`
    return wrong(`${what}: write the same "transport" in every group file`)
  }

  private readonly methodName = (method: MethodId): string | undefined => this.names.get(method)
}

const wrong = (detail: string): Goodbye => ({ code: "wrong_group", detail })
