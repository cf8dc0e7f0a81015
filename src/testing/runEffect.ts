import { Cause, type Context, Effect, Exit } from "effect"
import type { FailCode } from "../base/errorCode.ts"
import type { Step } from "../server/Directive.ts"
import type { HandlerResult } from "../server/Protocol.ts"

/** Runs an entry handler's Effect to its end, at once. */
export type RunEffect = (effect: unknown) => HandlerResult | { readonly failure: string } | "async"

/** What an entry handler's Effect fails with: the fields of `Failed` of src/runtime. */
interface Refusal {
  readonly code: FailCode
  readonly detail: string
}

/**
 * Runs entry handlers' Effects to their end within one step of virtual time, in `context`. An
 * Effect that waits for real time or for IO cannot be repeated from a seed: "async".
 */
export const runEffectIn = (context: Context.Context<never>): RunEffect => {
  const run = Effect.runSyncExitWith(context)
  return (effect) => {
    const exit = run(effect as Effect.Effect<Step, Refusal>)
    if (Exit.isSuccess(exit)) return exit.value
    for (const reason of exit.cause.reasons) {
      if (Cause.isFailReason(reason)) {
        return { kind: "fail", code: reason.error.code, detail: reason.error.detail }
      }
      if (Cause.isDieReason(reason) && Cause.isAsyncFiberError(reason.defect)) return "async"
    }
    return { failure: String(Cause.squash(exit.cause)) }
  }
}

export const isEffect = (value: unknown): boolean => Effect.isEffect(value)
