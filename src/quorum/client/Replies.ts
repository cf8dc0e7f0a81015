/** The replies of a call one by one, as a Stream. */
import { Cause, Effect, Queue, Stream } from "effect"
import type { CallPort } from "../../link/callTypes.ts"
import type { Policy } from "../Policy.ts"
import type { Vote } from "../Vote.ts"
import { callFailed, type QuorumCallSpec } from "./QuorumCall.ts"
import type { CallFailed } from "./Errors.ts"

export type RepliesSpec<R> = Omit<QuorumCallSpec<R, never>, "policy" | "each">

/**
 * Calls `spec.targets` and emits each node's reply as it comes, at most one per node. Ends when all
 * nodes have replied or failed for good. Fails with {@link CallFailed} where the call itself cannot
 * go on (its deadline, above all). Ending or interrupting the stream early cancels the call.
 * Memory: what is not yet consumed, at most one reply per node.
 */
export const replies = <R>(
  port: CallPort,
  spec: RepliesSpec<R>
): Stream.Stream<Vote<R>, CallFailed> =>
  Stream.callback<Vote<R>, CallFailed>((queue) =>
    Effect.acquireRelease(
      Effect.sync(() =>
        port.start<R, void>({
          ...spec,
          policy: everyReply,
          each: (from, message) => Queue.offerUnsafe(queue, { from, message }),
          done: (result) => {
            if (result.ok || result.outcomes.every(({ outcome }) => outcome !== "pending")) {
              Queue.endUnsafe(queue)
            } else Queue.failCauseUnsafe(queue, Cause.fail(callFailed(spec, result)))
          }
        })
      ),
      (cancel) => Effect.sync(cancel)
    )
  )

/** Done when every target replied; without an answer once some failed and none is pending. */
const everyReply: Policy<unknown, void> = {
  start: (_, targets) => {
    let got = 0
    return {
      on: () => (++got === targets.count ? { answer: undefined } : undefined),
      possible: (pending) => pending.count > 0,
      needed: targets.count,
      got: () => got
    }
  }
}
