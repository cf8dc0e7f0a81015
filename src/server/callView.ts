import type { CallId } from "./Directive.ts"
import { type LaneKey, laneBytes, laneText } from "./laneKey.ts"

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
