/**
 * Who looks on while a host works, and changes nothing of what it does. Absent where nobody does:
 * the host then pays one comparison a step.
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Input, Route } from "../server/Input.ts"
import type { PeerMessage, Reply } from "../server/Message.ts"
import type { Output } from "../server/Output.ts"
import type { NodeTap } from "./tapped.ts"

export class HostWatch {
  private readonly tap: NodeTap | undefined

  constructor(parts: { readonly tap?: NodeTap | undefined }) {
    this.tap = parts.tap
  }

  before(input: Input): void {
    this.tap?.before(input)
  }

  after(outputs: ReadonlyArray<Output>, counters: { readonly [reason: string]: number }): void {
    this.tap?.after(outputs, counters)
  }

  /** @returns what goes to the link in its place */
  sent(to: NodeId, message: PeerMessage): PeerMessage {
    this.tap?.sent(to, message)
    return message
  }

  replied(route: Route, reply: Reply): void {
    this.tap?.replied(route, reply)
  }
}
