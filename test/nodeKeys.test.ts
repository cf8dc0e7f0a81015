/** Ed25519 as Node has it, behind the ports of the pure part. */
import { generateKeyPairSync } from "node:crypto"
import { describe, expect, it } from "vitest"
import type { Verifier, VerifyJob } from "../src/link/ports.ts"
import {
  generateKey,
  makeSigner,
  nodeVerifier,
  readSigner,
  verify
} from "../src/runtime/platform-node/nodeKeys.ts"

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text)
const verdicts = (verifier: Verifier, jobs: ReadonlyArray<VerifyJob>) =>
  new Promise<ReadonlyArray<boolean>>((resolve) => verifier.verify(jobs, resolve))

describe("ed25519 of node:crypto", () => {
  it("signs a batch in order, the same bytes alike, on threads and at once", async () => {
    const signer = makeSigner()
    const messages = Array.from({ length: 100 }, (_, i) => bytes(`message ${i}`))
    const signed = await new Promise<ReadonlyArray<Uint8Array>>((resolve) =>
      signer.sign(messages, resolve)
    )
    expect(signed).toEqual(messages.map(signer.signNow))
    const { publicKey: key } = signer
    expect(verify(key, messages[7]!, signed[7]!)).toBe(true)
  })

  it("verifies a batch, each on its own", async () => {
    const signer = makeSigner()
    const job = (i: number): VerifyJob => {
      const message = bytes(`message ${i}`)
      return { key: signer.publicKey, message, signature: signer.signNow(message) }
    }
    const jobs = Array.from({ length: 80 }, (_, i) => job(i))
    jobs[3] = { ...jobs[3]!, message: bytes("other") }
    jobs[40] = { ...jobs[40]!, key: makeSigner().publicKey }
    jobs[41] = { ...jobs[41]!, key: new Uint8Array(5) }
    jobs[79] = { ...jobs[79]!, signature: new Uint8Array(64) }
    const wrong = (await verdicts(nodeVerifier, jobs)).flatMap((valid, i) => (valid ? [] : [i]))
    expect(wrong).toEqual([3, 40, 41, 79])
  })

  it("a batch is not held up by a longer one before it", async () => {
    const signer = makeSigner()
    const message = bytes("message")
    const job: VerifyJob = { key: signer.publicKey, message, signature: signer.signNow(message) }
    const ended: Array<number> = []
    const batch = async (length: number): Promise<void> => {
      const valid = await verdicts(nodeVerifier, Array<VerifyJob>(length).fill(job))
      expect(valid).toEqual(Array(length).fill(true))
      ended.push(length)
    }
    await Promise.all([500, 400, 1].map(batch))
    expect(ended[0]).toBe(1)
  })

  it("reads what it generated, and nothing else", () => {
    const { privateKey, publicKey } = generateKey()
    expect(publicKey).toMatch(/^[0-9a-f]{64}$/)
    const key = Buffer.from(readSigner(privateKey)!.publicKey).toString("hex")
    expect(key).toBe(publicKey)
    const other = generateKeyPairSync("x25519").privateKey
    for (const pem of ["", "key", other.export({ type: "pkcs8", format: "pem" }).toString()]) {
      expect(readSigner(pem)).toBeUndefined()
    }
  })
})
