import { assert } from "../base/assert.ts"

/** Events of one run; a run that needs more is stuck in a loop. */
export const EVENTS_MAX = 16_777_216

/**
 * The clock and the agenda of a run: events in order of their time, those of one millisecond in the
 * order in which they were planned. Nothing else makes anything happen in the simulator.
 */
export class VirtualTime {
  /** Integer milliseconds since the run began. */
  nowMs = 0
  /** Events that have happened. */
  steps = 0
  // A binary heap in two arrays. A key is time * EVENTS_MAX + order, so ties need no second look.
  readonly #keys: Array<number> = []
  readonly #actions: Array<() => void> = []
  #order = 0

  /** Events still to come. */
  get planned(): number {
    return this.#keys.length
  }

  /** Plans `action` in `delayMs` milliseconds, an integer from 0 on. */
  after(delayMs: number, action: () => void): void {
    assert(Number.isInteger(delayMs) && delayMs >= 0, "a delay is a natural number of milliseconds")
    assert(this.#order < EVENTS_MAX, `more than ${EVENTS_MAX} events in one run`)
    this.#push((this.nowMs + delayMs) * EVENTS_MAX + this.#order++, action)
  }

  /** Lets the next event happen; false when there is none. */
  next(): boolean {
    const key = this.#keys[0]
    if (key === undefined) return false
    const action = this.#actions[0]!
    this.#removeFirst()
    this.nowMs = Math.floor(key / EVENTS_MAX)
    this.steps++
    action()
    return true
  }

  #push(key: number, action: () => void): void {
    const keys = this.#keys
    const actions = this.#actions
    let at = keys.length
    keys.push(key)
    actions.push(action)
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (keys[parent]! < key) break
      keys[at] = keys[parent]!
      actions[at] = actions[parent]!
      at = parent
    }
    keys[at] = key
    actions[at] = action
  }

  #removeFirst(): void {
    const keys = this.#keys
    const actions = this.#actions
    const key = keys.pop()!
    const action = actions.pop()!
    const length = keys.length
    if (length === 0) return
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      if (child + 1 < length && keys[child + 1]! < keys[child]!) child++
      if (key < keys[child]!) break
      keys[at] = keys[child]!
      actions[at] = actions[child]!
      at = child
    }
    keys[at] = key
    actions[at] = action
  }
}
