/** What holds at the edges of ed25519, whatever the library says of it. */
import { createHash, createPrivateKey } from "node:crypto"
import { describe, expect, it } from "vitest"
import { isSmallOrder } from "../src/base/ed25519.ts"
import { jobsOf, sessionDigest, wordJob } from "../src/link/proofs.ts"
import { generateKey, readSigner, verify } from "../src/runtime/platform-node/nodeKeys.ts"
import { laneBytes, sessionKey } from "../src/server/laneKey.ts"

const P = 2n ** 255n - 19n
const L = 2n ** 252n + 27742317777372353535851937790883648493n
const bytesOf = (value: bigint): Uint8Array =>
  Uint8Array.from({ length: 32 }, (_, i) => Number((value >> BigInt(8 * i)) & 255n))
const numberOf = (bytes: Uint8Array): bigint =>
  bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
const sha512 = (...parts: ReadonlyArray<Uint8Array>): Uint8Array =>
  createHash("sha512").update(Buffer.concat(parts)).digest()

const power = (base: bigint, exponent: bigint): bigint => {
  let result = 1n
  for (let [b, e] = [base, exponent]; e > 0n; e >>= 1n, b = (b * b) % P) {
    if (e & 1n) result = (result * b) % P
  }
  return result
}
const over = (a: bigint, b: bigint): bigint => (((a * power(b, P - 2n)) % P) + P) % P
const D = over(-121665n, 121666n)
/** Eight times the point with this y is the neutral one. @source RFC 8032, 5.1.4 */
const hasSmallOrder = (of: bigint): boolean => {
  let y = of % P
  let xx = over(y * y - 1n, D * y * y + 1n)
  for (let i = 0; i < 3; i++) {
    const dxxyy = (D * xx * y * y) % P
    const next = over(y * y + xx, 1n - dxxyy)
    xx = over(4n * xx * y * y, (1n + dxxyy) ** 2n)
    y = next
  }
  return y === 1n
}

/** What RFC 8032 makes of a seed, but with the neutral point as R. */
const signedWithoutNonce = (seed: Uint8Array, message: Uint8Array) => {
  const pkcs8 = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), seed])
  const key = createPrivateKey({ key: pkcs8, format: "der", type: "pkcs8" })
  const signer = readSigner(key.export({ type: "pkcs8", format: "pem" }).toString())!
  const secret = sha512(seed).slice(0, 32)
  secret[0]! &= 248
  secret[31] = (secret[31]! & 127) | 64
  const r = bytesOf(1n)
  const k = numberOf(sha512(r, signer.publicKey, message)) % L
  const s = bytesOf((k * numberOf(secret)) % L)
  return { signer, signature: new Uint8Array([...r, ...s]) }
}

const scope = { digest: new Uint8Array(32).fill(7), epoch: 0 }
const seed = new Uint8Array(32).fill(5)

describe("points of small order", () => {
  it("are known in each of their encodings, and nothing else is taken for one", () => {
    const root = numberOf(
      Buffer.from("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", "hex")
    )
    const near = Array.from({ length: 19 }, (_, i) => [BigInt(i), P + BigInt(i), P - BigInt(i + 1)])
    for (const y of [...near.flat(), root, P - root, root + 1n]) {
      for (const sign of [0n, 1n << 255n]) {
        expect(isSmallOrder(bytesOf(y + sign)), String(y)).toBe(hasSmallOrder(y))
      }
    }
    const { publicKey } = generateKey()
    expect(isSmallOrder(new Uint8Array(Buffer.from(publicKey, "hex")))).toBe(false)
  })

  it("sign no word: to some versions of OpenSSL this is a signature, to others none", () => {
    const { signer } = signedWithoutNonce(seed, scope.digest)
    const keys = new Map([[3, signer.publicKey]])
    const word = { lane: "slots", index: 1, method: 1, round: 0, author: 3, body: scope.digest }
    const proofs = { scope, keys }
    const { message } = wordJob(proofs, { ...word, signature: new Uint8Array(64).fill(9) })!
    const { signature } = signedWithoutNonce(seed, message)
    expect(wordJob(proofs, { ...word, signature })).toBeUndefined()
    const good = wordJob(proofs, { ...word, signature: signer.signNow(message) })!
    expect(verify(good.key, good.message, good.signature)).toBe(true)
  })

  it("are no client's key", () => {
    const clientKey = bytesOf(1n)
    const nonce = new Uint8Array(16)
    const session = laneBytes(sessionKey(9, sessionDigest(clientKey, scope.digest, nonce, 9)))
    const request = { kind: "request", session, index: 1, method: 1, body: nonce } as const
    const signature = new Uint8Array(64).fill(9)
    const proof = { ...request, clientKey, nonce, signature }
    expect(jobsOf({ scope, keys: new Map() }, proof)).toBeUndefined()
  })
})

it("a correct signer's word has one signature: S is reduced, and the sign of R counts", () => {
  const { signer } = signedWithoutNonce(seed, scope.digest)
  const signature = signer.signNow(scope.digest)
  const s = numberOf(signature.subarray(32))
  for (const times of [1n, 2n, 7n]) {
    const longer = new Uint8Array([...signature.subarray(0, 32), ...bytesOf(s + times * L)])
    expect(verify(signer.publicKey, scope.digest, longer)).toBe(false)
  }
  const other = signature.slice()
  other[31]! ^= 0x80
  expect(verify(signer.publicKey, scope.digest, other)).toBe(false)
})
