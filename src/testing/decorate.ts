import type { NodeId } from "../base/NodeId.ts"
import type { HostEngine, HostPorts } from "../link/hostCore.ts"
import type { LogCore } from "../link/logCore.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Engine } from "../server/engine.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"

/** Puts something between the parts of a node: how a test plants a bug. */
export interface Decorate {
  /** Asked at each boot; `correct`: the node neither lies nor has lost its disk. */
  readonly spec?: (spec: ProtocolSpec, node: NodeId, correct: boolean) => ProtocolSpec
  readonly system?: (system: System, node: NodeId) => System
  readonly log?: (log: LogCore, node: NodeId) => LogCore
  readonly ports?: (ports: HostPorts, node: NodeId) => HostPorts
  readonly engine?: (engine: Engine, node: NodeId) => HostEngine
}
