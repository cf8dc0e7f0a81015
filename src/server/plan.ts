/**
 * A handler's directives, checked and encoded before any of them is done: what an author got
 * wrong changes nothing but the instance.
 */
import { NO_BYTES } from "../base/bytes.ts"
import type { ErrorCode, FailCode } from "../base/errorCode.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { Owner } from "./agreement.ts"
import { type CallName, callName } from "./application.ts"
import { AuthorMistake, bounded } from "./authorMistake.ts"
import type { Cast } from "./contexts.ts"
import type { Core } from "./core.ts"
import type { Directive, Step, Target } from "./Directive.ts"
import type { Method } from "./handlers.ts"
import { COUNT_MAX } from "./laneKey.ts"
import { type Instance, type Lane, ProtocolLane } from "./lanes.ts"
import type { Floor } from "./LogRecord.ts"
import type { MethodId, Request } from "./Message.ts"
import { type PlannedApplication, planApplication } from "./planApplication.ts"
import { proofsIn, type Signed, type SignedRequest, wordsOf } from "./Proof.ts"
import { type Answer, Session } from "./sessions.ts"

const NO_WORDS: ReadonlyArray<Signed> = []

export type Planned =
  | { readonly kind: "ignore" }
  | {
      readonly kind: "say"
      readonly method: Method
      readonly lane: Lane
      readonly index: number
      readonly round: number
      readonly body: Uint8Array
      readonly message: object
      readonly to: ReadonlyArray<NodeId> | undefined
    }
  | {
      readonly kind: "answer" | "tentative"
      readonly call: CallName | undefined
      readonly answer: Answer
    }
  | { readonly kind: "refuse"; readonly code: ErrorCode; readonly node: NodeId | undefined }
  | { readonly kind: "evolve"; readonly body: Uint8Array; readonly logged: boolean }
  | PlannedApplication
  | { readonly kind: "admit"; readonly request: Request }
  | { readonly kind: "count"; readonly words: ReadonlyArray<Signed> }
  | { readonly kind: "park"; readonly key: string; readonly cast: Cast }
  | { readonly kind: "wake"; readonly key: string }
  | { readonly kind: "deliver"; readonly instance: Instance; readonly body: Uint8Array }
  | Floor
  /** `dueMs` absent: it is disarmed. */
  | { readonly kind: "arm"; readonly timer: Method; readonly dueMs: number | undefined }

/** @throws AuthorMistake, or what a codec throws on a message it cannot encode */
export const plan = (core: Core, owner: Owner, step: Step): ReadonlyArray<Planned> => {
  const planned: Array<Planned> = []
  const directives = Array.isArray(step) ? step : [step]
  for (const directive of directives as ReadonlyArray<Directive>) {
    const todo = planOne(core, owner, directive)
    if (todo !== undefined) planned.push(todo)
  }
  const delivers = planned.findIndex(({ kind }) => kind === "deliver")
  return delivers < 0 ? planned : deliverLast(planned, delivers)
}

/** What is said beside a delivery is said before it ends the instance. */
const deliverLast = (planned: Array<Planned>, at: number): ReadonlyArray<Planned> => {
  const ends = planned.filter(({ kind }) => kind === "deliver" || kind === "apply")
  if (ends.length > 1) throw new AuthorMistake("delivers and ends its instance twice")
  const [deliver] = planned.splice(at, 1) as [Extract<Planned, { kind: "deliver" }>]
  planned.push(deliver)
  // Somebody called there: it is told that it is done, unless the step replied otherwise.
  if (deliver.instance.lane instanceof Session)
    planned.push({ kind: "answer", call: undefined, answer: { body: NO_BYTES } })
  return planned
}

const FAIL_CODES: ReadonlySet<FailCode> = new Set([
  "invalid",
  "not_found",
  "conflict",
  "unavailable",
  "internal"
])

const planOne = (core: Core, owner: Owner, directive: Directive): Planned | undefined => {
  switch (directive?.kind) {
    case "wait":
      return undefined
    case "ignore":
      return { kind: "ignore" }
    case "forward":
      return planForward(core, owner, directive)
    case "reply":
      return planReply(core, owner, directive)
    case "fail": {
      const { code, detail } = directive
      if (!FAIL_CODES.has(code)) throw new AuthorMistake(`fails with "${code}", which is no code`)
      if (typeof detail !== "string") throw new AuthorMistake("fails with a detail that is no text")
      return { kind: "answer", call: undefined, answer: { code, detail, body: NO_BYTES } }
    }
    case "refuse":
      if (owner.call === undefined)
        throw new AuthorMistake("refuses, but no call's copy is handled")
      if (directive.code !== "redirect" && directive.code !== "overloaded")
        throw new AuthorMistake("refuses with what is no code")
      if (directive.code === "redirect" && core.system.rank(directive.node) < 0) {
        throw new AuthorMistake(`redirects to node ${directive.node}, no member`)
      }
      return {
        kind: "refuse",
        code: directive.code,
        node: directive.code === "redirect" ? directive.node : undefined
      }
    case "store":
    case "note": {
      const codec = owner.method.protocol.spec.world?.record
      if (codec === undefined) throw new AuthorMistake("stores, but its world declares no record")
      const body = codec.encode(directive.record)
      return { kind: "evolve", body, logged: directive.kind === "store" }
    }
    case "apply":
    case "rollback":
    case "read":
    case "install":
      return planApplication(core, owner, directive)
    case "park":
      if (owner.cast === undefined) throw new AuthorMistake("parks what is no phase's message")
      return { kind: "park", key: keyOf(owner, directive.key), cast: owner.cast }
    case "wake":
      return { kind: "wake", key: keyOf(owner, directive.key) }
    case "deliver":
      return planDeliver(core, owner, directive)
    case "floor":
      return planFloor(owner, directive)
    case "arm":
    case "disarm":
      return planTimer(core, owner, directive)
    case "count":
      return { kind: "count", words: wordsOf(directive.proof) ?? NO_WORDS }
    case "admit":
      return planAdmit(core, directive.request)
    default:
      throw new AuthorMistake("returned what is no directive")
  }
}

/** A request of a client, by way of a member; `ignore` where it names no call of this node. */
const planAdmit = (core: Core, shown: SignedRequest): Planned => {
  const method = core.handlers.byId.get(shown.method)
  const { session, index, body, clientKey, nonce, signature } = shown
  const named = callName({ session, index, method: "" })
  if (method?.call !== "multiparty" || named === undefined || !(body instanceof Uint8Array)) {
    return { kind: "ignore" }
  }
  if (core.system.model === "byzantine" && method.spec.signed !== true) {
    const why = "in a Byzantine group any member could have made the request up"
    throw new AuthorMistake(`admits ${method.spec.fullName}, which clients do not sign: ${why}`)
  }
  const proof = method.spec.signed === true ? { proof: { clientKey, nonce, signature } } : undefined
  const at = { session: named.session, index, ackedBelow: 1, method: method.id, deadlineMs: 0 }
  return { kind: "admit", request: { kind: "request", ...at, body, ...proof } }
}

const planForward = (
  core: Core,
  owner: Owner,
  directive: Extract<Directive, { kind: "forward" }>
): Planned => {
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
  return { kind: "say", method, lane, index, round, body, message, to: targets(core, directive.to) }
}

const planReply = (
  core: Core,
  owner: Owner,
  directive: Extract<Directive, { kind: "reply" }>
): Planned => {
  const { method, protocol } = { ...directive, protocol: owner.method.protocol }
  const replied = method === undefined ? owner.method : protocol.methods.get(method)
  if (replied === undefined) throw new AuthorMistake(`replies to ${method}, which is no method`)
  const body = bounded(core, replied.spec.output.encode(directive.message))
  const call = callName(directive.call)
  if (directive.call !== undefined && call === undefined) {
    throw new AuthorMistake("replies to what is no call id")
  }
  if (directive.tentative !== true) return { kind: "answer", call, answer: { body } }
  if (owner.instance === undefined) throw new AuthorMistake("replies tentatively, without phases")
  return { kind: "tentative", call, answer: { body } }
}

const PARK_KEY_MAX = 128
/** Keys are a protocol's own. */
const keyOf = ({ method }: Owner, key: unknown): string => {
  const text = typeof key === "number" ? String(key) : key
  if (typeof text === "string" && text.length <= PARK_KEY_MAX)
    return `${method.protocol.id} ${text}`
  throw new AuthorMistake(`needs a key: a number, or a text of at most ${PARK_KEY_MAX} characters`)
}

const planDeliver = (
  core: Core,
  owner: Owner,
  directive: Extract<Directive, { kind: "deliver" }>
): Planned => {
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
  return { kind: "deliver", instance, body: bounded(core, message.encode(directive.message)) }
}

const planFloor = (
  owner: Owner,
  { lane, index }: Extract<Directive, { kind: "floor" }>
): Planned => {
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
  return { kind: "floor", lane, index }
}

const planTimer = (
  core: Core,
  owner: Owner,
  directive: Extract<Directive, { kind: "arm" | "disarm" }>
): Planned => {
  const timer = owner.method.protocol.timers.get(directive.timer)
  if (timer === undefined) {
    throw new AuthorMistake(`arms "${directive.timer}", which is no timer of its world`)
  }
  if (directive.kind === "disarm") return { kind: "arm", timer, dueMs: undefined }
  const { ms } = directive
  if (!(Number.isFinite(ms) && ms >= 0)) {
    throw new AuthorMistake(`arms "${directive.timer}" for ${ms} ms; a time is 0 or more`)
  }
  return { kind: "arm", timer, dueMs: core.atMs + ms }
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
