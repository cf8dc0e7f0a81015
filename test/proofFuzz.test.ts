/** Proofs of any bytes: nothing throws, and what holds says what was signed, and nothing else. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { describe, expect, it } from "vitest"
import { CertificateSchema } from "../gen/quorate/v1/proof_pb.ts"
import { Prng } from "../src/base/prng.ts"
import { decodeMessage, encodeMessage } from "../src/link/envelope.ts"
import { requestPreimage, sessionDigest, wordPreimage } from "../src/link/proofs.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import type { Group } from "../src/runtime/Group.ts"
import { parseGroup } from "../src/runtime/Group.ts"
import { generateKey, readSigner, verify } from "../src/runtime/platform-node/nodeKeys.ts"
import { type Certificate, certifies, verifyCertificate } from "../src/runtime/Proof.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import { methodId, type Request, type Word } from "../src/server/Message.ts"
import { certificateOf, type Signed, wordsOf } from "../src/server/Proof.ts"
import { garbled } from "../src/testing/inventions.ts"
import { DIGEST, keyOf, provingHost, signedBy } from "./support/proofs.ts"
import { type Committed, PREPARE, proving } from "./support/proving.ts"

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")
const bytesOf = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
const method = methodId(PREPARE)

describe("a certificate for a third party", () => {
  const pairs = [1, 2, 3, 4].map(() => generateKey())
  const group = parseGroup(
    {
      ...{ group: "demo", faults: "byzantine", durable: false },
      nodes: pairs.map(({ publicKey }, i) => ({
        ...{ id: i + 1, address: `127.0.0.1:${7001 + i}`, key: publicKey }
      }))
    },
    "g.json"
  ) as Group["Service"]
  const scope = { digest: group.digest, epoch: 0 }
  const signed = new Set<string>()
  const word = (author: number, index: number, text: string): Signed => {
    const said = { lane: "slots", index, method, round: 0, author, body: bytesOf(text) }
    const message = wordPreimage(scope, said)
    signed.add(hex(message))
    return { ...said, signature: readSigner(pairs[author - 1]!.privateKey)!.signNow(message) }
  }
  const certificates = [
    certificateOf([1, 2, 3].map((author) => word(author, 7, "a"))),
    certificateOf([word(2, 7, "a"), word(3, 7, "a"), word(4, 7, "b")]),
    certificateOf([1, 2, 4].map((author) => word(author, 8, "b")))
  ]
  const wire = (certificate: Certificate): Uint8Array =>
    toBinary(CertificateSchema, create(CertificateSchema, certificate as never))
  /** "holds", or why it does not; throws where it holds and was not signed. */
  const judged = (bytes: Uint8Array): string => {
    let certificate: Certificate
    try {
      certificate = fromBinary(CertificateSchema, bytes)
    } catch {
      return "no certificate"
    }
    const verdict = verifyCertificate(group, certificate, { verify, method: PREPARE })
    if (!verdict.holds) return verdict.why.replaceAll(/\d+/g, "N")
    for (const it of wordsOf(certificate)!) {
      expect(signed.has(hex(wordPreimage(scope, it)))).toBe(true)
    }
    expect(new Set(wordsOf(certificate)!.map(({ body }) => hex(body))).size).toBe(1)
    expect(new Set(verdict.authors).size).toBeGreaterThanOrEqual(3)
    return "holds"
  }
  /** One made of parts of others: what whoever has seen many can put together. */
  const patched = (random: Prng): Certificate => {
    const [one, two] = [random.pick(certificates), random.pick(certificates)]
    const votes = [...one.votes, ...two.votes].filter(() => random.chance(500))
    const lie = random.below(4)
    return {
      ...one,
      index: random.pick([one.index, two.index, 0n, 2n ** 64n - 1n]),
      round: random.chance(100) ? 1 : 0,
      lane: random.chance(100) ? new Uint8Array(random.below(400)) : one.lane,
      body: random.pick([one.body, two.body]),
      votes: votes.map((vote) => ({
        ...vote,
        ...(lie === 0 && { author: random.below(6) }),
        ...(lie === 1 && { signature: random.pick(votes).signature }),
        ...(lie === 2 && { body: random.pick([one.body, two.body]) })
      }))
    }
  }

  it("P15: of changed bytes holds only where it still says what was signed", () => {
    const random = new Prng(15)
    const seen = new Set<string>()
    for (let i = 0; i < 4_000; i++) {
      seen.add(judged(garbled(random, wire(random.pick(certificates)))))
      seen.add(judged(wire(patched(random))))
      seen.add(judged(random.bytes(random.below(64))))
    }
    for (const why of ["holds", "no certificate", "it is not of proofs.vN.Proofs/Prepare"]) {
      expect(seen).toContain(why)
    }
    expect(seen).toContain("its votes are not for one message")
    expect(seen).toContain("node N did not sign it")
    expect(seen).toContain("an author is no member, or is there twice")
  })
})

describe("a certificate of votes that differ", () => {
  const system = makeSystem([1, 2, 3, 4], "byzantine")
  const vote = (author: number, text: string): Signed => ({
    ...{ lane: "slots", index: 7, method, round: 0, author },
    ...{ body: bytesOf(text), signature: new Uint8Array(64) }
  })
  const certificate = certificateOf([vote(3, "a 3"), vote(1, "b 1"), vote(2, "b 2")])
  const first = (body: Uint8Array): string => String.fromCharCode(body[0]!)

  it("shows nothing: a liar would put its own value before those of others", () => {
    expect(certifies(system, certificate, system.quorum)).toBe(false)
    expect(certifies(system, certificate, system.quorum, first)).toBe(false)
  })

  it("shows what they agree on, where its reader says what that is", () => {
    const one = certificateOf([vote(3, "b 3"), vote(1, "b 1"), vote(2, "b 2")])
    expect(certifies(system, one, system.quorum)).toBe(false)
    expect(certifies(system, one, system.quorum, first)).toBe(true)
    const throwing = (): never => {
      throw new Error("no message")
    }
    expect(certifies(system, one, system.quorum, throwing)).toBe(false)
  })
})

describe("a host", () => {
  const OPENED_MS = 63_000
  const client = keyOf(100)
  const nonce = new Uint8Array(16).fill(3)
  const lane = sessionKey(OPENED_MS, sessionDigest(client.publicKey, DIGEST, nonce, OPENED_MS))
  const scope = { digest: DIGEST, epoch: 0 }
  const { spec } = proving()
  const [submit, propose, prepare, commit] = spec.methods.map((it) => ({
    ...{ input: it.input, id: methodId(it.fullName) }
  }))
  const request: Request = {
    ...{ kind: "request", session: lane, index: 1, ackedBelow: 1, deadlineMs: 0 },
    ...{ method: submit!.id, body: submit!.input.encode({ text: "a" }) }
  }
  const signature = client.signNow(requestPreimage(scope, request))
  const asked: Request = { ...request, proof: { clientKey: client.publicKey, nonce, signature } }
  const { kind: _, ...shown } = { ...request, ...asked.proof!, session: undefined }
  const at = { kind: "word", lane, index: 1, round: 0, ackedBelow: 1, position: 1 } as const
  const proposal: Word = signedBy(2, {
    ...at,
    method: propose!.id,
    body: propose!.input.encode({
      request: { ...shown, session: new Uint8Array(Buffer.from(lane, "latin1")) }
    })
  })
  const digest = request.body
  const prepared = [2, 3, 4].map((author) => ({
    ...signedBy(author, { ...at, method, body: prepare!.input.encode({ digest }) }),
    author
  }))
  const committing: Word = {
    ...{ ...at, method: commit!.id },
    body: commit!.input.encode({ digest, prepared: certificateOf(prepared) })
  }
  // Also node 1's own, as it shows it itself.
  const truths = new Set(
    [{ ...prepared[0]!, author: 1 }, ...prepared].map((it) => hex(wordPreimage(scope, it)))
  )

  const tried = (committed: Array<Committed>, act: (host: Hosted) => void) => {
    committed.length = 0
    const hosted = provingHost(proving(committed).spec)
    act(hosted)
    for (let i = 0; i < 3; i++) {
      hosted.host.drain()
      hosted.work()
    }
    hosted.host.drain()
    return hosted
  }
  type Hosted = ReturnType<typeof provingHost>
  /** A message of node 2, or of a client, as its bytes say; what is none cuts the link. */
  const receive = ({ host }: Hosted, bytes: Uint8Array): void => {
    const message = decodeMessage(bytes, 0, bytes.length)
    if (message?.kind === "request") host.fromClient(7, message)
    else if (message?.kind === "word") host.receive(2, message)
  }

  it("P15: takes changed words and requests, and runs nothing that nobody signed", () => {
    const random = new Prng(16)
    const committed: Array<Committed> = []
    let [count, forged] = [0, 0]
    for (let i = 0; i < 1_500; i++) {
      const wires = [asked, proposal, committing].map((it) => encodeMessage(it))
      const which = random.below(3)
      const { host, take } = tried(committed, (hosted) => {
        for (const [j, wire] of wires.entries()) {
          receive(hosted, j === which ? garbled(random, wire) : wire)
        }
      })
      for (const { certificate } of committed) {
        const words = wordsOf(certificate)!
        expect(words.every((it) => truths.has(hex(wordPreimage(scope, it))))).toBe(true)
      }
      count += committed.length
      forged += host.engine.counters["bad_signature"] ?? 0
      expect(take().filter((it) => typeof it === "string" && it.startsWith("halt"))).toEqual([])
    }
    expect(count).toBeGreaterThan(500)
    expect(forged).toBeGreaterThan(300)
  })
})
