import type { NodeId } from "../base/NodeId.ts"
import type { LaneKey } from "./laneKey.ts"
import type { MemberKept } from "./LogRecord.ts"
import type { Word } from "./Message.ts"
import { Resends } from "./resends.ts"

/** A word that came and whose instance is not finished here yet. */
interface Unfinished {
  readonly position: number
  readonly lane: LaneKey
  readonly index: number
}

/** No want is on its way. */
export const NOTHING_ASKED = -1

/** What a node knows of another member, as far as words between them go. */
export class Peer {
  readonly node: NodeId
  readonly rank: number
  up = false
  storeId = ""
  /** Our log knows its store: before that none of its words counts. */
  kept = false
  /** It has told from where to send: before that no word leaves. */
  wanted = false
  /** Next position to send. */
  cursor = 1
  /** It took our words up to here; they are on no way any more. */
  taken = 0
  /** It has finished, durably, the instances of our words up to here. */
  done = 0
  /** Words of instances that never finish, which it is told anew. */
  standing: Array<Word> = []
  readonly resends = new Resends()
  /** It was told that words below this position are gone; 0: not over this link. */
  cut = 0
  /**
   * Words that it had not done are gone, or may be since an earlier life: `done` is told it only
   * once it was sent all others.
   */
  missed = false
  /** Bytes said again beside the cursor since it last told what it took. */
  resentBytes = 0
  /** Highest position of its words that we took. */
  got = 0
  gotBytes = 0
  /** Position of our want that its resume has not answered yet. */
  asked = NOTHING_ASKED
  /** Lowest position of its words that we dropped for want of room; 0: none. */
  shed = 0
  toldTaken = -1
  toldDone = -1
  unfinished: Array<Unfinished> = []
  head = 0
  compactAt = 1024

  constructor(node: NodeId, rank: number) {
    this.node = node
    this.rank = rank
  }
}

export const memberKept = ({ node, storeId, done }: Peer): MemberKept => ({
  kind: "member",
  node,
  storeId,
  done
})

export const isFor = (word: Word, node: NodeId): boolean =>
  word.to === undefined || word.to.includes(node)
