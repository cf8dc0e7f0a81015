/** Why a call gave no answer. */
import { Data } from "effect"
import type { ErrorCode } from "../../base/errorCode.ts"
import type { NodeOutcome } from "../../link/callTypes.ts"

/** In {@link CallFailed.message}; `outcomes` has all. */
const NODES_SHOWN_MAX = 16
const DETAIL_SHOWN_MAX = 200

/**
 * A call without an answer. `code` is the nodes' own where all that failed say the same, else
 * `unavailable` (no answer is possible any more), `deadline_exceeded`, `overloaded` (too many calls
 * are open), `outcome_unknown` (the nodes forgot the session: the call may have taken effect),
 * `cancelled` (the client closed), `invalid` or `internal`.
 */
export class CallFailed extends Data.TaggedError("CallFailed")<{
  readonly code: ErrorCode
  /** "package.Service/Method" */
  readonly method: string
  /** Replies an answer takes at least. */
  readonly needed: number
  readonly got: number
  /** One per node the call went to, pending ones too. */
  readonly outcomes: ReadonlyArray<NodeOutcome>
  readonly detail?: string
}> {
  override get message(): string {
    const detail = this.detail === undefined ? "" : ` (${line(this.detail)})`
    const nodes = this.outcomes.slice(0, NODES_SHOWN_MAX).map(show)
    const more = this.outcomes.length - nodes.length
    if (more > 0) nodes.push(`and ${more} more`)
    const list = nodes.length === 0 ? "no node was called" : nodes.join("; ")
    return `[${this.code}] ${this.method}: ${this.got} of ${this.needed}${detail}; ${list}`
  }
}

const show = ({ node, outcome, code, detail }: NodeOutcome): string => {
  const why = [code, detail === undefined ? undefined : line(detail)].filter((w) => w !== undefined)
  return `node ${node} ${outcome}${why.length === 0 ? "" : ` (${why.join(": ")})`}`
}

/** A peer's text in one line of bounded length. */
const line = (text: string): string => {
  const cut = text.length > DETAIL_SHOWN_MAX ? `${text.slice(0, DETAIL_SHOWN_MAX)}…` : text
  return cut.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]+/g, " ")
}
