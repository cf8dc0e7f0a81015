/**
 * Who looks on while a host works, and changes nothing of what it does. Absent where nobody does:
 * the host then pays one comparison a step.
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Input, Route } from "../server/Input.ts"
import type { PeerMessage, Reply } from "../server/Message.ts"
import type { Output } from "../server/Output.ts"
import type { NodeMeter } from "./nodeMeter.ts"
import type { NodeTraces } from "./nodeTraces.ts"
import type { NodeTap } from "./tapped.ts"

export class HostWatch {
  private readonly tap: NodeTap | undefined
  private readonly meter: NodeMeter | undefined
  private readonly traces: NodeTraces | undefined

  constructor(parts: {
    readonly tap?: NodeTap | undefined
    readonly meter?: NodeMeter | undefined
    readonly traces?: NodeTraces | undefined
  }) {
    this.tap = parts.tap
    this.meter = parts.meter
    this.traces = parts.traces
  }

  before(input: Input): void {
    this.meter?.before(input)
    this.traces?.before(input)
    this.tap?.before(input)
  }

  after(outputs: ReadonlyArray<Output>, counters: { readonly [reason: string]: number }): void {
    this.meter?.after(outputs)
    this.traces?.after(outputs)
    this.tap?.after(outputs, counters)
  }

  /** @returns what goes to the link in its place */
  sent(to: NodeId, message: PeerMessage): PeerMessage {
    this.meter?.sent(message)
    this.tap?.sent(to, message)
    return this.traces === undefined ? message : this.traces.sent(message)
  }

  /** A reply of the engine leaves. */
  replied(route: Route, reply: Reply): void {
    this.meter?.replied(reply)
    this.traces?.replied(reply)
    this.tap?.replied(route, reply)
  }

  /** The host itself refuses a call that never came to the engine. */
  refused(route: Route, reply: Reply): void {
    this.meter?.counted(reply)
    this.tap?.replied(route, reply)
  }

  /** @returns what is run in its place */
  effect({ token, effect }: { readonly token: number; readonly effect: unknown }): unknown {
    return this.traces === undefined ? effect : this.traces.effect(token, effect)
  }
}
