import { Cause, type Context, Effect, Exit } from "effect"
import type { Failed } from "../runtime/Failed.ts"
import type { Step } from "../server/Directive.ts"
import type { RunEffect } from "./simHost.ts"

/**
 * Runs entry handlers' Effects to their end within one step of virtual time, in `context`. An Effect
 * that waits for real time or for IO cannot be repeated from a seed: "async".
 */
export const runEffectIn = (context: Context.Context<never>): RunEffect => {
  const run = Effect.runSyncExitWith(context)
  return (effect) => {
    const exit = run(effect as Effect.Effect<Step, Failed>)
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
