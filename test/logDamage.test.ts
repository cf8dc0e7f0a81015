/** What a crash tears is repaired, what a disk loses is refused: all cuts, all flips, chance. */
import { describe, expect, it } from "vitest"
import { recordMarks } from "../src/base/mark.ts"
import { Prng } from "../src/base/prng.ts"
import { LogCore } from "../src/link/logCore.ts"
import {
  changed,
  type Files,
  OWNER,
  open,
  opened,
  replayed,
  STORE_ID,
  SteppedDisk,
  written
} from "./support/logs.ts"
import { TWIN_HEADER as HEADER, twinBlock, twinOpen } from "./support/logTwin.ts"

const RECORDS = [
  [1, 1],
  [2, 2, 2],
  [3, 3, 3],
  [4, 4],
  [5, 5, 5, 5]
]
/** Header and three blocks of 35, 36 and 36 bytes; header and two blocks, of 35 and 37. */
const TWO = written(RECORDS, HEADER + 116)
const LAST = "log-0000000002"
const LAST_BLOCK = HEADER + 35
const LAST_BYTES = LAST_BLOCK + 37

/** Opens, appends [9], opens again: what is there at the end. `undefined` when refused. */
const bootTwice = (files: Files): Array<Array<number>> | undefined => {
  const disk = new SteppedDisk(files)
  const log = open(disk, { segment: HEADER + 116 })
  if (!(log instanceof LogCore)) {
    expect(disk.snapshot()).toEqual(new Map(files))
    expect(disk.truncated).toEqual([])
    return undefined
  }
  const records = replayed(log)
  log.append(Uint8Array.of(9))
  disk.settle()
  const again = opened(disk)
  expect(again.repaired).toBe(undefined)
  expect(replayed(again)).toEqual([...records, [9]])
  return records
}

describe("a torn tail", () => {
  it("is the layout these tests think of", () => {
    expect([...TWO.values()].map((file) => file.length)).toEqual([
      HEADER + 35 + 36 + 36,
      LAST_BYTES
    ])
  })
  it("cut at every byte of the last block: all earlier records stay, and the cut is told", () => {
    for (let cut = LAST_BLOCK; cut < LAST_BYTES; cut++) {
      const files = changed(TWO, LAST, (file) => file.slice(0, cut))
      expect(bootTwice(files)).toEqual(RECORDS.slice(0, 4))
      const marks = recordMarks(() => {
        const { repaired } = opened(new SteppedDisk(files))
        if (cut === LAST_BLOCK) expect(repaired).toBe(undefined)
        else
          expect(repaired).toContain(
            `${LAST}: cut ${cut - LAST_BLOCK} bytes at byte ${LAST_BLOCK},`
          )
      })
      expect(marks.get("log: torn tail")).toBe(cut === LAST_BLOCK ? undefined : 1)
    }
  })
  it("cut at every byte of a new segment's header and first block", () => {
    const four = written(RECORDS.slice(0, 4), HEADER + 116)
    for (let cut = 0; cut < LAST_BLOCK; cut++) {
      for (const zeros of [0, 1, (LAST_BLOCK - cut) >> 1, LAST_BLOCK - cut]) {
        const files = changed(four, LAST, (file) =>
          Uint8Array.from([...file.slice(0, cut), ...new Array(zeros).fill(0)])
        )
        expect(bootTwice(files)).toEqual(RECORDS.slice(0, 3))
      }
    }
    const empty = changed(four, LAST, () => new Uint8Array(0))
    expect(opened(new SteppedDisk(empty)).repaired).toBe(undefined)
    const header = changed(four, LAST, (file) => file.slice(0, HEADER - 1))
    const marks = recordMarks(() =>
      expect(opened(new SteppedDisk(header)).repaired).toContain(`cut ${HEADER - 1} bytes`)
    )
    expect(marks.get("log: torn segment header")).toBe(1)
  })
  it("zeros in any stretch of the last block, and behind a whole log", () => {
    for (let start = LAST_BLOCK; start < LAST_BYTES; start++) {
      for (let end = start + 1; end <= LAST_BYTES; end++) {
        const files = changed(TWO, LAST, (file) => file.fill(0, start, end))
        const untouched = files.get(LAST)!.every((byte, at) => byte === TWO.get(LAST)![at])
        expect(bootTwice(files)).toEqual(untouched ? RECORDS : RECORDS.slice(0, 4))
      }
    }
    for (const zeros of [1, 27, 28, 4096]) {
      const files = changed(TWO, LAST, (file) =>
        Uint8Array.from([...file, ...new Array(zeros).fill(0)])
      )
      expect(bootTwice(files)).toEqual(RECORDS)
    }
  })
  it("whose record holds a forged later block is still torn, wherever it is cut or zeroed", () => {
    const forged = [6, 7].flatMap((sequence) => twinBlock([...STORE_ID], sequence, [[66]]))
    const files = written([...RECORDS, forged])
    const name = "log-0000000001"
    const start = HEADER + RECORDS.reduce((sum, record) => sum + 28 + 5 + record.length, 0)
    expect(replayed(opened(new SteppedDisk(files)))).toEqual([...RECORDS, forged])
    for (let end = start + 1; end <= start + 28; end++) {
      expect(bootTwice(changed(files, name, (file) => file.fill(0, start, end)))).toEqual(RECORDS)
    }
    for (let cut = start; cut < files.get(name)!.length; cut++) {
      expect(bootTwice(changed(files, name, (file) => file.slice(0, cut)))).toEqual(RECORDS)
    }
  })
  it("that was cut off never comes back behind the next block", () => {
    const disk = new SteppedDisk(changed(TWO, LAST, (file) => file.slice(0, LAST_BYTES - 1)))
    const log = opened(disk)
    expect(disk.read(LAST).length).toBe(LAST_BLOCK)
    log.append(Uint8Array.of())
    disk.settle()
    expect(disk.read(LAST).length).toBe(LAST_BLOCK + 33)
    expect(replayed(opened(disk))).toEqual([...RECORDS.slice(0, 4), []])
  })
})

describe("damage", () => {
  it("a flip in any byte is refused, or costs the last block alone and is told", () => {
    for (const [name, bytes] of TWO) {
      for (let at = 0; at < bytes.length; at++) {
        for (const bits of [0x01, 0x80, 0xff]) {
          const files = changed(TWO, name, (file) => file.fill(file[at]! ^ bits, at, at + 1))
          const records = bootTwice(files)
          if (name === LAST && at >= LAST_BLOCK) expect(records).toEqual(RECORDS.slice(0, 4))
          else expect(records).toBe(undefined)
        }
      }
    }
  })
  it("a cut in any segment but the last is refused", () => {
    const name = "log-0000000001"
    for (let cut = 0; cut < TWO.get(name)!.length; cut++) {
      expect(bootTwice(changed(TWO, name, (file) => file.slice(0, cut)))).toBe(undefined)
    }
  })
  it("names file, byte and what can be done, which makes the node forget nothing it said", () => {
    const files = changed(TWO, LAST, (file) => file.fill(0xaa, HEADER, HEADER + 1))
    expect(open(new SteppedDisk(files))).toEqual({
      where: `memory/${LAST} at byte ${HEADER}`,
      what: `the log is damaged: block 4 does not read, and more was written at byte ${LAST_BLOCK}`,
      remedy:
        "delete nothing; restore this folder exactly as it last was (a copy from before lost " +
        "words and must not be used), or leave this node off, " +
        "or start the group anew under another name"
    })
  })
  it("bytes behind a block with a whole header prove that it was durable: refused", () => {
    const files = changed(TWO, LAST, (file) => {
      file.fill(0xaa, LAST_BYTES - 1)
      return Uint8Array.from([...file, 0])
    })
    expect(bootTwice(files)).toBe(undefined)
  })
  it("a block that is there twice, or missing between whole ones, is refused", () => {
    const block = (file: Uint8Array) => [...file.slice(LAST_BLOCK)]
    expect(
      bootTwice(changed(TWO, LAST, (file) => Uint8Array.from([...file, ...block(file)])))
    ).toBe(undefined)
    expect(
      bootTwice(
        changed(TWO, LAST, (file) => Uint8Array.from([...file.slice(0, HEADER), ...block(file)]))
      )
    ).toBe(undefined)
  })
})

describe("chance", () => {
  const hurt = (random: Prng, files: Map<string, Uint8Array>): void => {
    const name = random.pick([...files.keys(), LAST].filter((at) => files.has(at)))
    const file = files.get(name)!.slice()
    const at = random.below(file.length + 1)
    const end = Math.min(file.length, at + random.below(60))
    const to = [
      () => file.slice(0, at),
      () => file.slice(0, file.length - random.below(Math.min(file.length + 1, 50))),
      () => file.fill(0, at, end),
      () => file.fill(0, at),
      () => Uint8Array.from([...file.slice(0, at), ...file.slice(end)]),
      () => Uint8Array.from([...file, ...random.bytes(random.below(50))]),
      () => Uint8Array.from([...file, ...file.slice(at, end)]),
      () => {
        if (at < file.length) file[at] = random.below(256)
        return file
      }
    ]
    files.set(name, random.pick(to)())
  }

  it("opens as the twin does after any one to three damages", () => {
    const random = new Prng(3)
    const outcomes = new Map<string, number>()
    for (let round = 0; round < 700; round++) {
      const disk = new SteppedDisk()
      const log = opened(disk, { init: true, segment: HEADER + 156 })
      const records = Array.from({ length: 1 + random.below(8) }, () => [
        ...random.bytes(random.below(30))
      ])
      for (const record of records) {
        log.append(Uint8Array.from(record))
        if (random.chance(400)) disk.finish()
      }
      disk.settle()
      const files = disk.snapshot()
      for (let times = 1 + random.below(3); times > 0; times--) hurt(random, files)
      const twin = twinOpen(
        [...files.values()].map((file) => [...file]),
        OWNER
      )
      const found = bootTwice(files)
      expect(found ?? "refuse", `round ${round}`).toEqual(twin === "refuse" ? twin : twin.records)
      if (found !== undefined) expect(found).toEqual(records.slice(0, found.length))
      const outcome = twin === "refuse" ? twin : twin.cut > 0 ? "repair" : "whole"
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
    }
    for (const outcome of ["refuse", "repair", "whole"]) {
      expect(outcomes.get(outcome) ?? 0, outcome).toBeGreaterThan(9)
    }
  })
  it("reads garbage without throwing", () => {
    const random = new Prng(4)
    for (let round = 0; round < 2000; round++) {
      const garbage = random.bytes(random.below(200))
      const file = random.chance(500)
        ? Uint8Array.from([...TWO.get(LAST)!.slice(0, HEADER), ...garbage])
        : garbage
      open(new SteppedDisk(new Map([["log-0000000001", file]])))
      bootTwice(changed(TWO, LAST, (whole) => Uint8Array.from([...whole, ...garbage])))
    }
  })
})
