import fc from "fast-check"
import { describe, expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { utf8Bytes, utf8Cut, utf8Decode } from "../src/base/utf8.ts"
import { Reader, Writer } from "../src/base/wire.ts"

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })
const twinDecode = (bytes: Uint8Array): string | undefined => {
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}
const decode = (bytes: Uint8Array): string | undefined => utf8Decode(bytes, 0, bytes.length)
/** Any UTF-16, lone surrogates too. */
const text = fc
  .array(fc.oneof(fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0xd7f0, max: 0xe010 })))
  .map((units) => String.fromCharCode(...units))

describe("UTF-8", () => {
  it("is written as TextEncoder writes it, and read back", () => {
    fc.assert(
      fc.property(text, (value) => {
        const bytes = new TextEncoder().encode(value)
        expect(utf8Bytes(value)).toBe(bytes.length)
        const writer = new Writer(16)
        writer.reserve(3 * value.length + 4)
        writer.text(value)
        const written = writer.take()
        expect(written.subarray(written.length - bytes.length)).toEqual(bytes)
        const reader = new Reader()
        reader.set(written, 0, written.length)
        expect(reader.text(written.length)).toBe(value.toWellFormed())
        expect([reader.ok, reader.more]).toEqual([true, false])
      })
    )
  })

  it("is cut at a whole character", () => {
    fc.assert(
      fc.property(text, fc.nat(40), (value, bytesMax) => {
        const cut = utf8Cut(value, bytesMax)
        expect(value.startsWith(cut)).toBe(true)
        expect(utf8Bytes(cut)).toBeLessThanOrEqual(bytesMax)
        const longer = value.slice(
          0,
          cut.length + ((value.codePointAt(cut.length) ?? 0) > 0xffff ? 2 : 1)
        )
        if (cut !== value) expect(utf8Bytes(longer)).toBeGreaterThan(bytesMax)
      })
    )
  })

  it("is refused where TextDecoder refuses it: every two bytes, and random ones", () => {
    const wrong: Array<Uint8Array> = []
    const compare = (bytes: Uint8Array): void => {
      if (decode(bytes) !== twinDecode(bytes)) wrong.push(bytes)
    }
    for (let first = 0; first < 256; first++) {
      for (let second = 0; second < 256; second++) {
        const four = Uint8Array.of(first, second, 0x80, 0x80)
        for (const length of first < 0x80 ? [2] : [2, 3, 4]) compare(four.subarray(0, length))
      }
    }
    const prng = new Prng(5)
    const likely = [0, 0x41, 0x7f, 0x80, 0xbf, 0xc2, 0xdf, 0xe0, 0xa0, 0xed, 0xef, 0xf0, 0xf4, 0xf5]
    for (let i = 0; i < 20_000; i++) {
      compare(Uint8Array.from({ length: prng.below(8) }, () => prng.pick(likely)))
    }
    expect(wrong).toEqual([])
  })
})
