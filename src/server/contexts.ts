/**
 * The one argument a handler gets. Literals of one shape each, so that building them stays cheap.
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Quorum } from "../quorum/QuorumSystem.ts"
import type { TallyGroup } from "../quorum/Tally.ts"
import type { CallState } from "./calls.ts"
import type { CallId } from "./Directive.ts"
import type { Method } from "./handlers.ts"
import type { CastVote, Instance, Row } from "./lanes.ts"
import { isSession, type LaneKey, laneBytes, laneText } from "./laneKey.ts"

/** A call's name as handlers see it: also fit to be put into a message (`quorate.v1.CallId`). */
export class CallView implements CallId {
  readonly index: number
  readonly method: string
  private readonly lane: LaneKey

  constructor(session: LaneKey, index: number, method: string) {
    this.lane = session
    this.index = index
    this.method = method
  }
  get session(): Uint8Array {
    return laneBytes(this.lane)
  }
  /** The call's name as a string, the same on every node. */
  get key(): string {
    return `${laneText(this.lane)}/${this.index}`
  }
}

/** A call whose request came here: the client has said how far it acknowledges. */
class ClientCallView extends CallView {
  readonly acknowledgedBelow: number

  constructor(call: CallState) {
    super(call.session.key, call.index, call.method.spec.name)
    this.acknowledgedBelow = call.session.ackedBelow
  }
}

export const entryContext = (method: Method, call: CallState): object => ({
  ...method.tools,
  message: call.message,
  call: new ClientCallView(call),
  copy: call.copies,
  state: method.protocol.state,
  lanes: method.protocol.lanes
})

export const oneWayContext = (method: Method, message: object): object => ({
  ...method.tools,
  message,
  state: method.protocol.state,
  lanes: method.protocol.lanes
})

/** Call of a phase message in a session lane; in a protocol lane the message itself names calls. */
const callOf = (method: Method, instance: Instance): CallView | undefined => {
  if (!isSession(instance.lane.key)) return undefined
  const [only, more] = method.spec.replies
  const name = instance.call?.method.spec.name ?? (more === undefined ? only : undefined) ?? ""
  return new CallView(instance.lane.key, instance.index, name)
}

export interface Cast {
  readonly method: Method
  readonly instance: Instance
  readonly row: Row
  readonly round: number
  readonly rank: number
  readonly message: object
}

export const messageContext = (cast: Cast): object => {
  const { method, instance } = cast
  return {
    ...method.tools,
    message: cast.message,
    author: method.tools.system.member(cast.rank),
    index: instance.index,
    round: cast.round,
    call: callOf(method, instance),
    state: method.protocol.state,
    lanes: method.protocol.lanes
  }
}

export interface Vote {
  readonly from: NodeId
  readonly message: object
}

/** The votes so far, seen from the one that just came. */
export class VotesView {
  private readonly cast: Cast
  private readonly group: TallyGroup<CastVote>

  constructor(cast: Cast, group: TallyGroup<CastVote>) {
    this.cast = cast
    this.group = group
  }
  /** The value just counted: the projection, or the message where nothing is projected. */
  get value(): unknown {
    return this.cast.method.keyed.agreeOn === undefined ? this.cast.message : this.group.value
  }
  get message(): object {
    return this.cast.message
  }
  get author(): NodeId {
    return this.cast.method.tools.system.member(this.cast.rank)
  }
  /** How many members said the value just counted. */
  get count(): number {
    return this.group.count
  }
  /** Whether this node itself said the value just counted. */
  get mine(): boolean {
    const { system, self } = this.cast.method.tools
    return this.group.voters.has(system.rank(self))
  }
  /** Whether the members that said the value just counted are such a quorum. */
  agreed(quorum: Quorum): boolean {
    return quorum.has(this.group.voters)
  }
  /** The votes for the value just counted, in member order. */
  get certificate(): ReadonlyArray<Vote> {
    return this.group.votes().map(({ rank, vote }) => this.named(rank, vote))
  }
  /** Every vote of the phase, whatever its value, in member order. */
  get all(): ReadonlyArray<Vote> {
    return this.cast.row.tally.all().map(({ rank, vote }) => this.named(rank, vote))
  }
  private named(rank: number, vote: CastVote): Vote {
    return { from: this.cast.method.tools.system.member(rank), message: vote.message }
  }
}

export const votesContext = (cast: Cast, group: TallyGroup<CastVote>): object => {
  const { method, instance } = cast
  return {
    ...method.tools,
    votes: new VotesView(cast, group),
    index: instance.index,
    round: cast.round,
    call: callOf(method, instance),
    state: method.protocol.state,
    lanes: method.protocol.lanes
  }
}
