/** What the type tests share. */
import { Context, Data, type Effect } from "effect"
import type { Directive } from "quorate"

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
/** Compiles when both types are the same: `is<A, B>(true)`. */
export const is = <A, B>(_: Equal<A, B>): void => {}

export class DbError extends Data.TaggedError("DbError")<{ why: string }> {}
export class Ledger extends Context.Service<
  Ledger,
  {
    readonly put: (text: string) => Effect.Effect<void, DbError>
    readonly ok: Effect.Effect<void>
  }
>()("Ledger") {}
export class Audit extends Context.Service<Audit, { readonly ok: Effect.Effect<void> }>()(
  "Audit"
) {}

/** A handler that does nothing. */
export const idle = ({ wait }: { readonly wait: Directive }) => wait
