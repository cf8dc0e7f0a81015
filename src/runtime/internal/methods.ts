/** The methods of a descriptor with what their options say: the same reading as the plugin's. */
import { type DescMethod, type DescService, getOption } from "@bufbuild/protobuf"
import {
  Call,
  call,
  forwards,
  OnCancel,
  on_cancel,
  signed
} from "../../../gen/quorate/v1/options_pb.ts"
import { ProtocolInvalid } from "../../server/handlers.ts"
import { methodId, type MethodId } from "../../server/Message.ts"
import type { CallKind } from "../../server/Protocol.ts"

export interface MethodInfo {
  readonly desc: DescMethod
  /** Local name, e.g. "preAccept". */
  readonly name: string
  /** "package.Service/Method" */
  readonly fullName: string
  readonly id: MethodId
  readonly call: CallKind
  /** Local names of the phases it may forward to. */
  readonly forwards: ReadonlyArray<string>
  /** Local names of the calls it can answer; phases only. */
  readonly replies: ReadonlyArray<string>
  /** A cancel, or its deadline, ends it at a node. */
  readonly abandon: boolean
  /** Its words, or requests, are signed. */
  readonly signed: boolean
}

const KINDS: { readonly [number: number]: CallKind } = {
  [Call.CALL_UNSPECIFIED]: "rpc",
  [Call.RPC]: "rpc",
  [Call.UNICAST]: "unicast",
  [Call.MULTICAST]: "multicast",
  [Call.QUORUM]: "quorum",
  [Call.MULTIPARTY]: "multiparty",
  [Call.PHASE]: "phase"
}
/** Spells "forwards to no phase". */
const NONE = "none"

const known = new WeakMap<DescService, ReadonlyArray<MethodInfo>>()

/** @throws ProtocolInvalid where the generator, had it run, would have refused */
export const methodsOf = (service: DescService): ReadonlyArray<MethodInfo> => {
  const before = known.get(service)
  if (before !== undefined) return before
  const methods = read(service)
  known.set(service, methods)
  return methods
}

const read = (service: DescService): ReadonlyArray<MethodInfo> => {
  const phases = service.methods.filter((m) => kindOf(m) === "phase")
  const targets = new Map(service.methods.map((m) => [m, forwardsOf(m, phases)]))
  const calls = service.methods.filter((m) => kindOf(m) === "multiparty")
  const reach = new Map(calls.map((m) => [m, reachable(m, targets)]))
  return service.methods.map((desc) => {
    const fullName = `${service.typeName}/${desc.name}`
    const kind = kindOf(desc)
    return {
      desc,
      name: desc.localName,
      fullName,
      id: methodId(fullName),
      call: kind,
      forwards: targets.get(desc)!.map((m) => m.localName),
      replies: kind === "phase" ? repliesOf(desc, calls, reach) : [],
      abandon: abandonOf(desc, kind),
      signed: signedOf(desc, kind)
    }
  })
}

const invalid = (method: DescMethod, what: string): ProtocolInvalid =>
  new ProtocolInvalid(`${method.parent.typeName}.${method.name} ${what}`)

const kindOf = (method: DescMethod): CallKind => {
  const kind = KINDS[getOption(method, call)]
  if (kind === undefined) throw invalid(method, "has a call kind this version does not know")
  if (method.methodKind !== "unary") throw invalid(method, "streams; make it unary")
  return kind
}

const abandonOf = (method: DescMethod, kind: CallKind): boolean => {
  const abandons = getOption(method, on_cancel) === OnCancel.ABANDON
  if (!abandons || kind === "multiparty") return abandons
  throw invalid(method, "says on_cancel; only MULTIPARTY methods do")
}

const signedOf = (method: DescMethod, kind: CallKind): boolean => {
  const isSigned = getOption(method, signed)
  if (!isSigned || kind === "phase" || kind === "multiparty") return isSigned
  throw invalid(method, "is signed; only MULTIPARTY and PHASE methods are")
}

const forwardsOf = (
  method: DescMethod,
  phases: ReadonlyArray<DescMethod>
): ReadonlyArray<DescMethod> => {
  const kind = kindOf(method)
  if (kind !== "multiparty" && kind !== "phase") return []
  const names: ReadonlyArray<string> = getOption(method, forwards)
  if (names.length === 0) return phases
  if (names.length === 1 && names[0] === NONE) return []
  return names.map((name) => {
    const phase = phases.find((p) => p.name === name)
    if (phase === undefined) throw invalid(method, `forwards to ${name}, which is no PHASE method`)
    return phase
  })
}

const reachable = (
  start: DescMethod,
  targets: ReadonlyMap<DescMethod, ReadonlyArray<DescMethod>>
): ReadonlySet<DescMethod> => {
  const seen = new Set<DescMethod>()
  const open = [...targets.get(start)!]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    open.push(...targets.get(next)!)
  }
  return seen
}

/** A phase that no call reaches may answer every call: the message itself says which. */
const repliesOf = (
  phase: DescMethod,
  calls: ReadonlyArray<DescMethod>,
  reach: ReadonlyMap<DescMethod, ReadonlySet<DescMethod>>
): ReadonlyArray<string> => {
  const own = calls.filter((m) => reach.get(m)!.has(phase))
  return (own.length === 0 ? calls : own).map((m) => m.localName)
}
