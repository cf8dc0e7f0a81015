/** docs/PROTOCOL.md 15: what is signed, byte for byte, with the key of RFC 8032, 7.1, test 1. */
import { createPrivateKey } from "node:crypto"
import { describe, expect, it } from "vitest"
import { opens, requestPreimage, sessionDigest, wordPreimage } from "../src/link/proofs.ts"
import { readSigner, verify } from "../src/runtime/platform-node/nodeKeys.ts"
import { laneBytes, sessionKey } from "../src/server/laneKey.ts"
import { methodId } from "../src/server/Message.ts"
import { vectorsOf } from "./support/vectors.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, "hex"))
/** PKCS #8 of a raw key. */
const PREFIX = "302e020100300506032b657004220420"
const SEED = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"

const key = createPrivateKey({
  key: Buffer.from(PREFIX + SEED, "hex"),
  format: "der",
  type: "pkcs8"
})
const signer = readSigner(key.export({ type: "pkcs8", format: "pem" }).toString())!
const scope = { digest: new Uint8Array(32).fill(0xd1), epoch: 0 }
const body = bytesOf("0a0161")
const nonce = new Uint8Array(16).fill(0x5e)
const OPENED_MS = 1_764_000_000_000
const digest = sessionDigest(signer.publicKey, scope.digest, nonce, OPENED_MS)
const session = sessionKey(OPENED_MS, digest)
const method = methodId("kv.v1.Store/Get")
const word = wordPreimage(scope, { lane: "slots", index: 7, method, round: 2, author: 3, body })
const request = requestPreimage(scope, { session, index: 1, method, body })

describe("the vectors of the protocol page", () => {
  it("are what this code makes", () => {
    const made = {
      "private key": SEED,
      "public key": hex(signer.publicKey),
      "preimage of the word": hex(word),
      "signature of the word": hex(signer.signNow(word)),
      session: hex(laneBytes(session)),
      "preimage of the request": hex(request),
      "signature of the request": hex(signer.signNow(request))
    }
    expect(vectorsOf("15.")).toEqual(made)
  })

  it("verify, and bind the session to the key", () => {
    expect(verify(signer.publicKey, word, signer.signNow(word))).toBe(true)
    expect(verify(signer.publicKey, request, signer.signNow(word))).toBe(false)
    expect(opens(scope, session, signer.publicKey, nonce)).toBe(true)
    expect(opens(scope, session, new Uint8Array(32), nonce)).toBe(false)
  })
})
