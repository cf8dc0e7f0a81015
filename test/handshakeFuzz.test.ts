/** Changed, cut and wild bytes in a handshake: refused, never thrown at, never a link. */
import { describe, expect, it } from "vitest"
import { Prng } from "../src/base/prng.ts"
import type { HandshakeParts } from "../src/link/handshake.ts"
import { decodeLinkHello, decodeLinkProof } from "../src/link/linkHello.ts"
import { accepting, at, dialing, recorded, shake } from "./support/handshakes.ts"
import { seedsOf } from "./support/seeds.ts"

describe("any change on the way", () => {
  const one = (parts: HandshakeParts, name: keyof HandshakeParts): Uint8Array | undefined =>
    parts[name]
  const withPart = (parts: HandshakeParts, name: keyof HandshakeParts, bytes: Uint8Array) => ({
    ...parts,
    [name]: bytes
  })
  const PLACES: ReadonlyArray<readonly [number, keyof HandshakeParts]> = [
    [0, "hello"],
    [1, "hello"],
    [1, "proof"],
    [2, "proof"]
  ]

  it("of any one byte ends the handshake", () => {
    const random = new Prng(1)
    for (const [place, name] of PLACES) {
      const length = one(recorded(dialing(), accepting())[place]!, name)!.length
      for (let i = 0; i < length; i++) {
        const changed = at(place, (parts) => {
          const bytes = one(parts, name)!.slice()
          bytes[i]! ^= 1 + random.below(255)
          return withPart(parts, name, bytes)
        })
        const { dialer, acceptor, refused } = shake(dialing(), accepting(), changed)
        expect(refused).toHaveLength(1)
        expect(acceptor).toBeUndefined()
        if (place < 2) expect(dialer).toBeUndefined()
      }
    }
  })

  it("a part that is cut, grown, missing, empty or anything at all ends it", () => {
    for (let seed = 0; seed < seedsOf(200); seed++) {
      const random = new Prng(seed)
      const [place, name] = random.pick(PLACES)
      const wild = at(place, (parts) => {
        const bytes = one(parts, name)!
        const cut = bytes.slice(0, random.below(bytes.length))
        const other = random.bytes(random.below(1500))
        switch (random.below(5)) {
          case 0:
            return withPart(parts, name, cut)
          case 1:
            return withPart(parts, name, Uint8Array.of(...cut, ...other))
          case 2:
            return withPart(parts, name, other)
          case 3:
            return { ...parts, [name]: undefined! }
          default:
            return {}
        }
      })
      const { acceptor, refused } = shake(dialing(), accepting(), wild)
      expect({ seed, acceptor, refusals: refused.length }).toMatchObject({
        seed,
        acceptor: undefined,
        refusals: 1
      })
    }
  })

  it("wild bytes are no hello and no proof, and throw nothing", () => {
    for (let seed = 0; seed < seedsOf(2000); seed++) {
      const bytes = new Prng(seed).bytes(seed % 300)
      if (seed % 3 === 0 && bytes.length > 2) bytes.set([0x08, 0x01, 0x10].slice(0, 3))
      expect([decodeLinkHello(bytes), decodeLinkProof(bytes)]).toEqual([undefined, undefined])
    }
  })
})
