/** A descriptor, handlers and a world to the protocol the engine takes. */
import type { DescMessage, DescService } from "@bufbuild/protobuf"
import { ProtocolInvalid } from "../../server/handlers.ts"
import type {
  AnyHandler,
  ApplicationSpec,
  DeliverSpec,
  MethodSpec,
  ProtocolSpec,
  WorldSpec
} from "../../server/Protocol.ts"
import { codecOf } from "./codec.ts"
import { type MethodInfo, methodsOf } from "./methods.ts"
import { proofsOf } from "./proofsOf.ts"

/** {@link World} without its types. */
export interface AnyWorld extends Omit<WorldSpec, "record" | "application" | "deliver"> {
  readonly record?: DescMessage
  readonly deliver?: { readonly message: DescMessage; readonly to: DeliverSpec["to"] }
  readonly application?: {
    readonly command: DescMessage
    readonly lane?: string
    readonly initial: () => unknown
    readonly apply: ApplicationSpec["apply"]
  }
}
export interface AnyHandlers {
  readonly [method: string]: AnyHandler
}

/** @throws ProtocolInvalid what types cannot see, or an author without types did */
export const compile = (
  descriptor: DescService,
  handlers: AnyHandlers,
  world: AnyWorld | undefined
): ProtocolSpec => {
  const name = descriptor.typeName
  const infos = methodsOf(descriptor)
  const lanes = Object.keys(world?.lanes ?? {})
  for (const key of Object.keys(handlers)) {
    if (infos.some((info) => info.name === key)) continue
    const known = infos.map((info) => info.name).join(", ")
    throw new ProtocolInvalid(`"${key}" is not a method of ${name}; its methods: ${known}`)
  }
  if (world?.application !== undefined && lanes.length === 0) {
    throw new ProtocolInvalid(`${name} has an application and no lane to run it in; declare one`)
  }
  const applied = world?.application?.lane
  if (applied !== undefined && !lanes.includes(applied)) {
    throw new ProtocolInvalid(`${name} has no lane "${applied}" to run its application in`)
  }
  const methods = infos.map((info): MethodSpec => {
    const handler = handlers[info.name]
    if (handler === undefined) {
      const remedy = `write "${info.name}: …" among the handlers of its protocol`
      throw new ProtocolInvalid(`${info.fullName} has no handler; ${remedy}`)
    }
    checkForm(info, handler, lanes)
    const proofs = proofsOf(info.desc.input)
    return {
      name: info.name,
      fullName: info.fullName,
      call: info.call,
      input: codecOf(info.desc.input),
      output: codecOf(info.desc.output),
      forwards: info.forwards,
      replies: info.replies,
      ...(info.abandon && { abandon: true }),
      handler,
      signed: info.signed,
      ...(proofs && { proofs })
    }
  })
  return world === undefined ? { name, methods } : { name, methods, world: worldOf(world) }
}

const checkForm = (info: MethodInfo, handler: AnyHandler, lanes: ReadonlyArray<string>): void => {
  const isFunction = typeof handler === "function"
  if (info.call !== "phase") {
    if (isFunction) return
    throw new ProtocolInvalid(
      `${info.fullName} is no PHASE method: write a function as its handler`
    )
  }
  const lane = isFunction ? undefined : handler.lane
  if (lane === undefined && lanes.length > 0) {
    throw new ProtocolInvalid(`${info.fullName} names no lane; lanes: ${lanes.join(", ")}`)
  }
}

const worldOf = (world: AnyWorld): WorldSpec => {
  const { record, application, deliver, ...same } = world
  return {
    ...same,
    ...(record && { record: codecOf(record) }),
    ...(application && { application: applicationOf(application) }),
    ...(deliver && { deliver: { message: codecOf(deliver.message), to: deliver.to } })
  }
}

const applicationOf = (application: NonNullable<AnyWorld["application"]>): ApplicationSpec => ({
  ...application,
  command: codecOf(application.command)
})
