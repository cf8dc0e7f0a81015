import { Data } from "effect"
import type { FailCode } from "../base/errorCode.ts"

/**
 * The one error an entry handler's Effect may fail with. It is the call's final answer at this node
 * and travels: the client finds `code` and `detail` in `CallFailed.outcomes`.
 */
export class Failed extends Data.TaggedError("Failed")<{
  readonly code: FailCode
  readonly detail: string
}> {
  override get message(): string {
    return `[${this.code}] ${this.detail}`
  }
}
