import { Context } from "effect"
import type { Sha256 } from "../base/blob.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Disk, Signer, Verifier } from "../link/ports.ts"
import type { ReplicaFailed } from "./Errors.ts"
import type { Operator } from "./Operator.ts"
import type { Penalties } from "./Penalties.ts"

/** Which member of the group this process is, and where it keeps what it said. */
export class Member extends Context.Service<
  Member,
  {
    readonly id: NodeId
    /** Absent: this node keeps nothing; a durable group refuses it. */
    readonly disk: Disk | undefined
    /** The operator vouches that this member never spoke: a missing or empty store is made. */
    readonly init: boolean
    /** `host:port` to listen at; absent: where the group file has the node. */
    readonly listen?: string
    /** Its private key, where methods are signed, and who verifies those of others. */
    readonly signer?: Signer
    readonly verifier?: Verifier
    /** What the node does about spam, faults and proven lies; absent: what suits the group. */
    readonly penalties?: Penalties
    /** Absent: the one that needs no platform, twenty times as slow. */
    readonly sha256?: Sha256
    /** Told once the node listens: who operates it changes the group's members by this. */
    readonly operator?: (operator: Operator) => void
    /** How long an epoch that has a next one still takes calls; absent: a minute. */
    readonly epochLingerMs?: number
    /** Told when the node went silent for good: its disk failed, or its application threw. */
    readonly halted?: (failure: ReplicaFailed) => void
  }
>()("quorate/Member") {}
