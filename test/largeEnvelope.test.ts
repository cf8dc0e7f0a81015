import { describe, expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import { LargeEnvelope } from "../src/link/largeEnvelope.ts"

describe("an envelope in fragments", () => {
  it("is whole again, one after the other, whatever the parts are", () => {
    const random = new Prng(5)
    const envelope = new LargeEnvelope()
    for (let round = 0; round < 50; round++) {
      const bytes = random.bytes(1 + random.below(2000))
      let whole: unknown
      for (let at = 0; at < bytes.length; ) {
        expect(whole).toBeUndefined()
        const part = bytes.subarray(at, at + 1 + random.below(300))
        at += part.length
        whole = envelope.take(part, bytes.length - at, 4000)
      }
      expect(whole).toEqual(bytes)
      expect(envelope.size).toBe(0)
    }
  })

  it("takes memory by what came: parts of one byte are no more, nor is a promise of much", () => {
    const envelope = new LargeEnvelope()
    for (let came = 1; came <= 1000; came++) {
      envelope.take(Uint8Array.of(1), 1_000_000 - came, 1_000_000)
      expect(envelope.size).toBeLessThanOrEqual(2 * came)
    }
  })

  it("that is too large, or whose rest does not add up, is a fault", () => {
    const part = new Uint8Array(10)
    expect(new LargeEnvelope().take(part, 91, 100)).toMatch(/^an envelope of 101 bytes/)
    for (const left of [89, 91, 0, 80.5]) {
      const envelope = new LargeEnvelope()
      envelope.take(part, 90, 100)
      const fault = envelope.take(part, left, 200)
      expect(fault).toMatch(/^a fragment that leaves/)
    }
  })
})
