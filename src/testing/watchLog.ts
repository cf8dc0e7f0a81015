import { bytesEqual } from "../base/bytes.ts"
import type { LogCore } from "../link/logCore.ts"

/** What a node's log has held, over all its processes. */
export interface LogWatch {
  /** A record became durable, or survived a crash. Each once; of checkpoints none. */
  readonly durable: (record: Uint8Array) => void
  /** A checkpoint became durable, or survived a crash. */
  readonly cut: () => void
  /** The log broke its promise. */
  readonly broken: (what: string) => void
}

/**
 * Remembers, outside the node, what its log was given and what it said is durable, and holds every
 * restart to it: a restarted log has all that was durable since the last checkpoint, that included,
 * then some of what was not, in order, and nothing else.
 */
export class LogMemory {
  readonly #watch: LogWatch
  /** Durable, over all processes, from the last durable checkpoint on. */
  #kept: Array<Uint8Array> = []
  /** Given to the process that runs, not known to be durable. */
  #pending: Array<Uint8Array> = []
  readonly #checkpoints = new WeakSet<Uint8Array>()

  constructor(watch: LogWatch) {
    this.#watch = watch
  }

  get records(): number {
    return this.#kept.length
  }

  /** The log as the host core gets it: `log` itself, and every word to and from it is noted. */
  over(log: LogCore): LogCore {
    let known = 0
    const durable = (): void => {
      const now = log.durable
      while (known < now) {
        known++
        this.#keep(this.#pending.shift()!)
      }
    }
    const watched: Pick<LogCore, keyof LogCore> = {
      storeId: log.storeId,
      made: log.made,
      repaired: log.repaired,
      replay: (each) => {
        const found: Array<Uint8Array> = []
        const invalid = log.replay((record) => {
          found.push(record)
        })
        if (invalid === undefined) this.#replayed(found)
        for (const record of found) each(record)
        return invalid
      },
      append: (record) => {
        this.#pending.push(record)
        return log.append(record)
      },
      queue: (record) => {
        this.#pending.push(record)
        return log.queue(record)
      },
      cut: (record) => {
        this.#pending.push(record)
        this.#checkpoints.add(record)
        return log.cut(record)
      },
      get due() {
        return log.due
      },
      flush: () => log.flush(),
      listen: (listener) =>
        log.listen({
          durable: () => {
            durable()
            listener.durable()
          },
          failed: listener.failed
        }),
      get appended() {
        return log.appended
      },
      get durable() {
        return log.durable
      },
      get bytes() {
        return log.bytes
      },
      get full() {
        return log.full
      },
      get failure() {
        return log.failure
      }
    }
    // The class has private fields, so no other object has its type; nobody here needs them.
    return watched as LogCore
  }

  #keep(record: Uint8Array): void {
    if (this.#checkpoints.has(record)) {
      this.#kept = []
      this.#watch.cut()
    } else this.#watch.durable(record)
    this.#kept.push(record)
  }

  #replayed(found: ReadonlyArray<Uint8Array>): void {
    const pending = this.#pending
    this.#pending = []
    // A checkpoint that was being written is there: so is all that was queued before it.
    const cut = pending.findLastIndex(
      (record) => this.#checkpoints.has(record) && found[0] && bytesEqual(record, found[0])
    )
    for (const record of pending.splice(0, cut + 1)) this.#keep(record)
    const kept = this.#kept.length
    const expected = [...this.#kept, ...pending]
    if (found.length < kept) {
      this.#watch.broken(`${kept - found.length} of ${kept} durable records are gone`)
    }
    if (found.length > expected.length) {
      this.#watch.broken(`${found.length} records where ${expected.length} were written`)
    }
    const count = Math.min(found.length, expected.length)
    for (let i = 0; i < count; i++) {
      if (!bytesEqual(found[i]!, expected[i]!)) {
        this.#watch.broken(`record ${i + 1} came back with other bytes`)
      }
      if (i >= kept) this.#keep(expected[i]!)
    }
  }
}
