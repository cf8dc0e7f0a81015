/** The one argument a handler gets. */
import type { NodeId } from "../base/NodeId.ts"
import type { Quorum } from "../quorum/QuorumSystem.ts"
import type { TallyGroup } from "../quorum/Tally.ts"
import type { CallState } from "./calls.ts"
import { CallView } from "./callView.ts"
import { type Method, ProtocolInvalid } from "./handlers.ts"
import { laneBytes } from "./laneKey.ts"
import type { CastVote, Instance, Row } from "./lanes.ts"
import type { Word } from "./Message.ts"
import { type Certificate, certificateOf, type Signed, signedWord } from "./Proof.ts"

/** A call whose request came here: the client has said how far it acknowledges. */
class ClientCallView extends CallView {
  readonly acknowledgedBelow: number

  constructor(call: CallState) {
    super(call.session.key, call.index, call.method.spec.name)
    this.acknowledgedBelow = call.session.ackedBelow
  }
}

export const entryContext = (method: Method, call: CallState): object =>
  new method.contexts.Entry(call.message, new ClientCallView(call), call.copies, () => prove(call))

const prove = ({ session, index, method, body, proof }: CallState): object =>
  proof === undefined
    ? noProof(method)
    : { session: laneBytes(session.key), index, method: method.id, body, ...proof }

export const oneWayContext = (method: Method, message: object): object =>
  new method.contexts.OneWay(message)

export interface Cast {
  readonly method: Method
  readonly instance: Instance
  readonly row: Row
  readonly round: number
  readonly rank: number
  readonly message: object
  readonly word: Word
}

export const messageContext = (cast: Cast): object => {
  const { method, instance, round, message, word } = cast
  const author = method.node.system.member(cast.rank)
  const prove = (): object => signedWord(signed(method, author, word))
  return new method.contexts.Message(instance, round, message, author, prove)
}

const signed = (method: Method, author: NodeId, word: Word | undefined): Signed =>
  word === undefined || method.spec.signed !== true
    ? noProof(method)
    : { ...word, author, signature: word.signature ?? method.sign(word) }

const noProof = ({ spec }: Method): never => {
  throw new ProtocolInvalid(`${spec.fullName} is not signed: there is no proof of what came by it`)
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
    return this.cast.method.node.system.member(this.cast.rank)
  }
  /** How many members said the value just counted. */
  get count(): number {
    return this.group.count
  }
  /** Whether this node itself said the value just counted. */
  get mine(): boolean {
    const { system, self } = this.cast.method.node
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
  /** The certificate as a `quorate.v1.Certificate`; of a signed phase alone. */
  get proof(): Certificate {
    const { method } = this.cast
    const { system } = method.node
    return certificateOf(
      this.group.votes().map(({ rank, vote }) => {
        return signed(method, system.member(rank), vote.word)
      })
    )
  }
  /** Every vote of the phase, whatever its value, in member order. */
  get all(): ReadonlyArray<Vote> {
    return this.cast.row.tally.all().map(({ rank, vote }) => this.named(rank, vote))
  }
  private named(rank: number, vote: CastVote): Vote {
    return { from: this.cast.method.node.system.member(rank), message: vote.message }
  }
}

export const votesContext = (cast: Cast, group: TallyGroup<CastVote>): object => {
  const { method, instance, round } = cast
  return new method.contexts.Votes(instance, round, new VotesView(cast, group))
}
