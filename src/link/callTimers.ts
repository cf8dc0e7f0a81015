import { assert } from "../base/assert.ts"

/** Something that waits for a time. */
export interface Timed {
  atMs: number
  /** Its place in the heap; -1: in none. Written by {@link Timers} only. */
  place: number
}

/**
 * A heap by `atMs` that knows where each element is, so that one which ends early leaves at once:
 * nothing of it stays until its deadline. Invariant: no element is later than those below it.
 */
export class Timers<T extends Timed> {
  readonly #heap: Array<T> = []

  get count(): number {
    return this.#heap.length
  }

  /** The earliest; of several any. */
  get first(): T | undefined {
    return this.#heap[0]
  }

  add(timed: T): void {
    assert(timed.place === -1, "a timer is added once")
    timed.place = this.#heap.length
    this.#heap.push(timed)
    this.#up(timed)
  }

  remove(timed: T): void {
    const { place } = timed
    if (place === -1) return
    const last = this.#heap.pop()!
    timed.place = -1
    if (last === timed) return
    last.place = place
    this.#heap[place] = last
    this.#up(last)
    this.#down(last)
  }

  move(timed: T, atMs: number): void {
    assert(timed.place !== -1, "only a timer that waits is moved")
    timed.atMs = atMs
    this.#up(timed)
    this.#down(timed)
  }

  #up(timed: T): void {
    const heap = this.#heap
    let place = timed.place
    while (place > 0) {
      const above = heap[(place - 1) >> 1]!
      if (above.atMs <= timed.atMs) break
      heap[place] = above
      above.place = place
      place = (place - 1) >> 1
    }
    heap[place] = timed
    timed.place = place
  }

  #down(timed: T): void {
    const heap = this.#heap
    let place = timed.place
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && heap[below + 1]!.atMs < heap[below]!.atMs) below++
      const child = heap[below]!
      if (child.atMs >= timed.atMs) break
      heap[place] = child
      child.place = place
      place = below
    }
    heap[place] = timed
    timed.place = place
  }
}
