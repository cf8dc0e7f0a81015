/** The directives that are for the application, checked and encoded: see plan.ts. */
import type { Owner } from "./agreement.ts"
import { type Batch, type CallName, callName, type Item } from "./application.ts"
import { AuthorMistake, bounded, tooLarge } from "./authorMistake.ts"
import type { Core } from "./core.ts"
import type { Command, Directive } from "./Directive.ts"
import type { ApplicationSpec } from "./Protocol.ts"

export type PlannedApplication =
  | {
      readonly kind: "apply"
      readonly index: number
      readonly items: Batch
      readonly tentative: boolean
    }
  | { readonly kind: "rollback"; readonly index: number }
  | {
      readonly kind: "read"
      readonly call: CallName
      readonly query: unknown
      /** `undefined`: what is applied now. */
      readonly index: number | undefined
    }
  | { readonly kind: "install"; readonly index: number; readonly body: Uint8Array }

type Of<K> = Extract<Directive, { kind: K }>

/** @throws AuthorMistake, or what a codec throws */
export const planApplication = (
  core: Core,
  owner: Owner,
  directive: Of<PlannedApplication["kind"]>
): PlannedApplication => {
  const spec = owner.method.protocol.spec.world?.application
  if (spec === undefined) throw new AuthorMistake("applies, but its world has no application")
  switch (directive.kind) {
    case "apply":
      return planApply(core, owner, directive, spec)
    case "rollback":
      return { kind: "rollback", index: counted(directive.index) }
    case "read":
      return planRead(owner, directive, spec)
    case "install":
      if (!(directive.bytes instanceof Uint8Array)) throw new AuthorMistake("installs no bytes")
      return {
        kind: "install",
        index: counted(directive.index),
        body: bounded(core, directive.bytes)
      }
  }
}

const planApply = (
  core: Core,
  owner: Owner,
  { items, tentative = false }: Of<"apply">,
  spec: ApplicationSpec
): PlannedApplication => {
  const { lane } = owner.method.protocol
  if (owner.instance?.lane.key !== lane) {
    throw new AuthorMistake(`applies outside lane "${lane}", in which its application runs`)
  }
  if (tentative && spec.undo === undefined) {
    throw new AuthorMistake("applies tentatively, but its application has no undo")
  }
  if (items.length > core.limits.applyItemsMax) {
    throw new AuthorMistake(`applies ${items.length} commands at one index`)
  }
  const encoded = items.map(({ command, call }: Command): Item => {
    const bytes = spec.command.encode(command)
    return callName(call) === undefined ? { command: bytes } : { command: bytes, call: call! }
  })
  const bytes = encoded.reduce((sum, { command }) => sum + command.length, 0)
  if (bytes > core.limits.bodyBytesMax) throw tooLarge(core, bytes)
  return { kind: "apply", index: owner.instance!.index, items: encoded, tentative }
}

const planRead = (
  owner: Owner,
  directive: Of<"read">,
  spec: ApplicationSpec
): PlannedApplication => {
  if (spec.read === undefined) throw new AuthorMistake("reads, but its application has no read")
  const { call, method } = owner
  const own = call && {
    session: call.session.key,
    index: call.index,
    method: method.spec.name
  }
  const name = directive.call === undefined ? own : callName(directive.call)
  if (name === undefined || !method.protocol.methods.has(name.method)) {
    throw new AuthorMistake("reads for no call")
  }
  const index = directive.index === undefined ? undefined : counted(directive.index)
  return { kind: "read", call: name, query: directive.query, index }
}

const counted = (index: number): number => {
  if (Number.isSafeInteger(index) && index >= 0) return index
  throw new AuthorMistake(`names index ${index} of its application`)
}
