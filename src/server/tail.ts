/** What of the words a node said is kept for others, and what goes. */
import type { Core } from "./core.ts"
import type { Word } from "./Message.ts"
import { isFor, type Peer } from "./peer.ts"
import type { Says } from "./says.ts"

/**
 * Drops what every peer has done; what is not for a peer it has taken and done anyway. Where that
 * leaves too much, the oldest goes once so many have finished with it that whoever asks them
 * learns what came of it. What nobody can finish, as calls of a client that lies, must not hold up
 * the rest: before calls are refused, what so many have taken is enough. A member that is away
 * then misses words.
 */
export const trimTail = (core: Core, peers: ReadonlyArray<Peer>): void => {
  const { says, limits } = core
  let least = says.last
  for (const peer of peers) {
    if (peer.done + 1 >= says.first) peer.done = skip(says, peer, peer.done, says.last)
    peer.taken = skip(says, peer, Math.max(peer.taken, peer.done), peer.cursor - 1)
    least = Math.min(least, peer.done)
  }
  says.trim(least)
  // By so much that it is rare.
  const { tailBytesMax } = limits
  const cut = (position: number) =>
    says.cut(position, tailBytesMax / 2, (word) => stands(core, word))
  if (says.siftable > 0.75 * tailBytesMax)
    cut(
      ofMost(
        core,
        peers.map((peer) => peer.done)
      )
    )
  if (says.siftable > 0.9 * tailBytesMax)
    cut(
      ofMost(
        core,
        peers.map((peer) => peer.taken)
      )
    )
}

/** The highest position up to `end` that has no word for the peer behind `from`. */
const skip = (says: Says, peer: Peer, from: number, end: number): number => {
  for (let slot = says.slot(from + 1); ; slot++) {
    const word = says.at(slot)
    if (word === undefined || word.position > end) return Math.max(from, end)
    if (isFor(word, peer.node)) return Math.max(from, word.position - 1)
  }
}

/** As far as all but as many members as may be faulty are, this node among them. */
const ofMost = ({ system, says }: Core, positions: ReadonlyArray<number>): number => {
  const others = system.size - system.faults - 1
  return others <= 0 ? says.last : positions.toSorted((a, b) => b - a)[others - 1]!
}

/** Its instance is not finished here: whoever still takes part in it needs the word. */
const stands = (core: Core, { lane: key, index, position }: Word): boolean => {
  const lane = core.lane(key)
  if (lane === undefined || lane.finished(index)) return false
  const words = lane.open.get(index)?.words() ?? []
  return words.some((word) => word.position === position)
}
