/**
 * A protocol whose handlers change nothing: messages are shared, and a state is written by `evolve`
 * alone. A handler that writes into one breaks others, or leaves the state half written where it
 * throws after; here it throws instead.
 */
import type { Codec, HandlerFunction, ProtocolSpec } from "../../server/Protocol.ts"
import { overHandler, overHooks } from "./twice.ts"

export const frozen = (spec: ProtocolSpec): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((method) => ({
    ...method,
    input: frozenCodec(method.input),
    handler: overHandler(method.handler, readsOnly)
  })),
  ...(spec.world && { world: overHooks(spec.world, readsOnly) })
})

const frozenCodec = (codec: Codec): Codec => ({
  encode: codec.encode,
  decode: (bytes) => freezeDeep(codec.decode(bytes))
})

/** Bytes stay as they are: an array buffer cannot be frozen. */
const freezeDeep = <T extends object>(value: T): T => {
  if (ArrayBuffer.isView(value) || Object.isFrozen(value)) return value
  Object.freeze(value)
  for (const part of Object.values(value)) {
    if (typeof part === "object" && part !== null) freezeDeep(part)
  }
  return value
}

const readsOnly =
  (run: HandlerFunction): HandlerFunction =>
  (context) =>
    run(new Proxy(context, { get: contextPart }))

const contextPart = (context: object, key: string | symbol): unknown => {
  const part = Reflect.get(context, key, context)
  return key === "state" ? readOnly(part) : part
}

const views = new WeakMap<object, object>()

/** The same, but nothing in it can be written: what an iterator of a map gives, can. */
const readOnly = (value: unknown): unknown => {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return value
  let view = views.get(value)
  if (view === undefined) views.set(value, (view = new Proxy(value, READ_ONLY)))
  return view
}

const refuse = (): never => {
  throw new TypeError("a handler wrote into the state: return store or note, and let evolve write")
}
const READ_ONLY: ProxyHandler<object> = {
  get: (target, key) => {
    const part = Reflect.get(target, key, target)
    if (typeof part !== "function") {
      const own = Reflect.getOwnPropertyDescriptor(target, key)
      // What cannot change is shown as it is: a proxy has to.
      return own?.configurable === false && own.writable === false ? part : readOnly(part)
    }
    if (!(target instanceof Map || target instanceof Set)) return part
    if (key === "set" || key === "add" || key === "delete" || key === "clear") return refuse
    if (key === "get") return (at: unknown) => readOnly((target as Map<unknown, unknown>).get(at))
    return part.bind(target)
  },
  set: refuse,
  defineProperty: refuse,
  deleteProperty: refuse
}
