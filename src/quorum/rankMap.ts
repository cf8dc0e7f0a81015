import { NodeSet } from "../base/nodeSet.ts"

/**
 * A value per member, in member order. Grows with the members that have one, so that a peer that
 * opens many of them in a large group costs what it said, not the group's size each.
 */
export class RankMap<V> {
  /** Who has a value. Read only: it names the places of the values. */
  readonly members: NodeSet
  /** Invariant: `values[members.before(rank)]` is the value of `rank`. */
  readonly values: Array<V> = []

  constructor(size: number) {
    this.members = new NodeSet(size)
  }

  get(rank: number): V | undefined {
    return this.members.has(rank) ? this.values[this.members.before(rank)] : undefined
  }

  /** False, and nothing is changed, when `rank` has a value. */
  add(rank: number, value: V): boolean {
    if (!this.members.add(rank)) return false
    const place = this.members.before(rank)
    const values = this.values
    // Pushed, then moved down: `splice` allocates the array it returns.
    values.push(value)
    for (let i = values.length - 1; i > place; i--) values[i] = values[i - 1]!
    values[place] = value
    return true
  }

  remove(rank: number): void {
    if (!this.members.has(rank)) return
    this.values.splice(this.members.before(rank), 1)
    this.members.remove(rank)
  }
}
