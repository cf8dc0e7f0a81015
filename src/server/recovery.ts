/**
 * Every loss of what nodes said has one owner, and this is it: a cursor per peer into the tail,
 * wound back at every link up.
 */
import type { NodeId } from "../base/NodeId.ts"
import type { Core } from "./core.ts"
import type { EpochStanding } from "./epoch.ts"
import type { Lane } from "./lanes.ts"
import { type LaneKey, laneText } from "./laneKey.ts"
import type { Behind, Cut, PeerMessage, Resume, Taken, Want, WantLane, Word } from "./Message.ts"
import type { MemberKept } from "./LogRecord.ts"
import { Gone } from "./gone.ts"
import { isFor, memberKept, NOTHING_ASKED, Peer } from "./peer.ts"
import { wordBytes } from "./says.ts"
import type { Session } from "./sessions.ts"
import { trimTail } from "./tail.ts"

/** Tell `taken` within a turn after this many words; a tick tells what is left. */
const TELL_WORDS = 64
const TELL_BYTES = 262_144
/** Words to one peer in one turn, so that one which is far behind holds up nobody else. */
const PUMP_WORDS = 4096
export class Recovery {
  private readonly core: Core
  private readonly peers: ReadonlyArray<Peer>
  readonly gone: Gone

  constructor(core: Core) {
    this.core = core
    this.gone = new Gone(core)
    this.peers = core.system.members
      .map((node, rank) => new Peer(node, rank))
      .filter((peer) => peer.rank !== core.rank)
  }

  up(node: NodeId, storeId: string): void {
    const peer = this.of(node)
    if (peer === undefined) return
    peer.up = true
    peer.wanted = false
    if (peer.storeId === "") peer.storeId = storeId
    else if (peer.storeId !== storeId) this.meet(peer, storeId)
    peer.toldTaken = -1
    peer.toldDone = -1
    this.gone.up(peer.rank)
    peer.resends.clear()
    peer.resentBytes = 0
    this.ask(peer, peer.got === 0 ? 0 : peer.got + 1)
    const { told } = this.core.epoch
    if (told !== undefined) this.send(peer, told)
    for (const lane of this.core.lanes.values()) this.askAfresh(lane, peer)
    for (const session of this.core.sessions.table.values()) this.askAfresh(session, peer)
  }

  /** The epoch goes on: for all lives. Peers that are away are told as their links come up. */
  epoch(to: EpochStanding): boolean {
    const { epoch, outbox } = this.core
    if (!epoch.advance(to)) return false
    outbox.log(to)
    for (const peer of this.peers) if (peer.up) this.send(peer, to)
    this.epochStands()
    return true
  }

  /** The host hears where the epoch stands, once that is durable. */
  epochStands(): void {
    const { epoch, outbox, self } = this.core
    if (epoch.told !== undefined) outbox.emit({ kind: "epoch", of: self, standing: epoch.told })
  }

  down(node: NodeId): void {
    const peer = this.of(node)
    if (peer === undefined) return
    peer.up = false
    peer.wanted = false
  }

  /** For a checkpoint. Of members never seen: that what left the tail was not for them. */
  members(): ReadonlyArray<MemberKept> {
    return this.peers.filter(({ storeId, done }) => storeId !== "" || done > 0).map(memberKept)
  }

  /** At boot. */
  remember({ node, storeId, done }: MemberKept): void {
    const peer = this.of(node)
    if (peer === undefined) return
    peer.kept = storeId !== ""
    peer.missed = true
    peer.storeId = storeId
    peer.done = done
    peer.taken = done
  }

  /** Another store is another memory: positions start anew; what left the tail is not for it. */
  private meet(peer: Peer, storeId: string): void {
    peer.storeId = storeId
    peer.got = 0
    peer.shed = 0
    peer.taken = this.core.says.first - 1
    peer.done = peer.taken
    peer.asked = NOTHING_ASKED
    peer.unfinished = []
    peer.head = 0
  }

  /** The peer says where to send from. 0: from the first word it had not told as done. */
  want(node: NodeId, message: Want): void {
    const peer = this.of(node)
    if (peer?.up !== true) return
    const { says } = this.core
    const from = message.position === 0 ? peer.done + 1 : Math.min(message.position, says.last + 1)
    peer.wanted = true
    peer.cut = 0
    peer.cursor = from
    peer.taken = from - 1
    // Such words are done once they are taken, so who lost its memory is told them anew.
    const standing = message.position === 0 ? this.core.standing() : []
    peer.standing = standing.filter((w) => w.position < peer.cursor && isFor(w, peer.node))
    this.tellCut(peer)
    this.send(peer, { kind: "resume", position: from })
  }

  /** The answer to our want: the peer's words come from here on, perhaps some of them again. */
  resume(node: NodeId, message: Resume): void {
    const peer = this.of(node)
    if (peer === undefined) return
    if (peer.asked === NOTHING_ASKED) return this.core.count("resume_unasked")
    // What was dropped after the want went out does not come with this answer.
    if (peer.shed >= peer.asked) peer.shed = 0
    peer.asked = NOTHING_ASKED
    peer.got = message.position - 1
    peer.unfinished = peer.unfinished.slice(peer.head).filter((u) => u.position <= peer.got)
    peer.head = 0
  }

  /** The peer dropped words of a lane: they are sent again beside the cursor. */
  wantLane(node: NodeId, message: WantLane): void {
    const peer = this.of(node)
    if (peer?.up !== true || !peer.wanted) return
    // What we know nothing of we never spoke in.
    const lane = this.core.lane(message.lane)
    if (lane === undefined) return
    if (message.from < lane.own) this.late(node, lane)
    // What it dropped may be gone by now, though it took it once.
    this.tellCut(peer, peer.done + 1)
    peer.resends.ask(message.lane, message)
  }

  taken(node: NodeId, message: Taken): void {
    const peer = this.of(node)
    if (peer === undefined) return
    peer.resentBytes = 0
    // What was not sent to it yet it cannot have.
    const { cursor } = peer
    if (message.taken > peer.taken && message.taken < cursor) peer.taken = message.taken
    if (message.done > peer.done && message.done < cursor) peer.done = message.done
    if (peer.shed === 0 && peer.asked === NOTHING_ASKED) this.gone.closed(peer.rank, message.done)
  }

  /**
   * Notes that a peer's word was given to this engine.
   * @param tracked its instance may finish here, and the peer waits for that
   * @returns whether its position is new here
   */
  took(node: NodeId, word: Word, tracked: boolean): boolean {
    const peer = this.of(node)
    if (peer === undefined) return false
    if (!peer.kept && peer.storeId !== "") {
      peer.kept = true
      this.core.outbox.log(memberKept(peer))
    }
    peer.gotBytes += word.body.length + 1
    if (word.position <= peer.got) return false
    peer.got = word.position
    if (tracked && !this.core.finished(word.lane, word.index)) this.track(peer, word)
    return true
  }

  private track(peer: Peer, { position, lane, index }: Word): void {
    if (peer.unfinished.length >= peer.compactAt) this.compact(peer)
    if (peer.unfinished.length >= this.core.limits.unfinishedMax)
      return this.shed(peer.node, position)
    peer.unfinished.push({ position, lane, index })
  }

  /** A peer's word was dropped for want of room: it is asked for again once there is room. */
  shed(node: NodeId, position: number): void {
    const peer = this.of(node)
    // What the cursor was wound back before comes again anyway: to ask from there would skip words.
    if (peer === undefined || position > peer.got) return
    if (peer.shed === 0 || position < peer.shed) peer.shed = position
  }

  /** Words of the peer were dropped for want of room, and no want for them is on its way. */
  shedding(node: NodeId): boolean {
    const peer = this.of(node)
    return peer?.up === true && peer.shed > 0 && peer.asked === NOTHING_ASKED
  }

  /** There is room again for words of `node`. */
  unshed(node: NodeId): void {
    const peer = this.of(node)
    if (peer === undefined) return
    this.compact(peer)
    if (2 * peer.unfinished.length <= this.core.limits.unfinishedMax) this.ask(peer, peer.shed)
  }

  /** An instance opens: words of it that were dropped before are asked for beside the others. */
  opened(lane: Lane, index: number): void {
    for (const peer of this.peers) {
      if (peer.shed === 0) continue
      lane.drop(peer.rank, index)
      this.askAgain(lane.key, peer)
    }
  }

  /** Words of some other member were dropped for want of room. */
  shedsBut(rank: number): boolean {
    return this.peers.some((peer) => peer.shed > 0 && peer.rank !== rank)
  }

  /** What was dropped of this instance comes again: room for all that was may never come. */
  seek(lane: LaneKey, index: number): void {
    for (const peer of this.peers) {
      if (!peer.up || peer.shed === 0) continue
      this.send(peer, { kind: "wantLane", lane, from: index, to: index + 1 })
    }
  }

  /** Asks for the peer's words from `position` on, and for those before it that were dropped. */
  private ask(peer: Peer, position: number): void {
    peer.asked = peer.shed > 0 ? Math.min(peer.shed, position) : position
    this.send(peer, { kind: "want", position: peer.asked })
  }

  /** The peer's link is new: what the last one carried may be lost. */
  private askAfresh(lane: Lane, peer: Peer): void {
    lane.unasked(peer.rank)
    this.askAgain(lane.key, peer)
  }

  /** Whoever says it: the client has all answers below `below`. */
  acknowledge(session: Session, below: number): void {
    const { own, key } = session
    const lost = session.acknowledge(below)
    if (session.own !== own) this.regain(key)
    if (lost === undefined) return
    const where = `${laneText(key)}/${lost.low}`
    const why = "their client went too far ahead"
    this.core.report("lost", `${lost.count} calls from ${where} on: ${why}`)
    this.core.count("lost", lost.count - 1)
  }

  /** Asks the peers whose words of this lane were dropped above its window. */
  regain(lane: LaneKey): void {
    for (const peer of this.peers) this.askAgain(lane, peer)
  }

  private askAgain(key: LaneKey, peer: Peer): void {
    if (!peer.up) return
    const range = this.core.lane(key)?.regain(peer.rank)
    if (range !== undefined) this.send(peer, { kind: "wantLane", lane: key, ...range })
  }

  /** Ends a turn: words go out as far as each peer has room, and peers are told what was taken. */
  turn(tick: boolean): void {
    trimTail(this.core, this.peers)
    if (tick) this.gone.tick()
    for (const peer of this.peers) {
      if (!peer.up) continue
      if (peer.wanted) this.pump(peer)
      if (tick) for (const behind of this.gone.tell(peer.rank)) this.send(peer, behind)
      const news = peer.got - peer.toldTaken
      if (tick || news >= TELL_WORDS || peer.gotBytes >= TELL_BYTES) this.tell(peer)
    }
  }

  /** Tells a peer, before what follows, that words from `needs` on are gone. */
  private tellCut(peer: Peer, needs = Math.max(peer.cursor, peer.done + 1)): void {
    const { says, lanes } = this.core
    if (Math.max(needs, peer.cut) >= says.first) return
    peer.cut = says.first
    peer.missed = true
    peer.toldDone = -1
    this.send(peer, { kind: "cut", position: says.first })
    for (const { key, own } of lanes.values()) this.send(peer, { kind: "behind", lane: key, own })
  }

  cut(node: NodeId, { position }: Cut): void {
    const peer = this.of(node)
    if (peer === undefined) return
    if (!this.gone.cut(peer.rank)) return this.core.count("cut_again")
    for (const lane of this.core.lanes.values()) lane.unawait(peer.rank)
    for (const session of this.core.sessions.table.values()) session.unawait(peer.rank)
    this.core.report("cut", `node ${node} keeps its words below ${position} no longer`)
  }

  behind(node: NodeId, message: Behind): void {
    const peer = this.of(node)
    if (peer !== undefined) this.gone.behind(peer.rank, message)
  }

  /** A peer is below where this node is in a lane of the protocol. */
  late(node: NodeId, lane: Lane): void {
    const peer = this.of(node)
    if (peer !== undefined && this.core.lanes.has(lane.key)) this.gone.late(peer.rank, lane.key)
  }

  private pump(peer: Peer): void {
    const { says } = this.core
    this.tellCut(peer)
    this.resend(peer)
    const room = this.room(peer)
    if (room <= 0) return
    const start = says.slot(peer.cursor)
    for (let slot = start; slot < start + PUMP_WORDS; slot++) {
      const word = says.at(slot)
      if (word === undefined) {
        peer.cursor = says.last + 1
        return
      }
      peer.cursor = word.position
      if (slot > start && says.startOf(slot + 1) - says.startOf(start) > room) return
      peer.cursor++
      if (isFor(word, peer.node)) this.send(peer, word)
    }
  }

  /** Bytes that may still go out before the peer tells what it took. */
  private room(peer: Peer): number {
    const { says, limits } = this.core
    const under = says.bytesBetween(peer.taken + 1, peer.cursor)
    return limits.cursorBytesMax - under - peer.resentBytes
  }

  private resend(peer: Peer): void {
    while (peer.standing.length > 0 && this.room(peer) > 0) {
      const word = peer.standing.shift()!
      peer.resentBytes += wordBytes(word)
      this.send(peer, word)
    }
    peer.resends.walk(this.core.says, peer.cursor, (word) => {
      if (!isFor(word, peer.node)) return true
      if (this.room(peer) <= 0) return false
      peer.resentBytes += wordBytes(word)
      this.core.count("resent")
      this.send(peer, word)
      return true
    })
  }

  private tell(peer: Peer): void {
    const { unfinished } = peer
    while (peer.head < unfinished.length) {
      const oldest = unfinished[peer.head]!
      if (!this.core.finished(oldest.lane, oldest.index)) break
      peer.head++
    }
    if (peer.head > 1024 && peer.head * 2 > unfinished.length) {
      peer.unfinished = unfinished.slice(peer.head)
      peer.head = 0
    }
    const oldest = peer.unfinished[peer.head]
    const kept = peer.shed > 0 ? Math.min(peer.got, peer.shed - 1) : peer.got
    const reached = oldest === undefined ? kept : Math.min(kept, oldest.position - 1)
    // Words that came again are news too: their sender waits for room.
    const { last } = this.core.says
    const saidAll = peer.wanted && peer.cursor > last && peer.resends.idle
    const done = peer.missed && !saidAll ? 0 : reached
    const news = peer.gotBytes > 0 || peer.got !== peer.toldTaken || done !== peer.toldDone
    peer.gotBytes = 0
    if (!news) return
    peer.toldTaken = peer.got
    peer.toldDone = done
    this.send(peer, { kind: "taken", taken: peer.got, done })
  }

  /**
   * The list is bounded by the unfinished instances, so it is rid of the finished ones as it
   * grows.
   */
  private compact(peer: Peer): void {
    peer.unfinished = peer.unfinished
      .slice(peer.head)
      .filter(({ lane, index }) => !this.core.finished(lane, index))
    peer.head = 0
    peer.compactAt = Math.max(1024, 2 * peer.unfinished.length)
  }

  private of(node: NodeId): Peer | undefined {
    const rank = this.core.system.rank(node)
    return rank < 0 || rank === this.core.rank
      ? undefined
      : this.peers[rank < this.core.rank ? rank : rank - 1]
  }

  private send(peer: Peer, message: PeerMessage): void {
    this.core.outbox.emit({ kind: "send", to: peer.node, message })
  }
}
