/** Hands what a node's protocols deliver to the node's own application. */
import type { NodeId } from "../base/NodeId.ts"
import { CallView } from "../server/callView.ts"
import { isSession, laneText } from "../server/laneKey.ts"
import type { Delivered } from "../server/LogRecord.ts"
import { type MethodId, methodId } from "../server/Message.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"

export class Deliveries {
  private readonly self: NodeId
  private readonly specs: ReadonlyMap<MethodId, ProtocolSpec>

  constructor(self: NodeId, protocols: ReadonlyArray<ProtocolSpec>) {
    this.self = self
    this.specs = new Map(protocols.map((spec) => [methodId(spec.name), spec]))
  }

  /** @returns why the node must stop: its log is unreadable, or its application threw */
  handIn({ protocol, lane, index, call, body }: Delivered): string | undefined {
    const spec = this.specs.get(protocol)
    const deliver = spec?.world?.deliver
    if (spec === undefined || deliver === undefined) return undefined
    const view = isSession(lane) ? new CallView(lane, index, call) : undefined
    try {
      const message = deliver.message.decode(body)
      deliver.to(message, { self: this.self, lane: laneText(lane), index, call: view })
      return undefined
    } catch (thrown) {
      return `deliver of ${spec.name} threw: ${String(thrown)}`
    }
  }
}
