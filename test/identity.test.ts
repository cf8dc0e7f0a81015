/** What a channel takes of the host that its link has proven: its own name, and nothing more. */
import { describe, expect, it } from "vitest"
import { hexOf, NO_BYTES } from "../src/base/bytes.ts"
import { type Hello, LINK_VERSION } from "../src/link/groupHello.ts"
import type { LinkSession } from "../src/link/handshake.ts"
import type { LinkStrength } from "../src/link/linkHello.ts"
import {
  acceptsLinks,
  checkIdentity,
  dialsMember,
  unlinkedProblem
} from "../src/runtime/internal/identity.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import { makeSigner } from "../src/runtime/platform-node/nodeKeys.ts"
import { alice, bob, eve, shake } from "./support/handshakes.ts"

/** Alice is node 1, Bob node 2; Eve is none. */
const group = (links: LinkStrength, clients?: ReadonlyArray<Uint8Array>) => ({
  addresses: new Map([
    [1, "127.0.0.1:7001"],
    [2, "127.0.0.1:7002"]
  ]),
  keys: new Map([
    [1, alice.publicKey],
    [2, bob.publicKey]
  ]),
  links,
  clients: clients && new Set(clients.map(hexOf))
})
const hello = (node: number, clientKey = NO_BYTES): Hello => ({
  version: LINK_VERSION,
  group: "g",
  groupDigest: new Uint8Array(32),
  node,
  clientKey,
  storeId: NO_BYTES,
  incarnation: new Uint8Array(16),
  horizonMs: 0,
  fetchToken: NO_BYTES
})
/** Of a link to a host that proved this key. */
const session = (strength: LinkStrength, peerKey?: Uint8Array): LinkSession => ({
  version: LINK_VERSION,
  strength,
  ...(peerKey && { proven: { peerKey } as never })
})
const code = (...args: Parameters<typeof checkIdentity>) => checkIdentity(...args)?.code

describe("a channel on a proven link", () => {
  const ours = group("authenticated")
  it("is of the node whose key was proven, and of no other", () => {
    const linked = session("authenticated", bob.publicKey)
    expect(code(ours, hello(2), linked)).toBeUndefined()
    expect(code(ours, hello(1), linked)).toBe("unauthenticated")
    expect(code(ours, hello(3), linked)).toBe("unauthenticated")
    expect(code(ours, hello(2), session("authenticated", eve.publicKey))).toBe("unauthenticated")
  })

  it("is of the client whose key was proven, and of no other", () => {
    const linked = session("authenticated", eve.publicKey)
    expect(code(ours, hello(0, eve.publicKey), linked)).toBeUndefined()
    expect(code(ours, hello(0, bob.publicKey), linked)).toBe("unauthenticated")
    const closed = group("authenticated", [alice.publicKey])
    expect(code(closed, hello(0, eve.publicKey), linked)).toBe("unauthenticated")
    const alices = session("authenticated", alice.publicKey)
    expect(code(closed, hello(0, alice.publicKey), alices)).toBeUndefined()
    // That a member may link does not make it a client.
    const bobs = session("authenticated", bob.publicKey)
    expect(code(closed, hello(0, bob.publicKey), bobs)).toBe("unauthenticated")
    expect(code(closed, hello(2), bobs)).toBeUndefined()
  })

  it("needs a link that is as strong as its group asks, or stronger", () => {
    const strengths: ReadonlyArray<LinkStrength> = ["plaintext", "authenticated", "encrypted"]
    const taken = strengths.map((links) =>
      strengths.map((strength) => {
        const key = strength === "plaintext" ? undefined : bob.publicKey
        return code(group(links), hello(2), session(strength, key)) === undefined
      })
    )
    expect(taken).toEqual([
      [true, true, true],
      [false, true, true],
      [false, false, true]
    ])
    expect(code(ours, hello(2), undefined)).toBe("unauthenticated")
  })
})

describe("the handshakes of a group", () => {
  const identity = (signer: typeof alice) => ({ signer, suite: nodeCrypto })
  const dial = (ours: ReturnType<typeof group>, signer = alice, node = 2) =>
    dialsMember(ours, node, identity(signer))

  it.each(["authenticated", "encrypted"] as const)("are %s, between its members", (links) => {
    const ours = group(links)
    const { dialer, acceptor } = shake(dial(ours), acceptsLinks([ours], identity(bob)))
    expect([dialer?.strength, acceptor?.strength]).toEqual([links, links])
    expect(acceptor?.proven?.peerKey).toEqual(alice.publicKey)
  })

  it("reach the node that was meant, or nobody", () => {
    const ours = group("authenticated")
    const wrong = shake(dial(ours, alice, 1), acceptsLinks([ours], identity(bob)))
    expect(wrong).toMatchObject({ dialer: undefined, refused: ["unauthenticated"] })
  })

  it("are for members and those who may call", () => {
    const closed = group("authenticated", [eve.publicKey])
    const refused = (signer: typeof alice) =>
      shake(dial(closed, signer), acceptsLinks([closed], identity(bob))).refused
    expect([alice, eve, makeSigner()].map(refused)).toEqual([[], [], ["unauthenticated"]])
  })

  it("of a host are what any of its groups takes, and a channel sees to the rest", () => {
    const [open, closed] = [group("plaintext"), group("encrypted", [])]
    const accepts = () => acceptsLinks([open, closed], identity(bob))
    const { acceptor } = shake(dialsMember(open, 2, {}), accepts())
    expect(code(closed, hello(1), acceptor)).toBe("unauthenticated")
    expect(shake(dial(group("authenticated")), accepts()).refused).toEqual(["unauthenticated"])
    expect(shake(dial(closed), accepts()).acceptor?.strength).toBe("encrypted")
  })

  it("need no keys where links are plaintext", () => {
    const ours = group("plaintext")
    expect(shake(dialsMember(ours, 2, {}), acceptsLinks([ours], {})).refused).toEqual([])
  })
})

describe("calls outside links", () => {
  it("are taken where nothing is proven, and of strangers where any client may call", () => {
    const taken = [group("plaintext"), group("encrypted"), group("encrypted", [])].map((it) => [
      unlinkedProblem(it, false) === undefined,
      unlinkedProblem(it, true) === undefined
    ])
    expect(taken).toEqual([
      [true, true],
      [false, true],
      [false, false]
    ])
  })
})
