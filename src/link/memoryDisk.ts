/** A disk that forgets at the end of the process: the "memory" store of a group, and tests. */
import { assert } from "../base/assert.ts"
import type { Disk, DiskFailure } from "./ports.ts"

export class MemoryDisk implements Disk {
  readonly where: string
  readonly #later: (run: () => void) => void
  readonly #files = new Map<string, Array<Uint8Array>>()

  /**
   * `later` runs a function soon, never before it has returned (for instance `setImmediate`, or a
   * simulator's queue). `files`: what the disk holds at first; shared, never changed.
   */
  constructor(options: {
    readonly later: (run: () => void) => void
    readonly files?: ReadonlyMap<string, Uint8Array>
    readonly where?: string
  }) {
    this.where = options.where ?? "memory"
    this.#later = options.later
    for (const [name, bytes] of options.files ?? []) this.#files.set(name, [bytes])
  }

  list(): ReadonlyArray<string> {
    return [...this.#files.keys()].sort()
  }

  read(name: string): Uint8Array {
    const chunks = this.#files.get(name)
    if (chunks === undefined) throw new Error(`${name} does not exist`)
    if (chunks.length === 1) return chunks[0]!
    const whole = concat(chunks)
    this.#files.set(name, [whole])
    return whole
  }

  create(name: string, bytes: Uint8Array): void {
    this.#files.set(name, [bytes.slice()])
  }

  truncate(name: string, length: number): void {
    const whole = this.read(name)
    assert(length <= whole.length, "a truncate only cuts")
    if (length < whole.length) this.#files.set(name, [whole.slice(0, length)])
  }

  append(
    name: string,
    chunks: ReadonlyArray<Uint8Array>,
    done: (failure: DiskFailure | undefined) => void
  ): void {
    const file = this.#files.get(name)
    if (file === undefined) this.#files.set(name, [...chunks])
    else file.push(...chunks)
    this.#later(() => done(undefined))
  }

  remove(name: string, done: (failure: DiskFailure | undefined) => void): void {
    this.#files.delete(name)
    this.#later(() => done(undefined))
  }

  close(): void {}

  /** What another process would read: one array per file, by name. */
  snapshot(): Map<string, Uint8Array> {
    return new Map(this.list().map((name) => [name, this.read(name)]))
  }
}

const concat = (chunks: ReadonlyArray<Uint8Array>): Uint8Array => {
  let length = 0
  for (const chunk of chunks) length += chunk.length
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}
