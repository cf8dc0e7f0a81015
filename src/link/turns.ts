/** Who may have something to say, each once, one after the other. */
import { Fifo } from "./fifo.ts"

export class Turns<T> {
  private readonly order = new Fifo<T>()
  private readonly waiting = new Set<T>()

  get length(): number {
    return this.order.length
  }

  /** False: it waits already. */
  add(who: T): boolean {
    if (this.waiting.has(who)) return false
    this.waiting.add(who)
    this.order.push(who)
    return true
  }

  next(): T | undefined {
    const who = this.order.shift()
    if (who !== undefined) this.waiting.delete(who)
    return who
  }
}
