import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import type { FetchAnswer } from "../link/fetchStore.ts"
import type { HostEngine, HostPorts } from "../link/hostCore.ts"
import type { LogCore } from "../link/logCore.ts"
import type { PenaltyPolicy } from "../link/penalties.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import type { Engine } from "../server/engine.ts"
import type { IsEffect, ProtocolSpec } from "../server/Protocol.ts"
import type { Adversary } from "./byzantine.ts"
import type { Checkers } from "./Checkers.ts"
import type { RunEffect } from "./runEffect.ts"
import type { SimDisk } from "./simDisk.ts"
import type { HostNetwork } from "./simNetwork.ts"
import type { SimProofs } from "./simProofs.ts"
import type { World } from "./world.ts"

/** Puts something between the parts of a node: how a test plants a bug. */
export interface Decorate {
  /** Asked at each boot; `correct`: the node neither lies nor has lost its disk. */
  readonly spec?: (spec: ProtocolSpec, node: NodeId, correct: boolean) => ProtocolSpec
  readonly system?: (system: System, node: NodeId) => System
  readonly log?: (log: LogCore, node: NodeId) => LogCore
  readonly ports?: (ports: HostPorts, node: NodeId) => HostPorts
  readonly engine?: (engine: Engine, node: NodeId) => HostEngine
  /** What the node gives to one that fetches from it; `undefined`: nothing, ever. */
  readonly fetch?: (answer: FetchAnswer, node: NodeId) => FetchAnswer | undefined
}

export interface SimHostOptions {
  readonly world: World
  /** That of the world, or the part of it that one of two copies of a node sees. */
  readonly network: HostNetwork
  readonly node: NodeId
  readonly system: System
  readonly spec: ProtocolSpec
  readonly limits: Limits
  readonly random: Prng
  /** Absent in a group without durability. */
  readonly disk: SimDisk | undefined
  readonly checkers: Checkers
  /** Byzantine nodes have one, but for those whose lie is to run twice. */
  readonly adversary: Adversary | undefined
  readonly isEffect: IsEffect
  readonly runEffect: RunEffect
  readonly decorate: Decorate
  /** What the node's clock is ahead of virtual time, in each of its lives. */
  readonly skewMs: () => number
  /** Asked after each step of the engine and each operation of the disk; true: dies there. */
  readonly kills?: (node: NodeId, what: "step" | "disk", count: number) => boolean
  /** Other epochs of the group come before. */
  readonly announced?: boolean
  /** Handlers that throw are part of the run. */
  readonly mayPoison: boolean
  /** Where methods are signed. */
  readonly signs?: SimProofs | undefined
  /** Absent: what suits the fault model. */
  readonly policy?: PenaltyPolicy | undefined
}
