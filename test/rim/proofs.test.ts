/** Signatures of real keys over each carrier: words, requests, and what a third party can check. */
import { mkdtempSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { create, fromBinary, toBinary } from "@bufbuild/protobuf"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { CertificateSchema } from "../../gen/quorate/v1/proof_pb.ts"
import { CommandSchema, PreparedSchema } from "../plugin/golden/ts/proofs/v1/proofs_quorate.ts"
import { decodeFrame, encodeFrame } from "../../src/link/frame.ts"
import type { Connection, Packet } from "../../src/link/ports.ts"
import type { Carrier } from "../../src/runtime/Carrier.ts"
import { verify } from "../../src/runtime/platform-node/NodeGroup.ts"
import * as Proof from "../../src/runtime/Proof.ts"
import * as Quorum from "../../src/quorum/Policy.ts"
import { type Committed, PREPARE, Proofs } from "../support/proving.ts"
import { check } from "../support/thirdParty.ts"
import { startSigning } from "./support/signing.ts"
import type { Kind } from "./support/worlds.ts"

const KINDS: ReadonlyArray<Kind> = ["memory", "http2", "unary"]
/** What a node says in words leaves in the name of another one. */
const inTheNameOf = (author: number, carrier: Carrier["Service"]): Carrier["Service"] => {
  const forged = (packet: Packet): Packet => {
    const frame = decodeFrame(packet.frame)
    if (frame?.content.kind !== "messages") return packet
    const messages = frame.content.messages.map((message) => {
      if (message.kind !== "word") return message
      const { wire: _, ...word } = message
      return { ...word, author }
    })
    return { frame: encodeFrame({ ...frame, content: { ...frame.content, messages } }) }
  }
  const lying = (connection: Connection): Connection => ({
    remote: connection.remote,
    get backlogBytes() {
      return connection.backlogBytes
    },
    trust: () => connection.trust(),
    send: (packet) => connection.send(forged(packet)),
    close: () => connection.close()
  })
  return {
    ...carrier,
    // Which of two members dials is up to their keys.
    dial: (address, events) => lying(carrier.dial(address, events)),
    listen: (address, door) =>
      carrier.listen(address, { ...door, accept: (connection) => door.accept(lying(connection)) })
  }
}

/** A prepared command "c". */
const isC = (body: Uint8Array): boolean =>
  fromBinary(CommandSchema, fromBinary(PreparedSchema, body).digest).text === "c"

describe.each(KINDS)("over %s", (kind) => {
  it.live("signed calls are answered, and leave certificates that anyone can check", () =>
    Effect.gen(function* () {
      const committed: Array<Committed> = []
      const { client, group, config } = yield* startSigning(kind, committed)
      yield* Effect.gen(function* () {
        const proofs = yield* Proofs
        for (const text of ["a", "b"]) {
          const answer = yield* proofs.submit(
            { text },
            Quorum.matching((r) => r.text)
          )
          assert.strictEqual(answer.text, text)
        }
        // Nodes 3 and 4 have it from two members alone, each with the client's signature.
        const relayed = yield* proofs.submit(
          { text: "c" },
          Quorum.matching((r) => r.text),
          { to: [1, 2] }
        )
        assert.strictEqual(relayed.text, "c")
        assert.isTrue(committed.some(({ node, certificate: { body } }) => node > 2 && isC(body)))
      }).pipe(Effect.provide(Proofs.layer.pipe(Layer.provide(client))))
      assert.isAbove(committed.length, 5)
      const stored = toBinary(
        CertificateSchema,
        create(CertificateSchema, committed[0]!.certificate as never)
      )
      const certificate = fromBinary(CertificateSchema, stored)
      const file = join(mkdtempSync(join(tmpdir(), "quorate-proofs-")), "group.json")
      writeFileSync(file, JSON.stringify(config))
      assert.isTrue((yield* check(file, stored, PREPARE)).holds)
      const options = { verify, method: PREPARE }
      const verdict = Proof.verifyCertificate(group, certificate, options)
      assert.isTrue(verdict.holds)
      const votes = certificate.votes.slice(1)
      const why = (other: Proof.Certificate, more = {}) => {
        const said = Proof.verifyCertificate(group, other, { ...options, ...more })
        return said.holds ? "holds" : said.why
      }
      const { author } = certificate.votes[0]!
      assert.match(why({ ...certificate, votes }), /are no such quorum$/)
      assert.match(
        why({ ...certificate, round: 1 }),
        new RegExp(`^node ${author} did not sign it$`)
      )
      assert.match(
        why({ ...certificate, votes: [...certificate.votes, votes[0]!] }),
        /there twice$/
      )
      assert.match(why(certificate, { method: "proofs.v1.Proofs/Commit" }), /^it is not of proofs/)
      const other = { ...group, keys: new Map(), digest: new Uint8Array(32) }
      const elsewhere = Proof.verifyCertificate(other, certificate, options)
      assert.deepEqual(elsewhere, { holds: false, why: "the group file has no keys" })
    }).pipe(Effect.scoped)
  )
})

describe("P2 over memory", () => {
  it.live("a member that speaks in another's name speaks for nobody", () =>
    Effect.gen(function* () {
      const committed: Array<Committed> = []
      const { client, group } = yield* startSigning("memory", committed, {
        carrierOf: (id, it) => (id === 4 ? inTheNameOf(3, it) : it)
      })
      yield* Effect.gen(function* () {
        const proofs = yield* Proofs
        for (const text of ["a", "b", "c"]) {
          yield* proofs.submit(
            { text },
            Quorum.matching((r) => r.text)
          )
        }
      }).pipe(Effect.provide(Proofs.layer.pipe(Layer.provide(client))))
      const shown = committed.filter(({ node }) => node !== 4)
      assert.isAbove(shown.length, 5)
      for (const { certificate } of shown) {
        const verdict = Proof.verifyCertificate(group, certificate, { verify, method: PREPARE })
        assert.deepEqual(verdict, { holds: true, authors: [1, 2, 3] })
      }
    }).pipe(Effect.scoped)
  )
})
