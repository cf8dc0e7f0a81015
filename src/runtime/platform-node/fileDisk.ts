/** The disk of a durable node: one folder, held by this process alone. */
import * as fs from "node:fs"
import { dirname, join, resolve } from "node:path"
import { assert } from "../../base/assert.ts"
import { type StoreInvalid, storeMissing } from "../../link/logCore.ts"
import type { Disk, DiskFailure } from "../../link/ports.ts"
import { isLock, lockFolder } from "./folderLock.ts"
import { systemErrorCode, systemErrorText } from "./systemError.ts"

type Done = (failure: DiskFailure | undefined) => void

/** An open file; `size`: what of it is durable. */
interface Handle {
  readonly name: string
  readonly fd: number
  size: number
}

/**
 * Opens `folder` and locks it until `close`. With `init` a missing folder is made (none above it),
 * without it refused. A refusal is one line for the operator.
 */
export const openFileDisk = (options: {
  readonly folder: string
  readonly init: boolean
}): FileDisk | StoreInvalid => {
  const folder = resolve(options.folder)
  try {
    const stat = fs.statSync(folder, { throwIfNoEntry: false })
    if (stat === undefined) {
      if (!options.init) return storeMissing(folder)
      const above = dirname(folder)
      if (fs.statSync(above, { throwIfNoEntry: false }) === undefined) return nowhere(folder, above)
      makeFolder(folder)
    } else if (!stat.isDirectory()) return notAFolder(folder)
    const lock = lockFolder(folder)
    return typeof lock === "function" ? new FileDisk(folder, lock) : lock
  } catch (thrown) {
    if (systemErrorCode(thrown) === "ENOTDIR") return notAFolder(folder)
    return {
      where: folder,
      what: systemErrorText(thrown),
      remedy: "check the path, and the rights of this user along it"
    }
  }
}

/** A path that is wrong, or a disk that is not mounted: to make all of it would hide that. */
const nowhere = (folder: string, above: string): StoreInvalid => ({
  where: folder,
  what: `there is no folder ${above} to make it in`,
  remedy: "check that the disk is mounted and the path is right, or make that folder first"
})

const notAFolder = (folder: string): StoreInvalid => ({
  where: folder,
  what: "a file stands where the data folder should be",
  remedy: "name a folder, or move the file away"
})

export class FileDisk implements Disk {
  readonly where: string
  readonly #release: () => void
  /** The file appended to last. */
  #handle: Handle | undefined
  #writing = false
  #closed = false

  /** Use {@link openFileDisk}. */
  constructor(folder: string, release: () => void) {
    this.where = folder
    this.#release = release
  }

  list(): ReadonlyArray<string> {
    return this.#said(() =>
      fs
        .readdirSync(this.where)
        .filter((name) => !isLock(name))
        .sort()
    )
  }

  read(name: string): Uint8Array {
    const buffer = this.#said(() => fs.readFileSync(join(this.where, name)))
    return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
  }

  create(name: string, bytes: Uint8Array): void {
    this.#said(() => {
      const path = join(this.where, name)
      const making = `${path}.making`
      const fd = fs.openSync(making, "w")
      try {
        fs.writeFileSync(fd, bytes)
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
      fs.renameSync(making, path)
      syncFolder(this.where)
    })
  }

  truncate(name: string, length: number): void {
    this.#said(() => {
      const fd = fs.openSync(join(this.where, name), "r+")
      try {
        if (length > fs.fstatSync(fd).size) throw new Error(`${name} became shorter meanwhile`)
        fs.ftruncateSync(fd, length)
        fs.fsyncSync(fd)
      } finally {
        fs.closeSync(fd)
      }
      syncFolder(this.where)
    })
  }

  append(name: string, chunks: ReadonlyArray<Uint8Array>, done: Done): void {
    assert(!this.#writing, "one write is under way at a time")
    if (this.#closed) {
      setImmediate(done, `${this.where} is closed`)
      return
    }
    this.#writing = true
    const ended: Done = (failure) => {
      this.#writing = false
      if (this.#closed) this.#letGo()
      done(failure === undefined ? undefined : `${join(this.where, name)}: ${failure}`)
    }
    if (this.#handle?.name === name) writeAndSync(this.#handle, chunks, ended)
    else this.#openThen(name, ended, (handle) => writeAndSync(handle, chunks, ended))
  }

  remove(name: string, done: Done): void {
    fs.unlink(join(this.where, name), (failure) => {
      const ended = (unsynced: NodeJS.ErrnoException | null): void =>
        done(
          unsynced === null ? undefined : `${join(this.where, name)}: ${systemErrorText(unsynced)}`
        )
      if (failure !== null && failure.code !== "ENOENT") return ended(failure)
      syncFolderSoon(this.where, ended)
    })
  }

  folder(name: string): FileDisk {
    const path = join(this.where, name)
    return this.#said(() => {
      if (fs.statSync(path, { throwIfNoEntry: false }) === undefined) makeFolder(path)
      // This folder's lock is its own too.
      return new FileDisk(path, () => {})
    })
  }

  removeFolder(name: string, done: Done): void {
    const path = join(this.where, name)
    fs.rm(path, { recursive: true, force: true }, (failure) => {
      if (failure !== null) return done(`${path}: ${systemErrorText(failure)}`)
      syncFolderSoon(this.where, (unsynced) =>
        done(unsynced === null ? undefined : `${path}: ${systemErrorText(unsynced)}`)
      )
    })
  }

  /** A write under way is finished and called back; then the folder is free for another process. */
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (!this.#writing) this.#letGo()
  }

  #letGo(): void {
    if (this.#handle !== undefined) fs.closeSync(this.#handle.fd)
    this.#handle = undefined
    this.#release()
  }

  /** Once per segment. The folder is synced before the file holds anything that counts. */
  #openThen(name: string, ended: Done, opened: (handle: Handle) => void): void {
    const before = this.#handle
    this.#handle = undefined
    if (before !== undefined) fs.close(before.fd, () => {})
    fs.open(join(this.where, name), "a", (unopened, fd) => {
      if (unopened !== null) return ended(systemErrorText(unopened))
      const failed = (failure: unknown): void => {
        fs.close(fd, () => {})
        ended(systemErrorText(failure))
      }
      fs.fstat(fd, (unread, stat) => {
        if (unread !== null) return failed(unread)
        syncFolderSoon(this.where, (unsynced) => {
          if (unsynced !== null) return failed(unsynced)
          this.#handle = { name, fd, size: stat.size }
          opened(this.#handle)
        })
      })
    })
  }

  /** Runs `work`; what it throws becomes a plain Error for people. */
  #said<A>(work: () => A): A {
    try {
      return work()
    } catch (thrown) {
      throw new Error(systemErrorText(thrown))
    }
  }
}

const writeAndSync = (handle: Handle, chunks: ReadonlyArray<Uint8Array>, ended: Done): void => {
  const failed = (failure: NodeJS.ErrnoException): void => {
    // The kernel may go on showing bytes that it could not store: a later boot must not see them.
    try {
      fs.ftruncateSync(handle.fd, handle.size)
    } catch {}
    ended(systemErrorText(failure))
  }
  const bytes = chunks.reduce((sum, chunk) => sum + chunk.length, 0)
  const write = (left: ReadonlyArray<Uint8Array>, leftBytes: number): void =>
    fs.writev(handle.fd, left, (failure, written) => {
      if (failure !== null) return failed(failure)
      if (written === 0) return failed(new Error("the disk takes no bytes"))
      if (written < leftBytes) return write(without(left, written), leftBytes - written)
      fs.fdatasync(handle.fd, (unsynced) => {
        if (unsynced !== null) return failed(unsynced)
        handle.size += bytes
        ended(undefined)
      })
    })
  write(chunks, bytes)
}

/** What is left of `chunks` after their first `written` bytes. */
const without = (chunks: ReadonlyArray<Uint8Array>, written: number): Array<Uint8Array> => {
  const left: Array<Uint8Array> = []
  for (const chunk of chunks) {
    if (written < chunk.length) left.push(chunk.subarray(written))
    written = Math.max(0, written - chunk.length)
  }
  return left
}

const syncFolder = (folder: string): void => {
  if (process.platform === "win32") return // has no such thing; NTFS journals its names
  const fd = fs.openSync(folder, "r")
  try {
    fs.fsyncSync(fd)
  } finally {
    fs.closeSync(fd)
  }
}

/** {@link syncFolder} off the main thread. */
const syncFolderSoon = (folder: string, ended: fs.NoParamCallback): void => {
  if (process.platform === "win32") return ended(null)
  fs.open(folder, "r", (unopened, fd) => {
    if (unopened !== null) return ended(unopened)
    fs.fsync(fd, (failure) => fs.close(fd, () => ended(failure)))
  })
}

const makeFolder = (folder: string): void => {
  // Never recursive: below /proc Node's recursion spins.
  fs.mkdirSync(folder)
  syncFolder(dirname(folder))
}
