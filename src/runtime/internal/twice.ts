/**
 * A protocol whose handlers run twice for each message: phases, quorum functions, hooks and timers
 * are functions of what they are given, and one that is not is told here, not after a restart.
 */
import { bytesEqual } from "../../base/bytes.ts"
import { AuthorMistake } from "../../server/authorMistake.ts"
import { HOOKS } from "../../server/hooks.ts"
import type {
  AnyHandler,
  HandlerFunction,
  ProtocolSpec,
  WorldHooks,
  WorldSpec
} from "../../server/Protocol.ts"

export const twice = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) =>
    method.call === "phase" ? { ...method, handler: overHandler(method.handler, runTwice) } : method
  ),
  ...(spec.world && { world: overHooks(spec.world, runTwice) })
})

type Over = (run: HandlerFunction) => HandlerFunction

/** A world whose hooks and timers are run by another. */
export const overHooks = (world: WorldSpec, over: Over): WorldSpec => {
  const hooks: { -readonly [K in keyof WorldHooks]: WorldHooks[K] } = {}
  for (const name of HOOKS) {
    const hook = world[name]
    if (hook !== undefined) hooks[name] = over(hook)
  }
  const timers = Object.entries(world.timers ?? {}).map(([name, timer]) => [name, over(timer)])
  return { ...world, ...hooks, ...(world.timers && { timers: Object.fromEntries(timers) }) }
}

export const overHandler = (handler: AnyHandler, over: Over): AnyHandler => {
  if (typeof handler === "function") return over(handler)
  const { each, quorum } = handler
  return {
    ...handler,
    ...(each && { each: over(each) }),
    ...(quorum && { quorum: over(quorum) })
  }
}

const runTwice =
  (run: HandlerFunction): HandlerFunction =>
  (context) => {
    const first = run(context)
    if (same(first, run(context))) return first
    throw new AuthorMistake("returned two different directives")
  }

/** Whether nothing tells the two apart; the order of an object's fields does not. */
const same = (a: unknown, b: unknown): boolean => {
  if (Object.is(a, b)) return true
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return false
  if (a instanceof Uint8Array) return bytesEqual(a, b as Uint8Array)
  if (a instanceof Map || a instanceof Set) {
    return same([...a], [...(b as Iterable<unknown>)])
  }
  const keys = Object.keys(a)
  const [left, right] = [a as Fields, b as Fields]
  return (
    keys.length === Object.keys(b).length &&
    keys.every((key) => Object.hasOwn(b, key) && same(left[key], right[key]))
  )
}
interface Fields {
  readonly [key: string]: unknown
}
