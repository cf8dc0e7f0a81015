/** A protocol that tells a tap what its handlers, hooks and timers returned. */
import { laneOfBytes } from "../../server/laneKey.ts"
import type {
  AnyHandler,
  HandlerFunction,
  MethodSpec,
  ProtocolSpec
} from "../../server/Protocol.ts"
import type { NodeTap } from "../../link/tapped.ts"
import type { About } from "../../link/tap.ts"
import { HOOKS } from "../../server/hooks.ts"
import { overHandler } from "./twice.ts"

export const tapped = (spec: ProtocolSpec, tap: NodeTap): ProtocolSpec => {
  const methods = spec.methods.map((method) => ({
    ...method,
    handler: overHandler(method.handler, (run) => (context) => {
      const result = run(context)
      tap.handled({ kind: "handled", ...aboutOf(tap, method, context), ...directivesOf(result) })
      return result
    })
  }))
  return spec.world === undefined
    ? { ...spec, methods }
    : { ...spec, methods, world: over(spec.world, tap) }
}

type World = NonNullable<ProtocolSpec["world"]>

const over = (world: World, tap: NodeTap): World => {
  const told =
    (kind: "hook" | "timer", name: string, run: HandlerFunction): HandlerFunction =>
    (context) => {
      const result = run(context)
      tap.handled({ kind, name, ...directivesOf(result) })
      return result
    }
  const hooks = HOOKS.flatMap((name) => {
    const hook = world[name]
    return hook === undefined ? [] : [[name, told("hook", name, hook)] as const]
  })
  const timers = Object.entries(world.timers ?? {}).map(
    ([name, run]) => [name, told("timer", name, run)] as const
  )
  return {
    ...world,
    ...Object.fromEntries(hooks),
    ...(world.timers && { timers: Object.fromEntries(timers) })
  }
}

/** What every context has of these, if anything. */
interface Context {
  readonly call?: { readonly session: Uint8Array; readonly index: number }
  readonly index?: number
  readonly round?: number
  readonly author?: number
  readonly votes?: { readonly author: number }
}

const aboutOf = (
  tap: NodeTap,
  { call: kind, fullName: method, handler }: MethodSpec,
  { call, index, round, author, votes }: Context
): About & { readonly author?: number } => {
  const lane = kind === "phase" ? laneOf(handler) : undefined
  const by = author ?? votes?.author
  return {
    ...(lane !== undefined && { lane }),
    ...(lane === undefined && call && tap.at(laneOfBytes(call.session), call.index)),
    ...(index !== undefined && { index }),
    method,
    ...(round !== undefined && { round }),
    ...(by !== undefined && { author: by })
  }
}

const laneOf = (handler: AnyHandler): string | undefined =>
  typeof handler === "function" ? undefined : handler.lane

const directivesOf = (result: unknown): { readonly directives: ReadonlyArray<string> } => {
  const list: ReadonlyArray<unknown> = Array.isArray(result) ? result : [result]
  return { directives: list.map(kindOf) }
}
const kindOf = (directive: unknown): string => {
  const kind = (directive as { readonly kind?: unknown } | undefined)?.kind
  return typeof kind === "string" ? kind : "effect"
}
