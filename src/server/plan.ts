/**
 * A handler's directives, checked and encoded before any of them is done: what an author got
 * wrong changes nothing but the instance.
 */
import { NO_BYTES } from "../base/bytes.ts"
import type { FailCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Agreement, Owner } from "./agreement.ts"
import { callName } from "./application.ts"
import { AuthorMistake, bounded } from "./authorMistake.ts"
import type { Core } from "./core.ts"
import type { Directive, Step, Target } from "./Directive.ts"
import { COUNT_MAX } from "./laneKey.ts"
import { ProtocolLane } from "./lanes.ts"
import type { MethodId, Request } from "./Message.ts"
import { planApplication } from "./planApplication.ts"
import { proofsIn, type SignedRequest, wordsOf } from "./Proof.ts"
import { Session } from "./sessions.ts"

/** Does what a directive says, all of it checked and encoded. */
export type Deed = () => void
type Of<K> = Extract<Directive, { kind: K }>

/** @throws AuthorMistake, or what a codec throws on a message it cannot encode */
export const plan = (on: Agreement, owner: Owner, step: Step): ReadonlyArray<Deed> => {
  const list = (Array.isArray(step) ? step : [step]) as ReadonlyArray<Directive>
  const delivers = list.some((directive) => directive?.kind === "deliver")
  const deeds = (delivers ? deliverLast(list) : list).map((one) => planOne(on, owner, one))
  // Somebody called there: it is told that it is done, unless the step replied otherwise.
  if (delivers && owner.instance?.lane instanceof Session)
    deeds.push(() => on.answer(owner, undefined, { body: NO_BYTES }))
  return deeds
}

/** What is said beside a delivery is said before it ends the instance. */
const deliverLast = (list: ReadonlyArray<Directive>): ReadonlyArray<Directive> => {
  if (list.filter(({ kind }) => kind === "deliver" || kind === "apply").length > 1)
    throw new AuthorMistake("delivers and ends its instance twice")
  const isLast = ({ kind }: Directive): boolean => kind === "deliver"
  return [...list.filter((one) => !isLast(one)), ...list.filter(isLast)]
}

const FAIL_CODES: ReadonlySet<FailCode> = new Set([
  "invalid",
  "not_found",
  "conflict",
  "unavailable",
  "internal"
])

const planOne = (on: Agreement, owner: Owner, directive: Directive): Deed => {
  const { core } = on
  switch (directive?.kind) {
    case "wait":
      return () => {}
    case "ignore":
      return () => core.count("ignored")
    case "forward":
      return planForward(on, owner, directive)
    case "reply":
      return planReply(on, owner, directive)
    case "fail": {
      const { code, detail } = directive
      if (!FAIL_CODES.has(code)) throw new AuthorMistake(`fails with "${code}", which is no code`)
      if (typeof detail !== "string") throw new AuthorMistake("fails with a detail that is no text")
      return () => on.answer(owner, undefined, { code, detail, body: NO_BYTES })
    }
    case "refuse":
      return planRefuse(on, owner, directive)
    case "store":
    case "note": {
      const codec = owner.method.protocol.spec.world?.record
      if (codec === undefined) throw new AuthorMistake("stores, but its world declares no record")
      const body = codec.encode(directive.record)
      return () => on.write(owner.method, body, directive.kind === "store")
    }
    case "apply":
    case "rollback":
    case "read":
    case "install":
    case "offer":
    case "fetch":
      return planApplication(on, owner, directive)
    case "park": {
      const { cast } = owner
      if (cast === undefined) throw new AuthorMistake("parks what is no phase's message")
      const key = keyOf(owner, directive.key)
      return () => core.count("parked_dropped", core.parked.add(key, cast))
    }
    case "wake": {
      const key = keyOf(owner, directive.key)
      return () => on.wake(core.parked.take(key))
    }
    case "deliver":
      return planDeliver(on, owner, directive)
    case "floor":
      return planFloor(on, owner, directive)
    case "arm":
    case "disarm":
      return planTimer(core, owner, directive)
    case "count": {
      const words = wordsOf(directive.proof)
      return () => words?.forEach((word) => on.count(word))
    }
    case "admit":
      return planAdmit(core, directive.request)
    default:
      throw new AuthorMistake("returned what is no directive")
  }
}

const planRefuse = (on: Agreement, { call }: Owner, refuse: Of<"refuse">): Deed => {
  const { code } = refuse
  if (call === undefined) throw new AuthorMistake("refuses, but no call's copy is handled")
  if (code !== "redirect" && code !== "overloaded")
    throw new AuthorMistake("refuses with what is no code")
  const node = code === "redirect" ? refuse.node : undefined
  if (node !== undefined && on.core.system.rank(node) < 0)
    throw new AuthorMistake(`redirects to node ${node}, no member`)
  return () => on.answers.refuse(call, code, node)
}

/** A request of a client, by way of a member; `ignore` where it names no call of this node. */
const planAdmit = (core: Core, shown: SignedRequest): Deed => {
  const method = core.handlers.byId.get(shown.method)
  const { session, index, body, clientKey, nonce, signature } = shown
  const named = callName({ session, index, method: "" })
  if (method?.call !== "multiparty" || named === undefined || !(body instanceof Uint8Array)) {
    return () => core.count("ignored")
  }
  if (core.system.model === "byzantine" && method.spec.signed !== true) {
    const why = "in a Byzantine group any member could have made the request up"
    throw new AuthorMistake(`admits ${method.spec.fullName}, which clients do not sign: ${why}`)
  }
  const proof = method.spec.signed === true ? { proof: { clientKey, nonce, signature } } : undefined
  const at = { session: named.session, index, ackedBelow: 1, method: method.id, deadlineMs: 0 }
  const request: Request = { kind: "request", ...at, body, ...proof }
  return () => core.admitted.push(request)
}

const planForward = (on: Agreement, owner: Owner, directive: Of<"forward">): Deed => {
  const { core } = on
  const { spec, protocol } = owner.method
  const method = protocol.methods.get(directive.method)
  if (method === undefined || !spec.forwards.includes(directive.method)) {
    throw new AuthorMistake(`forwards to ${directive.method}, which it does not declare`)
  }
  const body = bounded(core, method.spec.input.encode(directive.message))
  const message = method.spec.input.decode(body)
  const specOf = (id: MethodId) => core.handlers.byId.get(id)?.spec
  const { proofsPerMessageMax } = core.limits
  if (proofsIn(specOf, method.spec, message, proofsPerMessageMax) === undefined) {
    throw new AuthorMistake(`shows more than ${proofsPerMessageMax} signatures at once`)
  }
  const { keyed } = method
  const lane = keyed.lane === undefined ? owner.instance?.lane : core.lanes.get(keyed.lane)
  if (lane === undefined || (keyed.lane === undefined && !(lane instanceof Session))) {
    throw new AuthorMistake(`forwards to ${directive.method}, which needs a lane here`)
  }
  const index = keyed.lane === undefined ? owner.instance!.index : keyed.index!(message)
  const round = keyed.round?.(message) ?? 0
  if (!Number.isSafeInteger(index) || index < 1) {
    throw new AuthorMistake(`forwards to ${directive.method} at index ${index}; indexes start at 1`)
  }
  if (!lane.finished(index) && !lane.inWindow(index)) {
    throw new AuthorMistake(`forwards to ${directive.method} at ${index}, above its window`)
  }
  if (!(Number.isInteger(round) && round >= 0 && round < method.rounds)) {
    throw new AuthorMistake(`forwards to ${directive.method} in round ${round}, which is not kept`)
  }
  const to = targets(core, directive.to)
  return () => on.say({ method, lane, index, round, body, message, to })
}

const planReply = (on: Agreement, owner: Owner, directive: Of<"reply">): Deed => {
  const { method, protocol } = { ...directive, protocol: owner.method.protocol }
  const replied = method === undefined ? owner.method : protocol.methods.get(method)
  if (replied === undefined) throw new AuthorMistake(`replies to ${method}, which is no method`)
  const body = bounded(on.core, replied.spec.output.encode(directive.message))
  const call = callName(directive.call)
  if (directive.call !== undefined && call === undefined) {
    throw new AuthorMistake("replies to what is no call id")
  }
  if (directive.tentative !== true) return () => on.answer(owner, call, { body })
  if (owner.instance === undefined) throw new AuthorMistake("replies tentatively, without phases")
  return () => on.tentative(owner, call, body)
}

const PARK_KEY_MAX = 128
/** Keys are a protocol's own. */
const keyOf = ({ method }: Owner, key: unknown): string => {
  const text = typeof key === "number" ? String(key) : key
  if (typeof text === "string" && text.length <= PARK_KEY_MAX)
    return `${method.protocol.id} ${text}`
  throw new AuthorMistake(`needs a key: a number, or a text of at most ${PARK_KEY_MAX} characters`)
}

const planDeliver = (on: Agreement, owner: Owner, directive: Of<"deliver">): Deed => {
  const { instance, method } = owner
  const message = method.protocol.spec.world?.deliver?.message
  if (message === undefined) throw new AuthorMistake("delivers, but its world declares no deliver")
  if (instance === undefined) throw new AuthorMistake("delivers outside a phase")
  if (instance.lane.key === method.protocol.lane) {
    throw new AuthorMistake(`delivers in lane "${instance.lane.key}", whose indexes it applies`)
  }
  if (instance.lane instanceof ProtocolLane && instance.lane.floored) {
    throw new AuthorMistake(`delivers in lane "${instance.lane.key}", whose floor is set`)
  }
  const body = bounded(on.core, message.encode(directive.message))
  return () => on.deliver(method, instance, body)
}

const planFloor = (on: Agreement, owner: Owner, { lane, index }: Of<"floor">): Deed => {
  const { spec, lanes, lane: applies } = owner.method.protocol
  if (spec.world?.lanes?.[lane]?.floor !== "set") {
    throw new AuthorMistake(`sets the floor of "${lane}", which is no lane with floor: "set"`)
  }
  if (!Number.isSafeInteger(index) || index < 1 || index > COUNT_MAX) {
    throw new AuthorMistake(`sets the floor of "${lane}" at ${index}; indexes start at 1`)
  }
  if (lane === applies && index > lanes[lane]!.applied + 1) {
    throw new AuthorMistake(`sets the floor of "${lane}" at ${index}, above what is applied`)
  }
  return () => on.execution.floor({ kind: "floor", lane, index })
}

const planTimer = (core: Core, owner: Owner, directive: Of<"arm" | "disarm">): Deed => {
  const timer = owner.method.protocol.timers.get(directive.timer)
  if (timer === undefined) {
    throw new AuthorMistake(`arms "${directive.timer}", which is no timer of its world`)
  }
  if (directive.kind === "disarm") return () => core.timers.arm(timer, undefined)
  const { ms } = directive
  if (!(Number.isFinite(ms) && ms >= 0)) {
    throw new AuthorMistake(`arms "${directive.timer}" for ${ms} ms; a time is 0 or more`)
  }
  return () => core.timers.arm(timer, core.atMs + ms)
}

/** `undefined`: everybody. */
const targets = (core: Core, to: Target): ReadonlyArray<NodeId> | undefined => {
  const { system, self } = core
  if (to === "all") return undefined
  if (to === "others") return system.members.filter((node) => node !== self)
  const nodes = typeof to === "number" ? [to] : [...new Set(to)]
  for (const node of nodes) {
    if (system.rank(node) < 0) throw new AuthorMistake(`forwards to node ${node}, no member`)
  }
  return nodes.length === system.size ? undefined : nodes
}
