/** Entry handlers' Effects: run in the context of their layer; the host core is told the end. */
import { Cause, type Context, Effect, Exit, Fiber } from "effect"
import type { HandlerResult } from "../../server/Protocol.ts"
import { Failed } from "../Failed.ts"

export type Ran = HandlerResult | { readonly failure: string }

/** Runs until they end, are interrupted, or the node stops. */
export class Runs {
  private readonly context: Context.Context<never>
  private readonly fibers = new Map<number, Fiber.Fiber<unknown, unknown>>()
  private stopped = false

  constructor(context: Context.Context<never>) {
    this.context = context
  }

  /** `ended` is called once, and not for a run that was interrupted. */
  start(token: number, effect: unknown, ended: (result: Ran) => void): void {
    if (this.stopped) return
    const run = Effect.runForkWith(this.context)
    const fiber = run(effect as Effect.Effect<HandlerResult, unknown>)
    this.fibers.set(token, fiber)
    fiber.addObserver((exit) => {
      if (!this.fibers.delete(token)) return
      ended(ranOf(exit))
    })
    // The effect's first steps run within `run`, and may have woken whoever stops the node.
    if (this.stopped) this.interrupt(token)
  }

  interrupt(token: number): void {
    const fiber = this.fibers.get(token)
    this.fibers.delete(token)
    fiber?.interruptUnsafe()
  }

  /** Interrupts all of them and waits for their ends. */
  readonly stop: Effect.Effect<void> = Effect.suspend(() => {
    this.stopped = true
    const fibers = [...this.fibers.values()]
    this.fibers.clear()
    return Fiber.interruptAll(fibers)
  })

  get count(): number {
    return this.fibers.size
  }
}

const ranOf = (exit: Exit.Exit<unknown, unknown>): Ran => {
  if (Exit.isSuccess(exit)) return exit.value as HandlerResult
  const error = Cause.squash(exit.cause)
  if (error instanceof Failed) return { kind: "fail", code: error.code, detail: error.detail }
  return { failure: error instanceof Error ? error.message : String(error) }
}
