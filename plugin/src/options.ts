/** What the options of a service say, checked: the same reading as quorate's at run time. */
import {
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  hasOption
} from "@bufbuild/protobuf"
import { nestedTypes } from "@bufbuild/protobuf/reflect"
import { call, forwards, on_cancel, signed } from "./gen/quorate/v1/options_pb.ts"

export type Kind = "rpc" | "unicast" | "multicast" | "quorum" | "multiparty" | "phase"
// By number of quorate.v1.Call; 0: not said.
const KINDS: ReadonlyArray<Kind> = [
  "rpc",
  "rpc",
  "unicast",
  "multicast",
  "quorum",
  "multiparty",
  "phase"
]
const OPTIONS = [call, forwards, signed, on_cancel]
/** Spells "forwards to no phase". */
const NONE = "none"

export interface Method {
  readonly kind: Kind
  readonly desc: DescMethod
  /** Local names of the phases it may forward to. */
  readonly forwards: ReadonlyArray<string>
  /** Local names of the calls it can answer; phases only. */
  readonly replies: ReadonlyArray<string>
}

type Named = DescMethod | DescService | DescMessage | DescEnum

/** Collects what is wrong, so that one run tells all of it. */
export class Problems {
  readonly lines: Array<string> = []

  /** `b/b.proto:7: S.A what` */
  add(desc: Named, what: string): void {
    const file = desc.kind === "rpc" ? desc.parent.file : desc.file
    const name = desc.kind === "rpc" ? `${desc.parent.name}.${desc.name}` : desc.name
    this.lines.push(`${file.proto.name}:${lineOf(desc, file)}: ${name} ${what}`)
  }
}

/** A path of SourceCodeInfo: field numbers of descriptor.proto, and places in lists. */
const pathOf = (desc: Named): ReadonlyArray<number> => {
  switch (desc.kind) {
    case "rpc":
      return [...pathOf(desc.parent), 2, desc.parent.methods.indexOf(desc)]
    case "service":
      return [6, desc.file.services.indexOf(desc)]
    case "message":
      return desc.parent === undefined
        ? [4, desc.file.messages.indexOf(desc)]
        : [...pathOf(desc.parent), 3, desc.parent.nestedMessages.indexOf(desc)]
    case "enum":
      return desc.parent === undefined
        ? [5, desc.file.enums.indexOf(desc)]
        : [...pathOf(desc.parent), 4, desc.parent.nestedEnums.indexOf(desc)]
  }
}

const lineOf = (desc: Named, file: DescFile): number | "?" => {
  const path = pathOf(desc).join()
  const location = file.proto.sourceCodeInfo?.location.find((l) => l.path.join() === path)
  const line = location?.span[0]
  return line === undefined ? "?" : line + 1
}

/** Services without one option of ours are left to other plugins. */
export const isOurs = (service: DescService): boolean =>
  service.methods.some((method) => OPTIONS.some((option) => hasOption(method, option)))

/** The methods of a service; they count only where nothing was added to `problems`. */
export const readService = (service: DescService, problems: Problems): ReadonlyArray<Method> => {
  checkNames(service, problems)
  const kinds = new Map(service.methods.map((m) => [m, kindOf(m, problems)]))
  const phases = service.methods.filter((m) => kinds.get(m) === "phase")
  const methods = service.methods.map((desc): Method => {
    const kind = kinds.get(desc)!
    if (kind === "phase") checkPhase(desc, problems)
    checkSigned(desc, kind, problems)
    if (hasOption(desc, on_cancel) && kind !== "multiparty") {
      const what = `is ${kind.toUpperCase()} and says on_cancel`
      problems.add(desc, `${what}, but only MULTIPARTY methods do; remove the option`)
    }
    if (kind === "multiparty" && phases.length === 0) {
      const what = `is MULTIPARTY, but ${service.name} has no PHASE method`
      problems.add(desc, `${what}; add one, or make it QUORUM`)
    }
    return { kind, desc, forwards: forwardsOf(desc, kind, phases, problems), replies: [] }
  })
  return methods.map((m) => (m.kind === "phase" ? { ...m, replies: repliesOf(m, methods) } : m))
}

const kindOf = (method: DescMethod, problems: Problems): Kind => {
  const number = getOption(method, call)
  const kind = KINDS[number]
  if (kind === undefined) {
    problems.add(method, `has call kind ${number}, unknown here; update protoc-gen-quorate`)
    return "rpc"
  }
  if (method.methodKind !== "unary") {
    const where = "make it unary, or move it to a service without quorate options"
    problems.add(method, `is ${kind.toUpperCase()} and streams; ${where}`)
  }
  return kind
}

const checkSigned = (method: DescMethod, kind: Kind, problems: Problems): void => {
  if (!getOption(method, signed) || kind === "phase") return
  if (kind !== "multiparty") {
    const what = `is ${kind.toUpperCase()} and signed`
    problems.add(method, `${what}, but only MULTIPARTY and PHASE methods are; remove the option`)
  }
  checkMaps(method, "signatures are of bytes", problems)
}

const checkPhase = (phase: DescMethod, problems: Problems): void => {
  if (phase.name === NONE) {
    problems.add(phase, `is a PHASE method, but "none" spells "forwards to nothing"; rename it`)
  }
  checkMaps(phase, "members agree on bytes", problems)
}

const checkMaps = (method: DescMethod, why: string, problems: Problems): void => {
  const map = findMap(method.input, new Set())
  if (map === undefined) return
  const path = [method.input.name, ...map.map((field) => field.name)].join(".")
  const remedy = "use a repeated message of key and value, sorted by its author"
  problems.add(
    method,
    `sends ${path}, a map; ${why}, and a map has no one order of them: ${remedy}`
  )
}

/** The way to the first map field in a message, through its fields. */
const findMap = (
  message: DescMessage,
  seen: Set<DescMessage>
): ReadonlyArray<DescField> | undefined => {
  if (seen.has(message)) return undefined
  seen.add(message)
  for (const field of message.fields) {
    if (field.fieldKind === "map") return [field]
    if (field.message === undefined) continue
    const below = findMap(field.message, seen)
    if (below !== undefined) return [field, ...below]
  }
  return undefined
}

const forwardsOf = (
  method: DescMethod,
  kind: Kind,
  phases: ReadonlyArray<DescMethod>,
  problems: Problems
): ReadonlyArray<string> => {
  const names = getOption(method, forwards)
  if (kind !== "multiparty" && kind !== "phase") {
    if (names.length === 0) return []
    const what = `is ${kind.toUpperCase()} and forwards to ${names.join(", ")}`
    problems.add(
      method,
      `${what}, but only MULTIPARTY and PHASE methods forward; remove the option`
    )
    return []
  }
  if (names.length === 0) return phases.map((p) => p.localName)
  if (names.length === 1 && names[0] === NONE) return []
  const targets = new Set<string>()
  for (const name of names) {
    const phase = phases.find((p) => p.name === name)
    if (name === NONE) {
      const remedy = `write "none" alone, or leave it out`
      problems.add(method, `forwards to nothing and to something; ${remedy}`)
    } else if (phase === undefined) {
      const list = phases.length === 0 ? "none" : phases.map((p) => p.name).join(", ")
      problems.add(method, `forwards to ${name}, which is no PHASE method; phases: ${list}`)
    } else if (targets.has(phase.localName)) {
      problems.add(method, `forwards to ${name} twice; remove one`)
    } else targets.add(phase.localName)
  }
  return [...targets]
}

/** The calls from which a phase is reached; all calls where it is from none (a timer starts it). */
const repliesOf = (phase: Method, methods: ReadonlyArray<Method>): ReadonlyArray<string> => {
  const calls = methods.filter((m) => m.kind === "multiparty")
  const own = calls.filter((start) => reachable(start, methods).has(phase.desc.localName))
  return (own.length === 0 ? calls : own).map((m) => m.desc.localName)
}

const reachable = (start: Method, methods: ReadonlyArray<Method>): ReadonlySet<string> => {
  const seen = new Set<string>()
  const open = [...start.forwards]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    open.push(...(methods.find((m) => m.desc.localName === name)?.forwards ?? []))
  }
  return seen
}

/** Names that are printed must not hide others of the file, nor each other. */
const checkNames = (service: DescService, problems: Problems): void => {
  const printed = [`${service.name}Client`, `${service.name}Methods`]
  for (const type of nestedTypes(service.file)) {
    if (type.kind === "extension" || !printed.includes(generatedName(type))) continue
    problems.add(type, `has the name of an interface made for service ${service.name}; rename it`)
  }
  const locals = new Map<string, DescMethod>()
  for (const method of service.methods) {
    const other = locals.get(method.localName)
    if (other === undefined) locals.set(method.localName, method)
    else problems.add(method, `is ${method.localName} in code, and so is ${other.name}; rename one`)
  }
}

const generatedName = (type: { readonly typeName: string; readonly file: DescFile }): string => {
  const pkg = type.file.proto.package
  const local = pkg === "" ? type.typeName : type.typeName.slice(pkg.length + 1)
  return local.replaceAll(".", "_")
}
