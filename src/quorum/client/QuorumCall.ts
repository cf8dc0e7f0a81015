/** A call to many nodes with one answer, as an Effect. */
import { Effect } from "effect"
import type { CallPort, CallResult, CallSpec } from "../../link/callTypes.ts"
import { CallFailed } from "./Errors.ts"

/** A call as its method and its caller describe it. */
export interface QuorumCallSpec<R, A> extends Omit<CallSpec<R, A>, "done"> {
  /** "package.Service/Method", for errors. */
  readonly name: string
}

/**
 * Calls `spec.targets` and succeeds with the policy's answer; each run of the Effect is a call of
 * its own. Fails with {@link CallFailed} as soon as no answer is possible, at the latest after
 * `spec.deadlineMs`. Interrupting it cancels the call at the nodes that have not replied.
 */
export const quorumCall = <R, A>(
  port: CallPort,
  spec: QuorumCallSpec<R, A>
): Effect.Effect<A, CallFailed> =>
  // One parameter: Effect makes an abort signal only for a second one.
  Effect.callback<A, CallFailed>((resume) =>
    Effect.sync(
      port.start<R, A>({
        ...spec,
        done: (result) =>
          resume(result.ok ? Effect.succeed(result.answer) : Effect.fail(callFailed(spec, result)))
      })
    )
  )

export const callFailed = (
  spec: { readonly name: string },
  failure: Extract<CallResult<never>, { ok: false }>
): CallFailed => {
  const { code, needed, got, outcomes, detail } = failure
  const method = spec.name
  return new CallFailed({
    code,
    method,
    needed,
    got,
    outcomes,
    ...(detail === undefined ? {} : { detail })
  })
}
