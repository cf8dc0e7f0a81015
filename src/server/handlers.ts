/**
 * An author's handlers in the engine's form: methods by wire id, each with what a context needs,
 * made once. One file knows what a handler sees.
 */
import type { Limits } from "../base/limits.ts"
import type { NodeId } from "../base/NodeId.ts"
import type { System } from "../quorum/QuorumSystem.ts"
import { encodePlain } from "../base/plainData.ts"
import { type ContextClasses, contextClasses } from "./contextClasses.ts"
import { DIRECTIVES, forwardTo, replyTo } from "./directives.ts"
import { type HookName, HOOKS, hookMethod } from "./hooks.ts"
import { LANE_NAME } from "./laneKey.ts"
import { isStanding, ROUND_MAX, SLOTS_MAX } from "./lanes.ts"
import { type MethodId, methodId, type Word } from "./Message.ts"
import type {
  CallKind,
  HandlerFunction,
  LaneSpec,
  KeyedHandler,
  MethodSpec,
  ProtocolSpec
} from "./Protocol.ts"
import type { Snapshot } from "./snapshot.ts"

/** A protocol that cannot run: the author's mistake, found before the node starts. */
export class ProtocolInvalid extends Error {
  override readonly name = "ProtocolInvalid"
}

export interface Method {
  readonly id: MethodId
  readonly spec: MethodSpec
  readonly call: CallKind
  readonly protocol: Protocol
  /** Phases are numbered 0, 1, 2 … on a node; -1: no phase. */
  readonly slot: number
  readonly run: HandlerFunction
  /** The handler takes votes, not every message. */
  readonly tallies: boolean
  readonly keyed: KeyedHandler
  /** Rounds are below it. */
  readonly rounds: number
  /** Its instance never finishes. */
  readonly standing: boolean
  /** Whose it is. */
  readonly node: Node
  readonly contexts: ContextClasses
  readonly sign: Sign
}

/** The 64 bytes of ed25519 for an own word, now: for a proof made before the host signed it. */
export type Sign = (word: Word) => Uint8Array
const unsigned: Sign = () => {
  throw new ProtocolInvalid("this node has no key to sign with")
}

/** One protocol on one node, with the state its handlers read. */
export interface Protocol {
  readonly id: MethodId
  readonly spec: ProtocolSpec
  readonly methods: ReadonlyMap<string, Method>
  /** `world.state`; `evolve` alone writes it. */
  state: unknown
  /**
   * The state a boot would find: without what was only noted. The same object until the first note.
   */
  logged: unknown
  readonly lanes: { readonly [name: string]: LaneView }
  readonly hooks: ReadonlyMap<HookName, Method>
  readonly timers: ReadonlyMap<string, Method>
  readonly snapshot: () => Snapshot
  /** The lane its application runs in. */
  readonly lane: string | undefined
}

/** What handlers see of a protocol lane. */
export interface LaneView {
  /** Highest index this node may forward to now. */
  readonly last: number
  /** Lowest index that is not finished yet: not delivered, or not decided, or too far ahead. */
  readonly own: number
  /** Highest index that the application has run. */
  readonly applied: number
  /** The index after which a state is being fetched; 0: none is. */
  readonly fetching: number
}

/** What handlers look at of the engine they run in. */
export interface Views {
  readonly lane: (name: string) => LaneView
  readonly snapshot: (protocol: MethodId) => Snapshot
}

export interface Node {
  readonly self: NodeId
  readonly system: System
  /** What the body of one message may hold. */
  readonly bodyBytesMax: number
}

const within = (count: number | undefined, max: number): boolean =>
  count !== undefined && Number.isInteger(count) && count >= 1 && count <= max

const checkLane = (named: string, lane: LaneSpec, limits: Limits): void => {
  if (lane.rounds !== "latest" && !within(lane.rounds ?? 1, limits.roundsMax)) {
    throw new ProtocolInvalid(`${named} needs rounds from 1 to ${limits.roundsMax}, or "latest"`)
  }
  if (isStanding(lane)) {
    if (lane.window === undefined) return
    throw new ProtocolInvalid(`${named} has one instance, so no window`)
  }
  if (!within(lane.window, limits.laneWindowMax)) {
    throw new ProtocolInvalid(`${named} needs a window from 1 to ${limits.laneWindowMax}`)
  }
}

export class Handlers {
  readonly byId = new Map<MethodId, Method>()
  readonly protocols = new Map<MethodId, Protocol>()
  private readonly sign: Sign
  private slots = 0

  /** @throws ProtocolInvalid */
  constructor(
    node: Node,
    specs: ReadonlyArray<ProtocolSpec>,
    limits: Limits,
    views: Views,
    sign: Sign = unsigned
  ) {
    this.sign = sign
    const lanes = new Set<string>()
    for (const spec of specs) {
      for (const [name, lane] of Object.entries(spec.world?.lanes ?? {})) {
        const named = `lane "${name}" of ${spec.name}`
        if (!LANE_NAME.test(name)) throw new ProtocolInvalid(`${named} must match ${LANE_NAME}`)
        if (lanes.has(name)) throw new ProtocolInvalid(`${named} is declared twice on this node`)
        checkLane(named, lane, limits)
        lanes.add(name)
      }
      this.compile(node, spec, views)
    }
  }

  private compile(node: Node, spec: ProtocolSpec, looks: Views): void {
    const methods = new Map<string, Method>()
    const hooks = new Map<HookName, Method>()
    const timers = new Map<string, Method>()
    const views: { [name: string]: LaneView } = {}
    for (const name of Object.keys(spec.world?.lanes ?? {})) views[name] = looks.lane(name)
    const state = plain(`the state of ${spec.name}`, spec.world?.state?.(node))
    const { application } = spec.world ?? {}
    if (application !== undefined && application.appliedIndex === undefined)
      plain(`the application of ${spec.name}`, application.initial())
    const protocol: Protocol = {
      id: methodId(spec.name),
      spec,
      methods,
      state,
      logged: state,
      lanes: views,
      hooks,
      timers,
      snapshot: () => looks.snapshot(methodId(spec.name)),
      lane: spec.world?.application && (spec.world.application.lane ?? Object.keys(views)[0])
    }
    if (this.protocols.has(protocol.id)) throw new ProtocolInvalid(`${spec.name} is given twice`)
    this.protocols.set(protocol.id, protocol)
    for (const method of spec.methods) {
      const compiled = this.method(node, protocol, method)
      const other = this.byId.get(compiled.id)
      if (other !== undefined) {
        const names = `${method.fullName} and ${other.spec.fullName}`
        throw new ProtocolInvalid(`${names} have the same wire id; rename one`)
      }
      this.byId.set(compiled.id, compiled)
      methods.set(method.name, compiled)
    }
    for (const name of HOOKS) {
      const hook = spec.world?.[name]
      if (hook === undefined) continue
      hooks.set(name, this.method(node, protocol, hookMethod(spec, `hook ${name}`, hook)))
    }
    for (const [name, timer] of Object.entries(spec.world?.timers ?? {})) {
      timers.set(name, this.method(node, protocol, hookMethod(spec, `timer ${name}`, timer)))
    }
  }

  private method(node: Node, protocol: Protocol, spec: MethodSpec): Method {
    const { handler } = spec
    const keyed: KeyedHandler = typeof handler === "function" ? {} : handler
    const run = typeof handler === "function" ? handler : (keyed.quorum ?? keyed.each)
    if (run === undefined) throw new ProtocolInvalid(`${spec.fullName} has neither each nor quorum`)
    const lane = keyed.lane === undefined ? undefined : protocol.spec.world?.lanes?.[keyed.lane]
    if (keyed.lane !== undefined && lane === undefined) {
      throw new ProtocolInvalid(`${spec.fullName} uses lane "${keyed.lane}", which is not declared`)
    }
    if (keyed.lane !== undefined && keyed.index === undefined) {
      throw new ProtocolInvalid(`${spec.fullName} uses lane "${keyed.lane}" and needs an index`)
    }
    const isPhase = spec.call === "phase"
    if (isPhase && this.slots >= SLOTS_MAX) throw new ProtocolInvalid("too many phases on one node")
    const tools = {
      ...node,
      ...DIRECTIVES,
      forward: forwardTo(spec.forwards),
      reply: replyTo(isPhase ? spec.replies : [spec.name])
    }
    const { lanes, snapshot } = protocol
    return {
      id: methodId(spec.fullName),
      spec,
      call: spec.call,
      protocol,
      slot: isPhase ? this.slots++ : -1,
      run,
      tallies: keyed.quorum !== undefined,
      keyed,
      rounds: lane?.rounds === "latest" ? ROUND_MAX : (lane?.rounds ?? 1),
      standing: lane !== undefined && isStanding(lane),
      node,
      contexts: contextClasses({ ...tools, lanes, snapshot }, protocol, spec.replies),
      sign: this.sign
    }
  }
}

/** What a checkpoint cannot keep is found before the node starts. */
const plain = (what: string, value: unknown): unknown => {
  try {
    encodePlain(value)
    return value
  } catch (thrown) {
    throw new ProtocolInvalid(`${what} is no plain data: ${(thrown as Error).message}`)
  }
}
