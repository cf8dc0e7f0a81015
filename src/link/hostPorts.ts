/** What the host of one node needs of the world. */
import type { NodeId } from "../base/NodeId.ts"
import type { EpochStanding } from "../server/epoch.ts"
import type { Route } from "../server/Input.ts"
import type { PeerMessage, Reply } from "../server/Message.ts"
import type { Report, ReportAbout } from "../server/Output.ts"
import type { FetchAsk } from "./fetchCore.ts"
import type { Penalty } from "./penalties.ts"
import type { Clock } from "./ports.ts"

export interface HostPorts {
  readonly clock: Clock
  /** Time as it passes, whatever is done to the wall clock; absent: `clock`. */
  readonly steady?: Clock
  /** Hands a message to the link to `peer`; called only while the peer is up. */
  readonly sendToPeer: (peer: NodeId, message: PeerMessage) => void
  /** Hands a reply to a client's link; dropped where the link is gone. */
  readonly sendToClient: (route: Route, reply: Reply) => void
  /** Run an entry handler's Effect; its end comes back as `ran(token, …)`. */
  readonly run: (token: number, effect: unknown) => void
  readonly interrupt: (token: number) => void
  /** Where the epoch stands at a member: `of` this node, durably, or as the member says. */
  readonly epoch?: (of: NodeId, standing: EpochStanding) => void
  /** Asks a peer for a range; `fetches.answered` takes the answer. Absent: nothing is fetched. */
  readonly ask?: (ask: FetchAsk) => void
  readonly report: (what: Report, detail: string, about?: ReportAbout) => void
  /** Absent: nobody is slowed down or cut off. */
  readonly penalise?: (penalty: Penalty) => void
  /** The node is silent from now on. */
  readonly halt: (reason: string) => void
  /** Call `drain` once, soon. */
  readonly wake: () => void
  /** Call `timeUp` at this time, by `clock`; replaces what was asked before. */
  readonly wakeAt: (atMs: number) => void
}
