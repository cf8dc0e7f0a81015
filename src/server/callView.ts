import type { CallId } from "./Directive.ts"
import { type LaneKey, laneBytes, laneText } from "./laneKey.ts"

/** Local name of the method that was called; empty where several may have been. */
export const calledAs = (
  at: {
    readonly call: { readonly method: { readonly spec: { readonly name: string } } } | undefined
  },
  replies: ReadonlyArray<string>
): string => at.call?.method.spec.name ?? (replies.length === 1 ? replies[0]! : "")

/** A call's name as handlers see it: also fit to be put into a message (`quorate.v1.CallId`). */
export class CallView implements CallId {
  readonly index: number
  readonly method: string
  private readonly lane: LaneKey

  constructor(session: LaneKey, index: number, method: string) {
    this.lane = session
    this.index = index
    this.method = method
  }
  get session(): Uint8Array {
    return laneBytes(this.lane)
  }
  /** The call's name as a string, the same on every node. */
  get key(): string {
    return `${laneText(this.lane)}/${this.index}`
  }
}
