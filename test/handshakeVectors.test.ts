/** docs/PROTOCOL.md 16: a handshake and what is sealed after it, byte for byte. */
import {
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  hkdfSync,
  type KeyObject
} from "node:crypto"
import { describe, expect, it } from "vitest"
import { NO_BYTES } from "../src/base/bytes.ts"
import { sealedPass } from "../src/link/fetchSealing.ts"
import type { HandshakeStep } from "../src/link/handshake.ts"
import { hkdf, linkKeys, proofPreimage, sessionOf } from "../src/link/linkKeys.ts"
import type { Crypto, Exchange } from "../src/link/ports.ts"
import { Sealer } from "../src/link/sealing.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import { rawOf, readSigner } from "../src/runtime/platform-node/nodeKeys.ts"
import { accepting, dialing } from "./support/handshakes.ts"
import { vectorsOf } from "./support/vectors.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))

/** PKCS #8 of raw keys. */
const ED25519 = "302e020100300506032b657004220420"
const X25519 = "302e020100300506032b656e04220420"
const keyOf = (prefix: string, raw: string): KeyObject =>
  createPrivateKey({ key: Buffer.from(prefix + raw, "hex"), format: "der", type: "pkcs8" })
const signerOf = (raw: string) =>
  readSigner(keyOf(ED25519, raw).export({ type: "pkcs8", format: "pem" }).toString())!

const RAW = {
  dialer: {
    host: "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
    ephemeral: "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
    nonce: 0xa1
  },
  acceptor: {
    host: "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
    ephemeral: "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
    nonce: 0xb2
  }
} as const

/** The port, without chance. */
const fixed = ({ ephemeral, nonce }: { readonly ephemeral: string; readonly nonce: number }) => {
  const privateKey = keyOf(X25519, ephemeral)
  const exchange: Exchange = {
    publicKey: rawOf(createPublicKey(privateKey)),
    agree: (theirs) => {
      const x = Buffer.from(theirs).toString("base64url")
      const publicKey = createPublicKey({ key: { kty: "OKP", crv: "X25519", x }, format: "jwk" })
      return new Uint8Array(diffieHellman({ privateKey, publicKey }))
    }
  }
  const suite: Crypto = {
    ...nodeCrypto,
    random: (length) => new Uint8Array(length).fill(nonce),
    makeExchange: () => exchange
  }
  return { exchange, suite }
}

const VERSIONS = { versions: [2] }
const [d, a] = [fixed(RAW.dialer), fixed(RAW.acceptor)]
const [alice, bob] = [signerOf(RAW.dialer.host), signerOf(RAW.acceptor.host)]
const dialer = dialing({ ...VERSIONS, suite: d.suite, signer: alice, expected: bob.publicKey })
const acceptor = accepting({ ...VERSIONS, suite: a.suite, signer: bob })
type Sent = Exclude<HandshakeStep, { readonly refused: unknown }>

const first = dialer.start()!
const second = acceptor.take(first) as Sent
const third = dialer.take(second.send!) as Sent
const last = acceptor.take(third.send!) as Sent

const session = sessionOf({
  dialer: first.hello!,
  acceptor: second.send!.hello!,
  binding: NO_BYTES
})
const secret = d.exchange.agree(a.exchange.publicKey)!
const keys = linkKeys(nodeCrypto, session, secret)
const FRAME = bytesOf("08031002")
const RANGE = { digest: new Uint8Array(32).fill(0xd4), list: false, offset: 8, length: 4 }
const fetching = sealedPass(
  { ...nodeCrypto, random: (length) => new Uint8Array(length).fill(0xc3) },
  keys.exporter,
  new Uint8Array(16).fill(0x70)
)
const sealed = new Sealer("encrypted", nodeCrypto.cipher(keys.dialer.sealing)).seal(3, FRAME)

describe("the vectors of the protocol page", () => {
  it("are what this code makes", () => {
    expect(vectorsOf("16.")).toEqual({
      "dialer's private host key": RAW.dialer.host,
      "dialer's private ephemeral key": RAW.dialer.ephemeral,
      "acceptor's private host key": RAW.acceptor.host,
      "acceptor's private ephemeral key": RAW.acceptor.ephemeral,
      "dialer's hello": hex(first.hello!),
      "acceptor's hello": hex(second.send!.hello!),
      session: hex(session),
      secret: hex(secret),
      "dialer's proof key": hex(keys.dialer.proof),
      "acceptor's proof key": hex(keys.acceptor.proof),
      "dialer's sealing key": hex(keys.dialer.sealing),
      "acceptor's sealing key": hex(keys.acceptor.sealing),
      exporter: hex(keys.exporter),
      "what the acceptor signs": hex(proofPreimage(session, "acceptor", bob.publicKey)),
      "acceptor's proof": hex(second.send!.proof!),
      "what the dialer signs": hex(proofPreimage(session, "dialer", alice.publicKey)),
      "dialer's proof": hex(third.send!.proof!),
      "frame 3 of the dialer": hex(FRAME),
      "its tag": hex(third.session!.proven!.sealer.seal(3, FRAME).tag),
      "the same, encrypted": hex(sealed.frame),
      "its tag, encrypted": hex(sealed.tag),
      "token of the fetch": hex(fetching.token),
      "bytes of the answer": hex(fetching.seal(RANGE, bytesOf("0809")))
    })
  })

  it("have the secret that RFC 7748, 6.1, has", () => {
    const expected = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"
    expect(hex(secret)).toBe(expected)
    expect(hex(a.exchange.agree(d.exchange.publicKey)!)).toBe(expected)
  })

  it("are of a handshake that both sides end", () => {
    expect(last.session?.proven?.peerKey).toEqual(alice.publicKey)
    expect(third.session?.proven?.session).toEqual(session)
    expect(last.session?.proven?.session).toEqual(session)
  })
})

describe("HKDF", () => {
  it("is the one of node:crypto, at every length", () => {
    for (let length = 1; length <= 200; length += 7) {
      const [salt, info] = [nodeCrypto.random(length % 40), nodeCrypto.random(length % 50)]
      const options = { secret: nodeCrypto.random(32), salt, info, length }
      const expected = new Uint8Array(hkdfSync("sha256", options.secret, salt, info, length))
      expect(hkdf(nodeCrypto, options)).toEqual(expected)
    }
  })

  it("stands on HMAC-SHA256", () => {
    const [key, bytes] = [nodeCrypto.random(32), nodeCrypto.random(77)]
    const expected = createHmac("sha256", key).update(bytes).digest()
    expect(hex(nodeCrypto.hmac(key, bytes))).toBe(hex(expected))
  })
})
