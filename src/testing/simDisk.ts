import { assert } from "../base/assert.ts"
import type { Prng } from "../base/prng.ts"
import type { Disk, DiskFailure } from "../link/ports.ts"
import { ProcessKilled, untilKilled } from "./killed.ts"
import type { VirtualTime } from "./virtualTime.ts"

/** How long a write and its sync take, in milliseconds. */
export interface DiskTiming {
  /** An ordinary sync takes 1 … syncMsMax. */
  readonly syncMsMax: number
  /** Of 1,000 syncs, so many are slow: up to `slowMsMax`. */
  readonly slowPerMille: number
  readonly slowMsMax: number
}

/** A growing file: the first `synced` bytes survive a crash, of the rest any prefix may. */
interface SimFile {
  bytes: Uint8Array
  length: number
  synced: number
  /** A write is under way. */
  busy: boolean
  /** Deleted, but the folder is not synced: a crash may bring it back. */
  removed?: true
}

/**
 * A disk that forgets: what was appended and not yet synced is lost in a crash, but for a prefix of
 * a random length, torn at any byte. Outlives the node's processes; each opens it with `mount`.
 */
export class SimDisk {
  readonly #time: VirtualTime
  readonly #random: Prng
  readonly #timing: DiskTiming
  readonly #files = new Map<string, SimFile>()
  /** Files made or cut, writes begun, and writes synced, over all processes. */
  operations = 0
  /** Asked after each of them, before anybody else hears of it: true kills the process. */
  kills: (operation: number) => boolean = () => false
  /** A write was refused since the last crash. */
  refused = false
  /** No sync ends before this time. */
  #stalledUntilMs = 0
  #failing = false
  #killed = false
  /** Counts mounts and crashes: what an earlier process began ends nowhere. */
  #mount = 0

  constructor(time: VirtualTime, random: Prng, timing: DiskTiming) {
    this.#time = time
    this.#random = random
    this.#timing = timing
  }

  /** The disk as one process sees it, until the next mount, `close` or a crash. */
  mount(): Disk {
    const mount = ++this.#mount
    this.#killed = false
    const open = (): void => assert(mount === this.#mount, "a dead process uses its disk")
    return {
      where: "memory",
      list: () => {
        open()
        return [...this.#files.keys()].sort().filter((name) => !this.#files.get(name)!.removed)
      },
      read: (name) => {
        open()
        const file = this.#existing(name)
        return file.bytes.slice(0, file.length)
      },
      create: (name, bytes) => {
        open()
        const length = bytes.length
        this.#files.set(name, { bytes: bytes.slice(), length, synced: length, busy: false })
        this.#operated()
      },
      truncate: (name, length) => {
        open()
        const file = this.#existing(name)
        assert(length <= file.length, `${name} is shorter than ${length} bytes`)
        file.length = length
        file.synced = Math.min(file.synced, length)
        this.#operated()
      },
      append: (name, chunks, done) => {
        open()
        this.#append(name, chunks, done)
      },
      remove: (name, done) => {
        open()
        const file = this.#files.get(name)
        if (file !== undefined) file.removed = true
        this.#time.after(this.#syncMs(), () => {
          if (mount !== this.#mount) return
          this.#files.delete(name)
          untilKilled(() => {
            this.#operated()
            done(undefined)
          })
        })
        this.#operated()
      },
      close: () => {
        if (mount === this.#mount) this.#mount++
      }
    }
  }

  /** The power goes: of every file some prefix of what was not synced stays, or nothing of it. */
  crash(): void {
    this.#mount++
    for (const [name, file] of this.#files) {
      const kept = this.#random.below(file.length - file.synced + 1)
      file.length = file.synced + kept
      file.synced = file.length
      file.busy = false
      const gone = file.length === 0 || file.removed === true
      delete file.removed
      if (gone && this.#random.chance(500)) this.#files.delete(name)
    }
    this.#failing = false
    this.refused = false
  }

  /** The next write fails: some of it may stay, and nobody knows what. Until the next crash. */
  fail(): void {
    this.#failing = true
  }

  /** No sync ends for so long. */
  stall(stallMs: number): void {
    this.#stalledUntilMs = this.#time.nowMs + stallMs
  }

  /** Works again, as far as it has not refused a write yet. */
  heal(): void {
    this.#failing = false
    this.#stalledUntilMs = 0
  }

  /** All files are gone, as with another disk mounted in its place. Only while nobody uses it. */
  wipe(): void {
    this.#mount++
    this.#files.clear()
  }

  get empty(): boolean {
    return this.#files.size === 0
  }

  /** @throws ProcessKilled when the process that mounted it last is dead */
  live(): void {
    if (this.#killed) throw new ProcessKilled()
  }

  /** Bytes written and not yet synced. */
  get unsyncedBytes(): number {
    let bytes = 0
    for (const file of this.#files.values()) bytes += file.length - file.synced
    return bytes
  }

  #append(
    name: string,
    chunks: ReadonlyArray<Uint8Array>,
    done: (failure: DiskFailure | undefined) => void
  ): void {
    let file = this.#files.get(name)
    if (file === undefined) {
      file = { bytes: new Uint8Array(4096), length: 0, synced: 0, busy: false }
      this.#files.set(name, file)
    }
    assert(!file.busy, `two writes to ${name} at once`)
    file.busy = true
    for (const chunk of chunks) write(file, chunk)
    const mount = this.#mount
    const end = file.length
    const written = file
    const failing = this.#failing
    const stalledMs = Math.max(0, this.#stalledUntilMs - this.#time.nowMs)
    this.#time.after(stalledMs + this.#syncMs(), () => {
      if (mount !== this.#mount) return
      written.busy = false
      if (failing) this.refused = true
      else written.synced = end
      untilKilled(() => {
        this.#operated()
        done(failing ? "no space left on device" : undefined)
      })
    })
    this.#operated()
  }

  #operated(): void {
    this.#killed = this.kills(++this.operations)
    if (this.#killed) throw new ProcessKilled()
  }

  #syncMs(): number {
    const { syncMsMax, slowPerMille, slowMsMax } = this.#timing
    return 1 + this.#random.below(this.#random.chance(slowPerMille) ? slowMsMax : syncMsMax)
  }

  #existing(name: string): SimFile {
    const file = this.#files.get(name)
    if (file === undefined) throw new Error(`${name}: no such file`)
    return file
  }
}

const write = (file: SimFile, chunk: Uint8Array): void => {
  const needed = file.length + chunk.length
  if (needed > file.bytes.length) {
    const larger = new Uint8Array(Math.max(needed, 2 * file.bytes.length))
    larger.set(file.bytes.subarray(0, file.length))
    file.bytes = larger
  }
  file.bytes.set(chunk, file.length)
  file.length = needed
}
