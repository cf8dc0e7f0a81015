/** Nodes and clients of a run that write into its tap, in virtual time. */
import type { NodeId } from "../base/NodeId.ts"
import type { HostOptions } from "../link/hostCore.ts"
import { HostWatch } from "../link/hostWatch.ts"
import { ClientTap, NodeTap } from "../link/tapped.ts"
import { tapped } from "../runtime/internal/tappedHandlers.ts"
import type { ProtocolSpec } from "../server/Protocol.ts"
import type { World } from "./world.ts"

/** The options of a node's host that concern its protocol and who looks on. */
export const tappedHost = (
  { tap, time }: World,
  node: NodeId,
  spec: ProtocolSpec
): Pick<HostOptions, "protocols" | "watch"> => {
  if (tap === undefined) return { protocols: [spec] }
  const nowMs = (): number => time.nowMs
  const nodeTap = new NodeTap({ tap, at: node, nowMs, protocols: [spec] })
  return { protocols: [tapped(spec, nodeTap)], watch: new HostWatch({ tap: nodeTap }) }
}

/** @param endpoint as clients are numbered in a run */
export const tappedClient = ({ tap, time }: World, endpoint: number): ClientTap | undefined =>
  tap && new ClientTap({ tap, at: `client ${endpoint}`, nowMs: () => time.nowMs })
