/** What a man in the middle, a stranger and a liar try on a handshake: none ever has a link. */
import { describe, expect, it } from "vitest"
import { NO_BYTES } from "../src/base/bytes.ts"
import { LINK_VERSION } from "../src/link/groupHello.ts"
import type { Handshake, HandshakeParts, HandshakeStep } from "../src/link/handshake.ts"
import {
  decodeLinkHello,
  decodeLinkProof,
  encodeLinkHello,
  encodeLinkProof,
  type LinkHello
} from "../src/link/linkHello.ts"
import { linkKeys, type LinkRole, proofPreimage, sessionOf } from "../src/link/linkKeys.ts"
import type { Crypto, Exchange, Signer } from "../src/link/ports.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import {
  accepting,
  alice,
  at,
  bob,
  dialing,
  eve,
  type Meddle,
  recorded,
  shake
} from "./support/handshakes.ts"

const bytesOf = (hex: string): Uint8Array => new Uint8Array(Buffer.from(hex, "hex"))

/** The hello with other fields. */
const rewritten = (hello: Uint8Array | undefined, change: Partial<LinkHello>): Uint8Array =>
  encodeLinkHello({ ...decodeLinkHello(hello!)!, ...change })

const rewriting = (place: number, change: Partial<LinkHello>): Meddle =>
  at(place, (parts) => ({ ...parts, hello: rewritten(parts.hello, change) }))

const codeOf = (step: HandshakeStep): string | undefined =>
  "refused" in step ? step.refused.code : undefined

const NOBODY = { dialer: undefined, acceptor: undefined, refused: ["unauthenticated"] }

describe("a recorded handshake", () => {
  const parts = recorded(dialing(), accepting())

  it("played to the acceptor again ends at the proof", () => {
    const acceptor = accepting()
    expect(codeOf(acceptor.take(parts[0]!))).toBeUndefined()
    expect(codeOf(acceptor.take(parts[2]!))).toBe("unauthenticated")
  })

  it("played to the dialer again is no answer", () => {
    const dialer = dialing()
    dialer.start()
    expect(codeOf(dialer.take(parts[1]!))).toBe("unauthenticated")
  })

  it("gives nobody else's proof a meaning: they are of one link", () => {
    const other = recorded(dialing(), accepting())
    expect(
      shake(
        dialing(),
        accepting(),
        at(1, () => other[1]!)
      )
    ).toEqual(NOBODY)
    const swapped = at(2, () => parts[2]!)
    expect(shake(dialing(), accepting(), swapped).acceptor).toBeUndefined()
  })
})

describe("downgrades", () => {
  it("of the version: what was offered is signed", () => {
    const next = LINK_VERSION + 1
    const both = { versions: [next, LINK_VERSION] }
    const sides = () => [dialing(both), accepting(both)] as const
    expect(shake(...sides()).dialer?.version).toBe(next)
    const stripped = { version: LINK_VERSION, versions: [] }
    expect(shake(...sides(), rewriting(0, stripped))).toEqual(NOBODY)
    expect(shake(...sides(), rewriting(1, { version: LINK_VERSION }))).toEqual(NOBODY)
    const unknown = shake(...sides(), rewriting(1, { version: next + 1 }))
    expect(unknown.refused).toEqual(["unsupported_version"])
  })

  it("of the strength, to another one and to none", () => {
    for (const place of [0, 1]) {
      const weaker = rewriting(place, { strength: "authenticated" })
      expect(shake(dialing({ strength: "encrypted" }), accepting(), weaker)).toEqual(NOBODY)
      const none = encodeLinkHello({
        version: LINK_VERSION,
        strength: "plaintext",
        hostKey: NO_BYTES,
        nonce: NO_BYTES,
        ephemeralKey: NO_BYTES,
        versions: []
      })
      expect(
        shake(
          dialing(),
          accepting(),
          at(place, () => ({ hello: none }))
        )
      ).toEqual(NOBODY)
      // To an acceptor that takes such links too it is one more nobody; the dialer has no link.
      const lax = accepting({ strengths: ["plaintext", "authenticated"] })
      const { dialer, acceptor } = shake(
        dialing(),
        lax,
        at(place, () => ({ hello: none }))
      )
      expect({ dialer, proven: acceptor?.proven }).toEqual({ dialer: undefined, proven: undefined })
    }
  })
})

/** All that an attacker can compute who made one of the two exchanges. */
const forged = (options: {
  readonly role: LinkRole
  readonly hellos: { readonly dialer: Uint8Array; readonly acceptor: Uint8Array }
  readonly claimed: Uint8Array
  readonly exchange: Exchange
  readonly signer: Signer
}): Uint8Array => {
  const { role, hellos, claimed, exchange, signer } = options
  const peer = decodeLinkHello(role === "dialer" ? hellos.acceptor : hellos.dialer)!
  const session = sessionOf({ ...hellos, binding: NO_BYTES })
  const secret = exchange.agree(peer.ephemeralKey) ?? new Uint8Array(32)
  const preimage = proofPreimage(session, role, claimed)
  const mac = nodeCrypto.hmac(linkKeys(nodeCrypto, session, secret)[role].proof, preimage)
  return encodeLinkProof({ signature: signer.signNow(preimage), mac })
}

describe("who has no key of the host he claims to be", () => {
  it("is refused by the acceptor, though the exchange is his own", () => {
    const exchange = nodeCrypto.makeExchange()
    const mine = { suite: { ...nodeCrypto, makeExchange: () => exchange }, signer: eve }
    for (const [signer, claimed] of [
      [eve, alice.publicKey],
      [eve, eve.publicKey]
    ] as const) {
      const hello = rewritten(dialing(mine).start()!.hello, { hostKey: claimed })
      const acceptor = accepting()
      const step = acceptor.take({ hello })
      const answer = "send" in step ? step.send! : {}
      const hellos = { dialer: hello, acceptor: answer.hello! }
      const proof = forged({ role: "dialer", hellos, claimed, exchange, signer })
      const end = acceptor.take({ proof })
      // The forger forges well: as herself she gets her link.
      expect(codeOf(end)).toBe(claimed === eve.publicKey ? undefined : "unauthenticated")
    }
  })

  it("is refused by the dialer, between two honest hosts with two exchanges of his own", () => {
    const exchange = nodeCrypto.makeExchange()
    const dialer = dialing()
    const { hello } = dialer.start()!
    const answered = accepting().take({ hello: hello! }) as { readonly send: HandshakeParts }
    const theirs = rewritten(answered.send.hello, { ephemeralKey: exchange.publicKey })
    const hellos = { dialer: hello!, acceptor: theirs }
    const claimed = bob.publicKey
    const proof = forged({ role: "acceptor", hellos, claimed, exchange, signer: eve })
    expect(codeOf(dialer.take({ hello: theirs, proof }))).toBe("unauthenticated")
    const own = decodeLinkProof(proof)!
    const bobs = decodeLinkProof(answered.send.proof!)!
    const mixed = encodeLinkProof({ signature: bobs.signature, mac: own.mac })
    const again = dialing()
    again.start()
    expect(codeOf(again.take({ hello: theirs, proof: mixed }))).toBe("unauthenticated")
  })
})

describe("identity misbinding", () => {
  it("puts no other name on an honest host's exchange towards the acceptor", () => {
    const dialer = dialing()
    const renamed = rewritten(dialer.start()!.hello, { hostKey: eve.publicKey })
    const acceptor = accepting()
    const step = acceptor.take({ hello: renamed }) as { readonly send: HandshakeParts }
    // Eve signs, and has no part in the secret between Alice and Bob.
    const proof = forged({
      role: "dialer",
      hellos: { dialer: renamed, acceptor: step.send.hello! },
      claimed: eve.publicKey,
      exchange: nodeCrypto.makeExchange(),
      signer: eve
    })
    expect(codeOf(acceptor.take({ proof }))).toBe("unauthenticated")
    expect(codeOf(dialer.take(step.send))).toBe("unauthenticated")
  })

  it("nor towards a dialer that would take anybody", () => {
    const dialer = dialing({ expected: undefined! })
    const { hello } = dialer.start()!
    const { send } = accepting().take({ hello: hello! }) as { readonly send: HandshakeParts }
    const renamed = rewritten(send.hello, { hostKey: eve.publicKey })
    const proof = forged({
      role: "acceptor",
      hellos: { dialer: hello!, acceptor: renamed },
      claimed: eve.publicKey,
      exchange: nodeCrypto.makeExchange(),
      signer: eve
    })
    expect(codeOf(dialer.take({ hello: renamed, proof }))).toBe("unauthenticated")
  })
})

describe("a host's own words sent back", () => {
  it("are no answer", () => {
    const dialer = dialing({ expected: alice.publicKey })
    const own = dialer.start()!
    const [, answer] = recorded(dialing(), accepting())
    const echo = { hello: own.hello!, proof: answer!.proof! }
    expect(codeOf(dialer.take(echo))).toBe("unauthenticated")
  })

  it("nor is the acceptor's proof one of a dialer", () => {
    const parts = recorded(dialing(), accepting())
    const swapped = at(2, () => ({ proof: parts[1]!.proof! }))
    expect(shake(dialing(), accepting(), swapped).acceptor).toBeUndefined()
    const reflected = shake(dialing(), accepting(), (part, place) =>
      place === 1 ? { ...part, proof: parts[2]!.proof! } : part
    )
    expect(reflected).toEqual(NOBODY)
  })

  it("nor is the proof of this very link, said in the other role", () => {
    const acceptor = accepting()
    const step = acceptor.take(dialing().start()!) as { readonly send: HandshakeParts }
    expect(codeOf(acceptor.take({ proof: step.send.proof! }))).toBe("unauthenticated")
  })

  it("nor do two dialers, or two acceptors, come to a link", () => {
    const dialer = dialing()
    const other: Handshake = dialing({ signer: bob, expected: alice.publicKey })
    dialer.start()
    expect(codeOf(dialer.take(other.start()!))).toBe("malformed")
    const acceptor = accepting()
    const { send } = acceptor.take(other.start()!) as { readonly send: HandshakeParts }
    expect(codeOf(accepting().take(send))).toBe("malformed")
  })
})

/** All points of order 1, 2, 4 and 8 of Curve25519 and its twist, with what reduces to them. */
const SMALL_EXCHANGES = [
  "00".repeat(32),
  `01${"00".repeat(31)}`,
  "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
  "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
  `ec${"ff".repeat(30)}7f`,
  `ed${"ff".repeat(30)}7f`,
  `ee${"ff".repeat(30)}7f`,
  `00${"00".repeat(30)}80`
]
const SMALL_KEYS = ["00".repeat(32), `01${"00".repeat(31)}`, `ec${"ff".repeat(30)}7f`]

describe("keys that are none", () => {
  it.each(SMALL_EXCHANGES)("%s gives no secret", (hex) => {
    const ephemeralKey = bytesOf(hex)
    expect(nodeCrypto.makeExchange().agree(ephemeralKey)).toBeUndefined()
    for (const place of [0, 1]) {
      expect(shake(dialing(), accepting(), rewriting(place, { ephemeralKey }))).toEqual(NOBODY)
    }
  })

  it("nor do those of another length", () => {
    for (const length of [0, 31, 33]) {
      expect(nodeCrypto.makeExchange().agree(new Uint8Array(length).fill(9))).toBeUndefined()
    }
  })

  /** Eve as dialer, herself; her exchange and Bob's suite are what is tried. */
  const asEve = (exchange: Exchange, suite: Crypto, claimed = eve.publicKey) => {
    const mine = { suite: { ...nodeCrypto, makeExchange: () => exchange }, signer: eve }
    const hello = rewritten(dialing(mine).start()!.hello, { hostKey: claimed })
    const acceptor = accepting({ suite })
    const step = acceptor.take({ hello })
    if ("refused" in step) return step.refused.code
    const hellos = { dialer: hello, acceptor: step.send!.hello! }
    return codeOf(
      acceptor.take({ proof: forged({ role: "dialer", hellos, claimed, exchange, signer: eve }) })
    )
  }

  it("a port that gives zeros is not trusted", () => {
    const zeros = (exchange: Exchange) => ({ ...exchange, agree: () => new Uint8Array(32) })
    const [mine, bobs] = [nodeCrypto.makeExchange(), nodeCrypto.makeExchange()]
    expect(asEve(mine, { ...nodeCrypto, makeExchange: () => bobs })).toBeUndefined()
    const lax = { ...nodeCrypto, makeExchange: () => zeros(bobs) }
    expect(asEve(zeros(mine), lax)).toBe("unauthenticated")
  })

  it("one's own ephemeral key is no other's, whoever knows its secret", () => {
    const exchange = nodeCrypto.makeExchange()
    expect(asEve(exchange, { ...nodeCrypto, makeExchange: () => exchange })).toBe("unauthenticated")
  })

  it("a host key of small order proves nothing, even where a library takes its word", () => {
    const lax = { ...nodeCrypto, verifyNow: () => true }
    expect(asEve(nodeCrypto.makeExchange(), lax)).toBeUndefined()
    for (const claimed of SMALL_KEYS.map(bytesOf)) {
      expect(asEve(nodeCrypto.makeExchange(), lax, claimed)).toBe("unauthenticated")
    }
  })

  it.each(SMALL_KEYS)("nobody is the host %s", (hex) => {
    const hostKey = bytesOf(hex)
    const anyone = dialing({ expected: undefined! })
    expect(shake(dialing(), accepting(), rewriting(0, { hostKey }))).toEqual(NOBODY)
    expect(shake(anyone, accepting(), rewriting(1, { hostKey }))).toEqual(NOBODY)
  })
})

describe("bytes after the handshake", () => {
  it("open only where their sealer meant them to", () => {
    const [first, second] = [shake(dialing(), accepting()), shake(dialing(), accepting())]
    const [a, b] = [first.dialer!.proven!, first.acceptor!.proven!]
    const frame = Uint8Array.of(1, 2, 3)
    const sealed = a.sealer.seal(3, frame)
    // Changed, injected, repeated, sent back, of another link.
    expect(b.opener.open(3, { ...sealed, frame: Uint8Array.of(1, 2, 4) })).toBeUndefined()
    expect(b.opener.open(3, { frame, tag: new Uint8Array(16) })).toBeUndefined()
    expect(b.opener.open(3, { frame, tag: NO_BYTES })).toBeUndefined()
    expect(b.opener.open(4, sealed)).toBeUndefined()
    expect(a.opener.open(3, sealed)).toBeUndefined()
    expect(second.acceptor!.proven!.opener.open(3, sealed)).toBeUndefined()
    expect(b.opener.open(3, sealed)).toEqual(frame)
  })
})
