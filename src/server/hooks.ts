/**
 * What the engine tells a protocol that no message says: hooks of its world, and its timers. To the
 * engine each is a method that nobody can call.
 */
import type { Agreement } from "./agreement.ts"
import type { Core } from "./core.ts"
import type { Method, Protocol } from "./handlers.ts"
import type { LaneKey } from "./laneKey.ts"
import type { Codec, HandlerFunction, MethodSpec, ProtocolSpec, WorldHooks } from "./Protocol.ts"

export type HookName = keyof WorldHooks
export const HOOKS: ReadonlyArray<HookName> = ["booted", "behind", "installed", "turnEnd", "epoch"]

export class Hooks {
  private readonly core: Core
  private readonly agreement: Agreement

  constructor(core: Core, agreement: Agreement) {
    this.core = core
    this.agreement = agreement
  }

  all(name: "booted" | "epoch"): void {
    for (const protocol of this.core.handlers.protocols.values()) this.run(protocol, name, {})
  }

  /** Tells the protocol that the lane belongs to. */
  ofLane(name: "behind" | "installed", lane: LaneKey, event: object): void {
    for (const protocol of this.core.handlers.protocols.values()) {
      if (lane in protocol.lanes) this.run(protocol, name, { lane, ...event })
    }
  }

  /** Ends a turn: timers that are due, then those that form batches of what the turn brought. */
  turn(): void {
    const { core } = this
    core.timers.fire(core.atMs, (timer) => this.call(timer, {}))
    const ran = [...core.ran]
    core.ran.clear()
    for (const protocol of ran) this.run(protocol, "turnEnd", {})
  }

  private run(protocol: Protocol, name: HookName, event: object): void {
    const hook = protocol.hooks.get(name)
    if (hook !== undefined) this.call(hook, event)
  }

  private call(method: Method, event: object): void {
    if (this.core.halted) return
    const owner = { method, instance: undefined, call: undefined }
    this.agreement.invoke(owner, new method.contexts.Hook(event))
  }
}

const none = (): never => {
  throw new Error("says something without a method")
}
const NO_MESSAGE: Codec = { decode: none, encode: none }

/** A hook as a method: it may forward to every phase. */
export const hookMethod = (
  spec: ProtocolSpec,
  name: string,
  handler: HandlerFunction
): MethodSpec => ({
  name,
  fullName: `${spec.name} ${name}`,
  call: "hook",
  input: NO_MESSAGE,
  output: NO_MESSAGE,
  forwards: spec.methods.filter((method) => method.call === "phase").map((method) => method.name),
  replies: [],
  handler
})
