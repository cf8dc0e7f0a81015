/** The directives that are for the application, checked and encoded: see plan.ts. */
import { DIGEST_BYTES } from "../base/blob.ts"
import type { Agreement, Owner } from "./agreement.ts"
import { type Application, callName, type Item } from "./application.ts"
import { AuthorMistake, bounded, tooLarge } from "./authorMistake.ts"
import type { Command, Directive } from "./Directive.ts"
import { COUNT_MAX } from "./laneKey.ts"
import type { Deed } from "./plan.ts"
import { Snapshot } from "./snapshot.ts"

type Of<K> = Extract<Directive, { kind: K }>

/** @throws AuthorMistake, or what a codec throws */
export const planApplication = (
  on: Agreement,
  owner: Owner,
  directive: Of<"apply" | "rollback" | "read" | "install" | "offer" | "fetch">
): Deed => {
  const application = on.execution.of(owner.method.protocol)
  if (application === undefined)
    throw new AuthorMistake("applies, but its world has no application")
  switch (directive.kind) {
    case "apply":
      return planApply(on, owner, application, directive)
    case "rollback": {
      const index = counted(directive.index)
      return () => on.execution.rollback(application, index)
    }
    case "read":
      return planRead(on, owner, application, directive)
    case "install": {
      if (!(directive.bytes instanceof Uint8Array)) throw new AuthorMistake("installs no bytes")
      const index = counted(directive.index)
      const body = bounded(on.core, directive.bytes)
      return () => on.execution.install(application, index, body)
    }
    case "offer": {
      const { snapshot } = directive
      if (!(snapshot instanceof Snapshot)) throw new AuthorMistake("offers what is no snapshot")
      return () => on.execution.offer(snapshot)
    }
    case "fetch":
      return planFetch(on, application, directive)
  }
}

const planApply = (
  { core, execution }: Agreement,
  { instance }: Owner,
  application: Application,
  { items, tentative = false }: Of<"apply">
): Deed => {
  const { lane, spec } = application
  if (instance?.lane !== lane) {
    throw new AuthorMistake(`applies outside lane "${lane.key}", in which its application runs`)
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
  return () => execution.apply(application, instance.index, encoded, tentative)
}

const planRead = (
  on: Agreement,
  owner: Owner,
  application: Application,
  directive: Of<"read">
): Deed => {
  if (application.spec.read === undefined)
    throw new AuthorMistake("reads, but its application has no read")
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
  const { query } = directive
  return () => {
    if (!on.execution.read(application, name, query, index)) on.answers.refuse(call, "overloaded")
  }
}

/** What comes from a message is a peer's word: where it names no state, nothing is fetched. */
const planFetch = (
  { core, execution }: Agreement,
  application: Application,
  { index, digest, length, from }: Of<"fetch">
): Deed => {
  const { system, self, limits } = core
  const peers = (typeof from === "number" ? [from] : from).filter((node) => node !== self)
  const stranger = peers.find((node) => system.rank(node) < 0)
  if (stranger !== undefined) throw new AuthorMistake(`fetches from node ${stranger}, no member`)
  const named = digest instanceof Uint8Array && digest.length === DIGEST_BYTES
  const sized = Number.isSafeInteger(length) && length >= 0 && length <= limits.fetchBytesMax
  const at = counted(index)
  if (!named || !sized || peers.length === 0)
    return () => core.report("ignored", "a state that nobody can have")
  return () => execution.fetch(application, { index: at, digest, length }, peers)
}

const counted = (index: number): number => {
  if (Number.isSafeInteger(index) && index >= 0 && index <= COUNT_MAX) return index
  throw new AuthorMistake(`names index ${index} of its application`)
}
