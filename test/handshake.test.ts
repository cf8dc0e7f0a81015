/** The handshake of two honest hosts, and all that either may refuse before any attack. */
import { describe, expect, it } from "vitest"
import { LINK_VERSION } from "../src/link/groupHello.ts"
import type { Handshake, HandshakeStep, LinkSession, Proven } from "../src/link/handshake.ts"
import { isAtLeast, type LinkStrength, STRENGTHS } from "../src/link/linkHello.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import { accepting, alice, bob, dialing, eve, recorded, shake } from "./support/handshakes.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const proven = (session: LinkSession | undefined): Proven => session!.proven!

describe("two hosts", () => {
  it.each(["authenticated", "encrypted"] as const)("come to an %s link", (strength) => {
    const { dialer, acceptor, refused } = shake(dialing({ strength }), accepting())
    expect(refused).toEqual([])
    expect(dialer).toMatchObject({ version: LINK_VERSION, strength })
    expect(acceptor).toMatchObject({ version: LINK_VERSION, strength })
    expect(proven(dialer).peerKey).toEqual(bob.publicKey)
    expect(proven(acceptor).peerKey).toEqual(alice.publicKey)
    expect(proven(dialer).session).toEqual(proven(acceptor).session)
    expect(proven(dialer).exporter).toEqual(proven(acceptor).exporter)
    const sealed = proven(dialer).sealer.seal(3, bytes("to bob"))
    expect(proven(acceptor).opener.open(3, sealed)).toEqual(bytes("to bob"))
    const back = proven(acceptor).sealer.seal(3, bytes("to alice"))
    expect(proven(dialer).opener.open(3, back)).toEqual(bytes("to alice"))
  })

  it("come to a plaintext link where both take one, without keys", () => {
    const sides = [
      dialing({ strength: "plaintext" }),
      accepting({ strengths: ["plaintext"] })
    ] as const
    const { dialer, acceptor, refused } = shake(...sides)
    expect({ dialer, acceptor, refused }).toEqual({
      dialer: { version: LINK_VERSION, strength: "plaintext" },
      acceptor: { version: LINK_VERSION, strength: "plaintext" },
      refused: []
    })
  })

  it("have another session each time", () => {
    const sessions = Array.from({ length: 8 }, () =>
      String(proven(shake(dialing(), accepting()).dialer).session)
    )
    expect(new Set(sessions).size).toBe(8)
  })

  it("speak the acceptor's best version of those the dialer offers", () => {
    const version = (offered: ReadonlyArray<number>, spoken: ReadonlyArray<number>) =>
      shake(dialing({ versions: offered }), accepting({ versions: spoken }))
    expect(version([5, 4], [4, 3]).dialer?.version).toBe(4)
    expect(version([4, 5], [5, 4]).acceptor?.version).toBe(5)
    expect(version([4], [5])).toMatchObject({
      acceptor: undefined,
      refused: ["unsupported_version"]
    })
  })

  it("must have the same secure channel below, where it is bound", () => {
    const binding = bytes("exporter of the channel")
    const same = shake(dialing({ binding }), accepting({ binding: binding.slice() }))
    expect(same.refused).toEqual([])
    const other = shake(dialing({ binding }), accepting({ binding: bytes("another one") }))
    expect(other.refused).toEqual(["unauthenticated"])
    expect(shake(dialing(), accepting({ binding })).refused).toEqual(["unauthenticated"])
  })
})

describe("the dialer", () => {
  it("takes nobody but whom it expects", () => {
    const { dialer, refused } = shake(dialing(), accepting({ signer: eve }))
    expect({ dialer, refused }).toEqual({ dialer: undefined, refused: ["unauthenticated"] })
  })

  it("takes whoever answers where it expects nobody, and knows whom", () => {
    const { dialer } = shake(dialing({ expected: undefined! }), accepting({ signer: eve }))
    expect(proven(dialer).peerKey).toEqual(eve.publicKey)
  })
})

describe("the acceptor", () => {
  const strengths: ReadonlyArray<LinkStrength> = STRENGTHS
  it.each(strengths)("takes no strength but its own when asked for %s", (strength) => {
    for (const own of strengths) {
      const { refused } = shake(dialing({ strength }), accepting({ strengths: [own] }))
      expect(refused).toEqual(own === strength ? [] : ["unauthenticated"])
    }
  })

  it("asks its list, then its rate, and only then does cryptography", () => {
    const order: Array<string> = []
    const suite = {
      ...nodeCrypto,
      makeExchange: () => {
        order.push("cryptography")
        return nodeCrypto.makeExchange()
      }
    }
    const acceptor = (listed: boolean, admitted: boolean): Handshake =>
      accepting({
        suite,
        allow: (key) => {
          expect(key).toEqual(alice.publicKey)
          order.push("list")
          return listed ? undefined : { code: "unauthenticated", detail: "not listed" }
        },
        admit: () => {
          order.push("rate")
          return admitted ? undefined : { code: "overloaded", detail: "later" }
        }
      })
    expect(shake(dialing(), acceptor(false, true)).refused).toEqual(["unauthenticated"])
    expect(order.splice(0)).toEqual(["list"])
    expect(shake(dialing(), acceptor(true, false)).refused).toEqual(["overloaded"])
    expect(order.splice(0)).toEqual(["list", "rate"])
    expect(shake(dialing(), acceptor(true, true)).refused).toEqual([])
    expect(order).toEqual(["list", "rate", "cryptography"])
  })
})

describe("a handshake that is over", () => {
  it("stays refused, whatever comes", () => {
    const [hello] = recorded(dialing(), accepting())
    const acceptor = accepting({ strengths: ["encrypted"] })
    const first = acceptor.take(hello!) as Extract<HandshakeStep, { refused: unknown }>
    expect(first.refused.code).toBe("unauthenticated")
    expect(acceptor.take(dialing({ strength: "encrypted" }).start()!)).toEqual(first)
  })

  it("takes no second one", () => {
    const acceptor = accepting()
    const parts = recorded(dialing(), acceptor)
    expect(acceptor.take(parts[2]!)).toMatchObject({ refused: { code: "malformed" } })
    expect(acceptor.take(parts[0]!)).toMatchObject({ refused: { code: "malformed" } })
  })
})

describe("strengths", () => {
  it("are ordered", () => {
    const atLeast = STRENGTHS.map((one) => STRENGTHS.map((other) => isAtLeast(one, other)))
    expect(atLeast).toEqual([
      [true, false, false],
      [true, true, false],
      [true, true, true]
    ])
  })
})
