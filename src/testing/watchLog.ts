import { bytesEqual } from "../base/bytes.ts"
import type { LogCore } from "../link/logCore.ts"

/** What a node's log has held, over all its processes. */
export interface LogWatch {
  /** A record became durable, or survived a crash. Each once. */
  readonly durable: (record: Uint8Array) => void
  /** The log broke its promise. */
  readonly broken: (what: string) => void
}

/**
 * Remembers, outside the node, what its log was given and what it said is durable, and holds every
 * restart to it: a restarted log has all that was durable, then some of what was not, in order, and
 * nothing else.
 */
export class LogMemory {
  readonly #watch: LogWatch
  /** Durable, over all processes. */
  readonly #kept: Array<Uint8Array> = []
  /** Given to the process that runs, not known to be durable. */
  #pending: Array<Uint8Array> = []

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
    this.#kept.push(record)
    this.#watch.durable(record)
  }

  #replayed(found: ReadonlyArray<Uint8Array>): void {
    const kept = this.#kept.length
    const expected = [...this.#kept, ...this.#pending]
    this.#pending = []
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
      if (i >= kept) this.#keep(found[i]!)
    }
  }
}
