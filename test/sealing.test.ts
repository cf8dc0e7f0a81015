/** Tags and encryption of batches: what was not sealed for this place does not open. */
import { describe, expect, it } from "vitest"
import { Opener, Sealer, type SealedStrength, TAG_BYTES } from "../src/link/sealing.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"

const key = nodeCrypto.random(32)
const sealer = (strength: SealedStrength, k = key) => new Sealer(strength, nodeCrypto.cipher(k))
const opener = (strength: SealedStrength, k = key) => new Opener(strength, nodeCrypto.cipher(k))

describe.each(["authenticated", "encrypted"] as const)("%s batches", (strength) => {
  it.each([0, 1, 100, 16_384, 100_000])("of %d bytes open to what they were", (length) => {
    const frame = nodeCrypto.random(length)
    const sealed = sealer(strength).seal(7, frame)
    expect(sealed.tag).toHaveLength(TAG_BYTES)
    expect(new Uint8Array(sealed.frame)).toHaveLength(length)
    if (strength === "authenticated") expect(sealed.frame).toBe(frame)
    else if (length > 1) expect(Buffer.from(sealed.frame).equals(frame)).toBe(false)
    expect(Buffer.from(opener(strength).open(7, sealed)!).equals(frame)).toBe(true)
  })

  it("open in order up to the highest sequence there is", () => {
    const [sealing, opening] = [sealer(strength), opener(strength)]
    for (const sequence of [1, 2, 3, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1]) {
      const sealed = sealing.seal(sequence, Uint8Array.of(sequence & 255))
      expect(opening.open(sequence, sealed)?.[0]).toBe(sequence & 255)
      expect(opening.open(sequence - 1 || 9, sealed)).toBeUndefined()
    }
  })

  it("do not open with one bit changed anywhere, or cut, or grown", () => {
    const frame = nodeCrypto.random(20)
    const { frame: body, tag } = sealer(strength).seal(1, frame)
    const flipped = (bytes: Uint8Array, bit: number): Uint8Array => {
      const copy = new Uint8Array(bytes)
      copy[bit >> 3]! ^= 1 << (bit & 7)
      return copy
    }
    const opening = opener(strength)
    for (let bit = 0; bit < 8 * body.length; bit++) {
      expect(opening.open(1, { frame: flipped(body, bit), tag })).toBeUndefined()
    }
    for (let bit = 0; bit < 8 * tag.length; bit++) {
      expect(opening.open(1, { frame: body, tag: flipped(tag, bit) })).toBeUndefined()
    }
    const lengths = [0, 1, 4, 12, 15, 17, 32]
    for (const length of lengths) {
      const other = new Uint8Array(length)
      other.set(tag.subarray(0, length))
      expect(opening.open(1, { frame: body, tag: other })).toBeUndefined()
      expect(opening.open(1, { frame: body.subarray(0, length % 20), tag })).toBeUndefined()
    }
    expect(opening.open(1, { frame: body, tag })).toBeDefined()
  })

  it("do not open under another key or as the other strength", () => {
    const sealed = sealer(strength).seal(1, Uint8Array.of(1, 2, 3))
    const other = strength === "encrypted" ? "authenticated" : "encrypted"
    expect(opener(strength, nodeCrypto.random(32)).open(1, sealed)).toBeUndefined()
    expect(opener(other).open(1, sealed)).toBeUndefined()
  })

  it("never use a sequence twice", () => {
    const sealing = sealer(strength)
    sealing.seal(2, Uint8Array.of(1))
    expect(() => sealing.seal(2, Uint8Array.of(1))).toThrow(/sequence/)
    expect(() => sealing.seal(1, Uint8Array.of(1))).toThrow(/sequence/)
    expect(() => sealing.seal(2 ** 53, Uint8Array.of(1))).toThrow(/sequence/)
  })
})
