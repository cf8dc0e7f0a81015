/**
 * Votes that came before their instance may open here: kept as a cache, charged to their sender,
 * so that a peer can fill only its own share. What is dropped is asked again.
 */
import { bytesEqual } from "../base/bytes.ts"
import type { Limits } from "../base/limits.ts"
import { NodeSet } from "../base/nodeSet.ts"
import type { LaneKey } from "./laneKey.ts"
import type { Word } from "./Message.ts"

export interface EarlyVote {
  readonly rank: number
  readonly word: Word
}
interface Kept extends EarlyVote {
  live: boolean
}
interface Waiting {
  readonly senders: NodeSet
  votes: Array<Kept>
}
interface Share {
  queue: Array<Kept>
  head: number
  count: number
  bytes: number
}

export class EarlyVotes {
  private readonly waiting = new Map<LaneKey, Map<number, Waiting>>()
  private readonly shares: ReadonlyArray<Share>
  private readonly limits: Limits
  private readonly members: number

  constructor(limits: Limits, members: number) {
    this.limits = limits
    this.members = members
    this.shares = Array.from({ length: members }, () => ({
      queue: [],
      head: 0,
      count: 0,
      bytes: 0
    }))
  }

  /**
   * A second value of one author is kept too, as evidence for whoever takes the votes; no third.
   * @returns who has named the instance by now; absent for a duplicate.
   */
  keep(rank: number, word: Word): NodeSet | undefined {
    const waiting = this.at(word.lane, word.index)
    const same = (k: Kept): boolean =>
      k.rank === rank && k.word.method === word.method && k.word.round === word.round
    const before = waiting.votes.filter(same)
    if (before.length > 1 || before.some((k) => bytesEqual(k.word.body, word.body))) {
      return undefined
    }
    const kept: Kept = { rank, word, live: true }
    waiting.votes.push(kept)
    waiting.senders.add(rank)
    const share = this.shares[rank]!
    share.queue.push(kept)
    share.count++
    share.bytes += word.body.length
    return waiting.senders
  }

  /** Drops the sender's oldest while it is over its share, and names them. */
  overflow(rank: number): ReadonlyArray<Word> {
    const share = this.shares[rank]!
    if (this.fits(share, 1)) return NO_WORDS
    const dropped: Array<Word> = []
    // One has room, however large it is.
    while (share.count > 1 && !this.fits(share, 1)) {
      const oldest = share.queue[share.head++]!
      if (!oldest.live) continue
      this.drop(oldest)
      dropped.push(oldest.word)
    }
    return dropped
  }

  /** Lets go of the sender's votes that nobody will ask for. */
  purge(rank: number, finished: (lane: LaneKey, index: number) => boolean): void {
    const share = this.shares[rank]!
    for (const kept of share.queue.slice(share.head)) {
      if (kept.live && finished(kept.word.lane, kept.word.index)) this.drop(kept)
    }
  }

  /** Hands over the votes of an instance that opens now. */
  take(lane: LaneKey, index: number): ReadonlyArray<EarlyVote> {
    const byIndex = this.waiting.get(lane)
    const waiting = byIndex?.get(index)
    if (byIndex === undefined || waiting === undefined) return NONE
    byIndex.delete(index)
    if (byIndex.size === 0) this.waiting.delete(lane)
    for (const kept of waiting.votes) this.release(kept)
    return waiting.votes
  }

  /** Nobody will open any instance of this lane. */
  forget(lane: LaneKey): void {
    for (const index of this.waiting.get(lane)?.keys() ?? []) this.take(lane, index)
  }

  /** Half of the sender's share is free. */
  roomy(rank: number): boolean {
    return this.fits(this.shares[rank]!, 2)
  }

  /** Votes wait here as words wait on the way: no more bytes than one cursor has out. */
  private fits(share: Share, times: number): boolean {
    const { earlyVotesMax, cursorBytesMax } = this.limits
    return share.count * times <= earlyVotesMax && share.bytes * times <= cursorBytesMax
  }

  get count(): number {
    return this.shares.reduce((sum, share) => sum + share.count, 0)
  }

  private at(lane: LaneKey, index: number): Waiting {
    let byIndex = this.waiting.get(lane)
    if (byIndex === undefined) this.waiting.set(lane, (byIndex = new Map()))
    let waiting = byIndex.get(index)
    if (waiting === undefined) {
      byIndex.set(index, (waiting = { senders: new NodeSet(this.members), votes: [] }))
    }
    return waiting
  }

  private drop(kept: Kept): void {
    this.release(kept)
    const { lane, index } = kept.word
    const byIndex = this.waiting.get(lane)
    const waiting = byIndex?.get(index)
    if (byIndex === undefined || waiting === undefined) return
    waiting.votes = waiting.votes.filter((other) => other !== kept)
    if (!waiting.votes.some((other) => other.rank === kept.rank)) waiting.senders.remove(kept.rank)
    if (waiting.votes.length > 0) return
    byIndex.delete(index)
    if (byIndex.size === 0) this.waiting.delete(lane)
  }

  private release(kept: Kept): void {
    const share = this.shares[kept.rank]!
    kept.live = false
    share.count--
    share.bytes -= kept.word.body.length
    if (share.head > 64 && share.head * 2 > share.queue.length) {
      share.queue = share.queue.slice(share.head)
      share.head = 0
    }
    if (share.queue.length - share.head > 2 * share.count + 64) {
      share.queue = share.queue.slice(share.head).filter(({ live }) => live)
      share.head = 0
    }
  }
}

const NONE: ReadonlyArray<EarlyVote> = []
const NO_WORDS: ReadonlyArray<Word> = []
