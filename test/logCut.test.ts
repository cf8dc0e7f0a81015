/** Cutting the log: a crash at every disk operation of it, torn at every byte. */
import { describe, expect, it } from "vitest"
import { recordMarks } from "../src/base/mark.ts"
import { LogCore } from "../src/link/logCore.ts"
import type { Disk, DiskFailure } from "../src/link/ports.ts"
import { changed, type Files, open, opened, replayed, SteppedDisk } from "./support/logs.ts"
import { TWIN_HEADER as HEADER } from "./support/logTwin.ts"

const SEGMENT = HEADER + 116
const bytes = (...values: Array<number>): Uint8Array => Uint8Array.from(values)

/** What a power cut may leave while an operation is under way: before it, in it, after it. */
class CrashingDisk extends SteppedDisk {
  readonly crashes: Array<Files> = []

  override append(...[name, chunks, done]: Parameters<Disk["append"]>): void {
    const before = this.snapshot()
    const old = before.get(name) ?? new Uint8Array(0)
    const added = chunks.flatMap((chunk) => [...chunk])
    this.crashes.push(before)
    for (let kept = 0; kept <= added.length; kept++) {
      this.crashes.push(new Map([...before, [name, bytes(...old, ...added.slice(0, kept))]]))
    }
    super.append(name, chunks, done)
  }
  override remove(name: string, done: (failure: DiskFailure | undefined) => void): void {
    this.crashes.push(this.snapshot())
    super.remove(name, done)
    this.crashes.push(this.snapshot())
  }
}

/** Records 1 … 6, a checkpoint 100 of 1 … 6, then 7 and 8; another, 101, then 9. */
const cutTwice = (disk: CrashingDisk): LogCore => {
  const log = opened(disk, { init: true, segment: SEGMENT })
  for (const value of [1, 2, 3, 4, 5, 6]) {
    log.append(bytes(value, value))
    disk.settle()
  }
  log.cut(bytes(100))
  for (const value of [7, 8]) log.append(bytes(value, value))
  log.flush()
  disk.settle()
  log.cut(bytes(101))
  log.flush()
  disk.settle()
  log.append(bytes(9, 9))
  disk.settle()
  return log
}
/** The highest record a log stands for: a checkpoint stands for all before it. */
const reaches = (records: ReadonlyArray<ReadonlyArray<number>>): number =>
  records.reduce((_, [value]) => (value === 100 ? 6 : value === 101 ? 8 : value!), 0)

describe("a log that is cut", () => {
  it("begins with the checkpoint, and earlier segments are gone", () => {
    const disk = new CrashingDisk()
    const log = cutTwice(disk)
    expect(disk.list()).toEqual(["log-0000000004"])
    expect(log.bytes).toBe(disk.read("log-0000000004").length)
    const again = opened(new SteppedDisk(disk.snapshot()))
    expect(replayed(again)).toEqual([[101], [9, 9]])
    expect(again.bytes).toBe(log.bytes)
  })

  it("loses nothing durable in a crash at any point, and leaves nothing over", () => {
    const disk = new CrashingDisk()
    const log = opened(disk, { init: true, segment: SEGMENT })
    let durable = 0
    log.listen({ durable: () => {}, failed: () => {} })
    const files = { before: 0 }
    const seen = new Set<string>()
    const check = (): void => {
      for (const crash of disk.crashes.slice(files.before)) {
        const left = new SteppedDisk(crash)
        const booted = open(left, { segment: SEGMENT })
        if (!(booted instanceof LogCore)) throw new Error(`refused: ${booted.what}`)
        const records = replayed(booted)
        expect(reaches(records)).toBeGreaterThanOrEqual(durable)
        const values = records.map(([value]) => value!)
        seen.add(values.join(" "))
        booted.append(bytes(50, 50))
        left.settle()
        const numbers = left.list()
        expect(replayed(opened(new SteppedDisk(left.snapshot())))).toEqual([...records, [50, 50]])
        const checkpointed = values[0] === 100 || values[0] === 101
        if (checkpointed) expect(numbers[0]).not.toBe("log-0000000001")
      }
      files.before = disk.crashes.length
    }
    const steps: Array<() => void> = [1, 2, 3, 4, 5, 6].map((value) => () => {
      log.append(bytes(value, value))
    })
    const appended = [1, 2, 3, 4, 5, 6, 6, 8, 8, 9]
    steps.push(
      () => void log.cut(bytes(100)),
      () => [7, 8].forEach((value) => log.queue(bytes(value, value))),
      () => void log.cut(bytes(101)),
      () => void log.queue(bytes(9, 9))
    )
    for (const [at, step] of steps.entries()) {
      step()
      log.flush()
      check()
      while (disk.pending.length > 0) {
        disk.finish()
        check()
      }
      durable = appended[at]!
    }
    for (const expected of ["1 2 3 4 5 6", "100", "100 7 8", "101", "101 9 9"]) {
      expect([...seen].map((values) => values.replaceAll("9 9", "9"))).toContain(
        expected.replaceAll("9 9", "9")
      )
    }
    expect(disk.crashes.length).toBeGreaterThan(500)
  })

  it("opens after one crash in a checkpoint, and another in the next", () => {
    const disk = new CrashingDisk()
    cutTwice(disk)
    const torn = disk.crashes.filter((files) => {
      const last = [...files.values()].at(-1)!
      return files.size > 1 && last.length < HEADER
    })
    expect(torn.length).toBeGreaterThan(HEADER)
    for (const first of torn.filter((_, i) => i % 7 === 0)) {
      const between = new CrashingDisk(first)
      const log = opened(between, { segment: SEGMENT })
      log.cut(bytes(200))
      log.flush()
      between.settle()
      for (const second of between.crashes) {
        const again = open(new SteppedDisk(second), { segment: SEGMENT })
        if (!(again instanceof LogCore)) throw new Error(`refused: ${again.where} ${again.what}`)
      }
    }
  })

  it("goes on where the crash came between the checkpoint and the deleting", () => {
    const disk = new CrashingDisk()
    cutTwice(disk)
    const both = disk.crashes.find(
      (files) => files.has("log-0000000003") && opensWith(files, 100) && files.size > 2
    )!
    const left = new SteppedDisk(both)
    const marks = recordMarks(() => opened(left))
    expect(marks.get("log: leftovers")).toBe(1)
    left.settle()
    expect(left.list()[0]).toBe("log-0000000003")
  })

  it("refuses a damaged checkpoint unless all that it replaced is there", () => {
    const disk = new CrashingDisk()
    cutTwice(disk)
    const files = disk.snapshot()
    const [name] = files.keys() as unknown as [string]
    const last = [...files.keys()].at(-1)!
    for (let at = 0; at < HEADER + 34; at++) {
      const hurt = changed(files, last, (file) => file.fill(file[at]! ^ 1, at, at + 1))
      expect(open(new SteppedDisk(hurt)) instanceof LogCore, `byte ${at}`).toBe(false)
    }
    for (let cut = 0; cut < HEADER + 34; cut++) {
      const hurt = changed(files, last, (file) => file.slice(0, cut))
      expect(open(new SteppedDisk(hurt), { init: true }) instanceof LogCore).toBe(false)
    }
    expect(name).toBe(last)
  })

  it("is due once as much was appended as a segment holds, and twice its checkpoint", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true, segment: 1000 })
    log.append(new Uint8Array(700))
    disk.settle()
    expect(log.due).toBe(false)
    log.append(new Uint8Array(300))
    expect(log.due).toBe(true)
    log.cut(new Uint8Array(1200))
    expect(log.due).toBe(false)
    log.flush()
    disk.settle()
    log.append(new Uint8Array(2000))
    disk.settle()
    expect([log.due, opened(new SteppedDisk(disk.snapshot()), { segment: 1000 }).due]).toEqual([
      false,
      false
    ])
    log.append(new Uint8Array(500))
    disk.settle()
    expect([log.due, opened(new SteppedDisk(disk.snapshot()), { segment: 1000 }).due]).toEqual([
      true,
      true
    ])
  })

  it("stops where a segment cannot be deleted", () => {
    const disk = new SteppedDisk()
    const log = opened(disk, { init: true })
    const failures: Array<string> = []
    log.listen({ durable: () => {}, failed: (failure) => failures.push(failure) })
    log.append(bytes(1))
    disk.settle()
    disk.remove = (_, done) => disk.pending.push(() => done("input/output error (EIO)"))
    log.cut(bytes(100))
    log.flush()
    disk.settle()
    expect(failures).toEqual(["input/output error (EIO)"])
  })
})

const opensWith = (files: Files, checkpoint: number): boolean =>
  replayed(opened(new SteppedDisk(files)))[0]?.[0] === checkpoint
