import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { NO_BYTES } from "../src/base/bytes.ts"
import { Prng } from "../src/base/prng.ts"
import { encodeMessage } from "../src/link/envelope.ts"
import {
  decodeRecord,
  encodeRecord,
  explainRecord,
  RECORD_VERSION
} from "../src/link/recordCodec.ts"
import type { LogEntry, LogRecord } from "../src/server/LogRecord.ts"
import type { Word } from "../src/server/Message.ts"
import { entry, mutate, word } from "./support/wire.ts"

const record = fc.record({ entries: fc.array(entry, { maxLength: 5 }) })
const { trace: _, ...said }: Word = fc.sample(word, { seed: 5, numRuns: 1 })[0]!
const bodyOf = (e: LogEntry): Uint8Array =>
  e.kind === "decided"
    ? (e.items[0]?.command ?? NO_BYTES)
    : e.kind === "epoch"
      ? e.next
      : "body" in e
        ? e.body
        : NO_BYTES
const withoutWire = ({ entries }: LogRecord): LogRecord => ({
  entries: entries.map((e) => {
    if (e.kind !== "word") return e
    const { wire: _, ...plain } = e
    return plain
  })
})

describe("the record codec", () => {
  it("reads back what it wrote, in order", () => {
    fc.assert(
      fc.property(record, (r) => {
        expect(decodeRecord(encodeRecord(r))).toEqual(withoutWire(r))
      }),
      { numRuns: 400 }
    )
  })

  it("keeps to whom a word is: to all, to some, to nobody", () => {
    for (const to of [undefined, [], [1], [3, 65_535]]) {
      const sent: Word = to === undefined ? { ...said } : { ...said, to }
      const read = decodeRecord(encodeRecord({ entries: [sent] }))!.entries[0] as Word
      expect(read.to).toEqual(to)
      expect("to" in read).toBe(to !== undefined)
    }
  })

  it("holds a word as it goes on the wire, encoded once", () => {
    const sent: Word = { ...said }
    const bytes = encodeRecord({ entries: [sent] })
    expect(sent.wire).toBeDefined()
    expect(Buffer.from(bytes).indexOf(encodeMessage(sent))).toBeGreaterThan(0)
  })

  it("leaves out the context of a trace", () => {
    const trace = new Uint8Array(25).fill(7)
    const bytes = encodeRecord({ entries: [{ ...said, trace }] })
    expect(bytes).toEqual(encodeRecord({ entries: [said] }))
  })

  it("copies everything out of the segment it reads", () => {
    fc.assert(
      fc.property(record, (r) => {
        const bytes = encodeRecord(r)
        const read = decodeRecord(bytes)!
        bytes.fill(0xff)
        expect(read).toEqual(withoutWire(r))
        for (const e of read.entries) {
          if (bodyOf(e).length > 0) expect(bodyOf(e).buffer).not.toBe(bytes.buffer)
        }
      }),
      { numRuns: 50 }
    )
  })

  it("refuses another version by name", () => {
    const bytes = encodeRecord({ entries: [said] })
    expect(bytes[0]).toBe(RECORD_VERSION)
    bytes[0] = 2
    expect(decodeRecord(bytes)).toBeUndefined()
    expect(explainRecord(bytes)).toBe(
      "a record of format 2, this Quorate reads format 1: start the newer version that wrote it"
    )
    expect(explainRecord(Uint8Array.of(1, 99))).toContain("restore the folder")
  })

  it("refuses what is neither a call nor none", () => {
    const decided = {
      kind: "decided",
      protocol: 1,
      lane: "a",
      index: 1,
      items: [{ command: new Uint8Array(0) }]
    }
    const bytes = encodeRecord({ entries: [decided as LogEntry] })
    expect(decodeRecord(bytes)).toEqual({ entries: [decided] })
    bytes[bytes.length - 1] = 2
    const rest = new Uint8Array(3) // what a call of no session and no method is
    expect(decodeRecord(Uint8Array.of(...bytes, ...rest))).toBeUndefined()
  })

  it("refuses what is cut anywhere but between two entries", () => {
    const entries: ReadonlyArray<LogEntry> = fc.sample(entry, { seed: 6, numRuns: 12 })
    const whole = new Set(
      entries.map((_, i) => encodeRecord({ entries: entries.slice(0, i) }).length)
    )
    const bytes = encodeRecord({ entries }).subarray(0, 3000)
    for (let length = 0; length < bytes.length; length++) {
      const read = decodeRecord(bytes.subarray(0, length))
      expect(read !== undefined, `cut at ${length}`).toBe(whole.has(length))
    }
  })
})

describe("random and mutated records", () => {
  it("never throw; what is taken can be written and read again", () => {
    const prng = new Prng(13)
    const valid = fc.sample(record, { seed: 13, numRuns: 300 }).map(encodeRecord)
    const small = valid.filter((bytes) => bytes.length < 1000)
    let taken = 0
    for (let i = 0; i < 60_000; i++) {
      const read = decodeRecord(mutate(prng, prng.pick(small)))
      if (read === undefined) continue
      taken++
      if (i % 8 === 0) expect(decodeRecord(encodeRecord(read))).toEqual(withoutWire(read))
    }
    expect(taken).toBeGreaterThan(5_000)
    expect(taken).toBeLessThan(55_000)
  })
})
