import { spawn } from "node:child_process"
import { once } from "node:events"
import fs, { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs"
import { syncBuiltinESMExports } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, describe, expect, it, vi } from "vitest"
import { LogCore, type StoreInvalid } from "../src/link/logCore.ts"
import { FileDisk, openFileDisk } from "../src/runtime/platform-node/fileDisk.ts"
import { open, opened, replayed } from "./support/logs.ts"

const root = mkdtempSync(join(tmpdir(), "quorate-disk-"))
const disks: Array<FileDisk> = []
let folders = 0
const freshFolder = (): string => join(root, String(++folders))
afterEach(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
  for (const disk of disks.splice(0)) disk.close()
})
afterAll(() => rmSync(root, { recursive: true }))

const diskAt = (folder: string, init = true): FileDisk => {
  const disk = openFileDisk({ folder, init })
  if (!(disk instanceof FileDisk)) throw new Error(`refused: ${disk.what}`)
  disks.push(disk)
  return disk
}
const refusedAt = (folder: string, init = true): StoreInvalid => {
  const disk = openFileDisk({ folder, init })
  if (disk instanceof FileDisk) throw new Error("opened")
  for (const line of [disk.where, disk.what, disk.remedy]) expect(line).toMatch(/^[^\n]+$/)
  return disk
}
const append = (disk: FileDisk, name: string, ...chunks: Array<string>) =>
  new Promise<string | undefined>((ended) => {
    let returned = false
    const bytes = chunks.map((chunk) => new Uint8Array(Buffer.from(chunk)))
    disk.append(name, bytes, (failure) => ended(returned ? failure : "called back too early"))
    returned = true
  })
const text = (disk: FileDisk, name: string): string => Buffer.from(disk.read(name)).toString()
/** Replaces a function of node:fs, also for those who imported it by name. */
const patch = <K extends "writev" | "fdatasync" | "fsync">(
  name: K,
  by: (...args: Array<any>) => void
) => {
  vi.spyOn(fs, name).mockImplementation(by as never)
  syncBuiltinESMExports()
}

describe("a folder of files", () => {
  it("appends, makes, cuts, reads and lists", async () => {
    const disk = diskAt(freshFolder())
    disk.create("a", Uint8Array.of(65, 66))
    expect(await append(disk, "a", "cd", "", "ef")).toBe(undefined)
    expect(await append(disk, "b", "new")).toBe(undefined)
    expect(await append(disk, "a", "gh")).toBe(undefined)
    expect([text(disk, "a"), text(disk, "b")]).toEqual(["ABcdefgh", "new"])
    disk.truncate("a", 3)
    expect(await append(disk, "a", "!")).toBe(undefined)
    expect(text(disk, "a")).toBe("ABc!")
    expect(disk.list().filter((name) => !name.startsWith("lock-"))).toEqual(["a", "b"])
    expect(disk.read("a").slice).toBe(Uint8Array.prototype.slice)
  })
  it("a file made anew replaces what was there", () => {
    const disk = diskAt(freshFolder())
    disk.create("a", new Uint8Array(9))
    disk.create("a", Uint8Array.of(65))
    expect(text(disk, "a")).toBe("A")
  })
  it("says in plain words what failed", () => {
    const disk = diskAt(freshFolder())
    expect(() => disk.read("none")).toThrow(/^no such file or directory \(ENOENT\)$/)
    mkdirSync(join(disk.where, "folder"))
    expect(() => disk.read("folder")).toThrow(/^illegal operation on a directory \(EISDIR\)$/)
    expect(() => disk.truncate("none", 0)).toThrow(/ENOENT/)
  })
  it("an append that cannot open its file calls back with the reason", async () => {
    const disk = diskAt(freshFolder())
    mkdirSync(join(disk.where, "a"))
    const reason = `${disk.where}/a: illegal operation on a directory (EISDIR)`
    expect(await append(disk, "a", "x")).toBe(reason)
  })
  it("syncs an append before it calls back, and the folder of a new file", async () => {
    const disk = diskAt(freshFolder())
    const calls: Array<string> = []
    for (const name of ["fsync", "writev", "fdatasync"] as const) {
      const real = fs[name] as (...args: Array<any>) => void
      patch(name, (...args) => {
        calls.push(name)
        real(...args)
      })
    }
    for (const file of ["a", "a", "b"]) {
      await append(disk, file, "x")
      calls.push(file)
    }
    const synced = ["writev", "fdatasync"]
    expect(calls).toEqual(["fsync", ...synced, "a", ...synced, "a", "fsync", ...synced, "b"])
  })
  it("goes on where the system took only a part of a write", async () => {
    const disk = diskAt(freshFolder())
    const { writev } = fs
    patch("writev", (fd, chunks, done) => {
      const [first, ...others] = chunks.filter((chunk: Uint8Array) => chunk.length > 0)
      const part = others.length === 0 ? [first.subarray(0, 1)] : [first]
      writev(fd, part, done)
    })
    expect(await append(disk, "a", "abc", "", "de", "f")).toBe(undefined)
    expect(await append(disk, "a", "ghi")).toBe(undefined)
    expect(text(disk, "a")).toBe("abcdefghi")
  })
  it("deletes a file, then syncs its folder; one that is gone is deleted", async () => {
    const disk = diskAt(freshFolder())
    await append(disk, "a", "x")
    const calls: Array<string> = []
    const { fsync } = fs
    patch("fsync", (...args) => {
      calls.push("fsync")
      ;(fsync as (...args: Array<any>) => void)(...args)
    })
    const remove = () => new Promise<string | undefined>((ended) => disk.remove("a", ended))
    expect([await remove(), disk.list(), calls]).toEqual([undefined, [], ["fsync"]])
    expect(await remove()).toBe(undefined)
    mkdirSync(join(disk.where, "b"))
    const failure = await new Promise<string | undefined>((ended) => disk.remove("b", ended))
    expect(failure).toMatch(/^.*\/b: .*\((EISDIR|EPERM)\)$/)
  })
  it("cuts off a write that failed, so that no later boot takes it for durable", async () => {
    const disk = diskAt(freshFolder())
    await append(disk, "a", "kept")
    const failure = Object.assign(new Error("EIO: i/o error, fdatasync"), { code: "EIO" })
    patch("fdatasync", (_, done) => done(failure))
    expect(await append(disk, "a", "lost")).toBe(`${disk.where}/a: i/o error (EIO)`)
    expect(text(disk, "a")).toBe("kept")
    vi.restoreAllMocks()
    const full = new Error("ENOSPC: no space left on device, write")
    const { writev } = fs
    let calls = 0
    patch("writev", (fd, chunks, done) =>
      ++calls === 1 ? writev(fd, [chunks[0].subarray(0, 2)], done) : done(full)
    )
    expect(await append(disk, "a", "lost")).toContain("no space left on device (ENOSPC)")
    expect([text(disk, "a"), calls]).toEqual(["kept", 2])
  })
})

describe("a folder belongs to one process", () => {
  it("refuses what is no folder, and a missing one unless told init", () => {
    const file = freshFolder()
    writeFileSync(file, "")
    for (const folder of [file, join(file, "below")]) {
      expect(refusedAt(folder)).toEqual({
        where: folder,
        what: "a file stands where the data folder should be",
        remedy: "name a folder, or move the file away"
      })
    }
    const missing = refusedAt(freshFolder(), false)
    expect(missing.what).toBe("the folder is empty or missing")
    expect(existsSync(missing.where)).toBe(false)
    expect(refusedAt(join(root, "n".repeat(300))).what).toBe("name too long (ENAMETOOLONG)")
  })
  it("makes the folder itself, and no folder above it", () => {
    const above = freshFolder()
    expect(refusedAt(join(above, "data"))).toEqual({
      where: join(above, "data"),
      what: `there is no folder ${above} to make it in`,
      remedy: "check that the disk is mounted and the path is right, or make that folder first"
    })
    expect(existsSync(above)).toBe(false)
  })
  it.runIf(existsSync("/proc/self/stat"))("refuses to be where no folder can be made", () => {
    expect(refusedAt("/proc/foo").what).toBe("no such file or directory (ENOENT)")
    expect(refusedAt("/proc/foo/bar").what).toBe("there is no folder /proc/foo to make it in")
  })
  it("with init takes a folder that a crash left empty, and none with files of others", () => {
    const folder = freshFolder()
    const disk = diskAt(folder)
    writeFileSync(join(folder, "log-0000000001.making"), "")
    expect(disk.list()).toEqual(["log-0000000001.making"])
    opened(disk, { init: true })
    disk.close()
    const foreign = freshFolder()
    mkdirSync(foreign)
    writeFileSync(join(foreign, "notes.txt"), "")
    const refused = open(diskAt(foreign), { init: true }) as StoreInvalid
    expect(refused.what).toBe("it holds no store, and something else: notes.txt")
  })
  it("refuses a second opening in this process until the first is closed", () => {
    const folder = freshFolder()
    const disk = diskAt(folder)
    expect(refusedAt(folder).what).toBe("this process has it open")
    disk.close()
    disk.close()
    expect(readdirSync(folder)).toEqual([])
    diskAt(folder, false)
  })
  it("keeps the folder until a write under way has ended, and calls back", async () => {
    const folder = freshFolder()
    const disk = diskAt(folder)
    const write = append(disk, "a", "abc")
    disk.close()
    expect(refusedAt(folder).what).toBe("this process has it open")
    expect(await write).toBe(undefined)
    expect(text(diskAt(folder), "a")).toBe("abc")
    expect(await append(disk, "a", "late")).toBe(`${folder} is closed`)
  })
  it.runIf(existsSync("/proc/self/stat"))(
    "tells a living owner from one that died, rebooted, or runs elsewhere",
    () => {
      const folder = freshFolder()
      diskAt(folder).close()
      const disk = diskAt(folder)
      const own = readdirSync(folder)[0]!
      disk.close()
      const [, pid, start, boot, space, host] = own.split("-")
      const statOf = (of: number) => {
        const text = fs.readFileSync(`/proc/${of}/stat`, "utf8")
        return text.slice(text.lastIndexOf(")") + 2).split(" ")
      }
      const parentStart = statOf(process.ppid)[19]
      const left = (name: string): string => {
        writeFileSync(join(folder, name), "elsewhere\n")
        const opened = openFileDisk({ folder, init: false })
        if (opened instanceof FileDisk) {
          expect(readdirSync(folder)).toEqual([own])
          opened.close()
          return "opened"
        }
        expect(readdirSync(folder)).toEqual([name])
        rmSync(join(folder, name))
        return opened.what
      }
      const alive = `lock-${process.ppid}-${parentStart}-${boot}-${space}-${host}`
      expect(left(alive)).toBe(`process ${process.ppid} has it open`)
      expect(left(`lock-${process.ppid}-1-${boot}-${space}-${host}`)).toBe("opened")
      expect(left(`lock-4194999-1-${boot}-${space}-${host}`)).toBe("opened")
      expect(left(`lock-${pid}-${Number(start) - 1}-${boot}-${space}-${host}`)).toBe("opened")
      expect(left(`lock-${process.ppid}-${parentStart}-beef-${space}-${host}`)).toBe("opened")
      expect(left(`lock-${process.ppid}-${parentStart}-${boot}-1-${host}`)).toBe("opened")
      // Dead, and not yet noticed by its parent, which is busy here.
      const zombie = spawn("true").pid!
      while (statOf(zombie)[0] !== "Z");
      const zombieLock = `lock-${zombie}-${statOf(zombie)[19]}-${boot}-${space}-${host}`
      expect(left(zombieLock)).toBe("opened")
      expect(left(`lock-5-1-${boot}-${space}-beef`)).toBe(
        "process 5 on elsewhere has it open, or ended without closing it"
      )
    }
  )
})

describe("a process that is killed", () => {
  const program = fileURLToPath(new URL("./support/appender.ts", import.meta.url))
  const start = (folder: string) =>
    spawn(process.execPath, [program, folder], { stdio: ["ignore", "pipe", "pipe"] })

  it("leaves behind all that it acknowledged, in order, and the folder free", async () => {
    const folder = freshFolder()
    let acknowledged = 0
    for (const until of [1, 150, 700]) {
      const child = start(folder)
      const from = acknowledged
      let said = ""
      for await (const chunk of child.stdout) {
        said += chunk
        acknowledged = Number(said.split("\n").at(-2) ?? 0)
        if (acknowledged < from + until) continue
        child.kill("SIGKILL")
      }
      if (child.signalCode === null && child.exitCode === null) await once(child, "exit")
      expect([child.signalCode, acknowledged >= from + until]).toEqual(["SIGKILL", true])
      const disk = diskAt(folder, false)
      const records = replayed(opened(disk))
      disk.close()
      expect(records.length).toBeGreaterThanOrEqual(acknowledged)
      for (const [at, record] of records.entries()) {
        const filler = new Array((at * 37) % 400).fill((at + 1) % 256)
        expect(record).toEqual([0, 0, (at + 1) >> 8, (at + 1) % 256, ...filler])
      }
    }
    expect(readdirSync(folder).length).toBeGreaterThan(2)
  })
  it("keeps others out while it lives, with one line that names it", async () => {
    const folder = freshFolder()
    const child = start(folder)
    await once(child.stdout, "data")
    const refused = refusedAt(folder)
    expect(refused.what).toBe(`process ${child.pid} has it open`)
    const second = start(folder)
    let said = ""
    for await (const chunk of second.stderr) said += chunk
    expect(said).toBe(`${refused.where}: ${refused.what}; ${refused.remedy}\n`)
    child.kill("SIGKILL")
    await once(child, "exit")
    expect(opened(diskAt(folder)) instanceof LogCore).toBe(true)
  })
})
