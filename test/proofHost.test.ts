/** A host signs what leaves and verifies what comes, in batches, in the order of each peer. */
import { describe, expect, it } from "vitest"
import { HostCore } from "../src/link/hostCore.ts"
import { decodeMessage, encodeMessage } from "../src/link/envelope.ts"
import { jobsOf, requestPreimage, sessionDigest } from "../src/link/proofs.ts"
import { laneBytes, laneOfBytes, sessionKey } from "../src/server/laneKey.ts"
import { methodId, type Request, type Word } from "../src/server/Message.ts"
import { certificateOf, type Proof, signedWord } from "../src/server/Proof.ts"
import { json, protocolOf, request, session } from "./support/engines.ts"
import {
  allSigned,
  DIGEST,
  keyOf,
  MEMBERS,
  proofsOf,
  provingHost,
  signedBy
} from "./support/proofs.ts"
import { echo } from "./support/tries.ts"

const heard: Array<string> = []
const listening = protocolOf(
  "rb",
  {
    broadcast: ["multiparty", ({ message, forward }) => forward.echo(message)],
    echo: ["phase", ({ wait }) => wait],
    slot: [
      "phase",
      {
        lane: "slots",
        index: () => 1,
        each: (it) => {
          heard.push(`${it.author} ${it.message.text}`)
          return it.wait
        }
      }
    ],
    show: [
      "phase",
      {
        lane: "slots",
        index: () => 1,
        each: (it) => {
          heard.push(`${it.author} shows ${it.message.proofs.length}`)
          return it.wait
        }
      }
    ],
    open: [
      "phase",
      {
        lane: "slots",
        index: () => 1,
        each: (it) => {
          heard.push(`${it.author} open`)
          return it.wait
        }
      }
    ]
  },
  { lanes: { slots: { window: 4 } } }
)
const spec = (() => {
  const signed = allSigned(listening, "broadcast", "open", "show")
  const proofs = (message: object) => (message as { proofs: ReadonlyArray<Proof> }).proofs
  const methods = signed.methods.map((m) => (m.name === "show" ? { ...m, proofs } : m))
  return { ...signed, methods }
})()
const slot = (position: number, method: string, message: object): Word =>
  echo(position, {
    lane: "slots",
    method: methodId(`rb/${method}`),
    body: json.encode(message),
    ackedBelow: 0
  })
/** Opened after the time in which an earlier life may have spoken. */
const OPENED_MS = 63_000
const call = request("rb", "broadcast", { text: "a" }, { session: session(1, OPENED_MS) })
const proving = () => {
  heard.length = 0
  return provingHost(spec)
}

describe("the way out", () => {
  it("a word waits for its signature, what follows it to the same peer waits behind it", () => {
    const { host, take, later, work } = proving()
    host.fromClient(7, call)
    host.drain()
    expect([take(), later.length]).toEqual([[], 1])
    host.receive(2, { kind: "want", position: 1 })
    host.drain()
    expect([take(), later.length]).toEqual([[], 1])
    work()
    host.drain()
    const words = take().filter((it) => typeof it !== "string")
    expect(words.map(({ to, message }) => `${message.kind} ${to}`)).toEqual([
      "word 2",
      "resume 2",
      "word 2",
      "word 3",
      "word 4"
    ])
  })

  it("the signature holds, and is of the same bytes in each life", () => {
    const { host, take, work } = proving()
    host.fromClient(7, call)
    host.drain()
    work()
    host.drain()
    const sent = take().flatMap((it) => (typeof it === "string" ? [] : [it.message]))
    const wire = encodeMessage(sent[0]!)
    const word = decodeMessage(wire, 0, wire.length) as Word
    const { signature, ...plain } = word
    expect(signedBy(1, plain).signature).toEqual(signature)
    expect(new Set(sent).size).toBe(1)
  })

  it("what is not signed does not wait", () => {
    const { host, take } = proving()
    host.receive(2, { kind: "want", position: 1 })
    host.drain()
    expect(take()).toMatchObject([{ to: 2, message: { kind: "resume" } }])
  })
})

describe("the way in", () => {
  it("keeps the order of a sender, and holds up no other", () => {
    const { host, work, later } = proving()
    host.receive(2, signedBy(2, slot(1, "slot", { text: "a" })))
    host.receive(2, slot(2, "open", {}))
    host.receive(3, slot(1, "open", {}))
    host.drain()
    expect(heard).toEqual(["3 open"])
    expect(later.length).toBe(1)
    work()
    host.drain()
    expect(heard).toEqual(["3 open", "2 a", "2 open"])
  })

  it("checks what one sender sent in one turn as one batch, and nobody waits for another", () => {
    const { host, work, later } = proving()
    host.receive(2, signedBy(2, slot(1, "slot", { text: "a" })))
    host.receive(2, slot(2, "open", {}))
    for (const from of [3, 4]) host.receive(from, signedBy(from, slot(1, "slot", { text: "a" })))
    host.drain()
    expect(later.length).toBe(3)
    later.splice(1, 1)[0]!()
    host.drain()
    expect(heard).toEqual(["3 a"])
    work()
    host.drain()
    expect(heard).toEqual(["3 a", "2 a", "2 open", "4 a"])
  })

  it("P8: a large body that many signed is not copied for each of them", () => {
    const body = new Uint8Array(1_048_576)
    const word = { lane: "slots", index: 1, method: 1, round: 0, body }
    const signature = new Uint8Array(64).fill(9)
    const votes = MEMBERS.flatMap((author) => ({ ...word, author, signature }))
    const before = process.memoryUsage().arrayBuffers
    const jobs = Array.from({ length: 100 }, () =>
      jobsOf(proofsOf(1), { kind: "certificate", ...certificateOf(votes) })
    )
    expect(jobs.flat().length).toBe(400)
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10_000_000)
  })

  it("what waited on a link that is gone came to nothing: it is asked for again", () => {
    const { host, work } = proving()
    host.receive(2, signedBy(2, slot(1, "slot", { text: "a" })))
    host.drain()
    host.peerDown(2)
    work()
    host.drain()
    expect(heard).toEqual([])
  })

  it("drops what is forged, and reports it", () => {
    const word = slot(1, "slot", { text: "a" })
    const others: ReadonlyArray<Word> = [
      word,
      signedBy(3, word),
      signedBy(2, word, { index: 2 }),
      signedBy(2, word, { round: 1 }),
      signedBy(2, word, { lane: "other" }),
      signedBy(2, word, { method: 1 }),
      signedBy(2, word, { body: json.encode({ text: "b" }) }),
      signedBy(2, word, { author: 3 }),
      signedBy(2, word, {}, new Uint8Array(32)),
      { ...signedBy(2, word), author: 3 },
      { ...signedBy(2, word), author: 77 }
    ]
    for (const forged of others) {
      const { host, take, work } = proving()
      host.receive(2, forged)
      host.drain()
      work()
      host.drain()
      expect(heard).toEqual([])
      expect(take()).toContainEqual(expect.stringMatching(/^bad_signature: node 2/))
    }
  })

  it("finds proofs in a message: all hold, or it counts for nothing", () => {
    const word = slot(1, "slot", { text: "a" })
    const by = (author: number) => ({ ...signedBy(author, word), author })
    const good: ReadonlyArray<Proof> = [
      { kind: "word", ...signedWord(by(3)) },
      { kind: "certificate", ...certificateOf([by(2), by(3), by(4)]) }
    ]
    const bad: ReadonlyArray<Proof> = [
      { kind: "word", ...signedWord({ ...by(3), author: 4 }) },
      { kind: "certificate", ...certificateOf([by(2), by(2)]) },
      { kind: "certificate", ...certificateOf([by(2), { ...by(3), author: 9 }]) }
    ]
    const shown = (proofs: ReadonlyArray<Proof>) => {
      const { host, work } = proving()
      host.receive(2, slot(1, "show", { proofs }))
      host.drain()
      work()
      host.drain()
      return heard.join()
    }
    expect(shown(good)).toBe("2 shows 2")
    for (const one of bad) expect(shown([...good, one])).toBe("")
  })

  it("P8: more signatures than a message may hold are not even looked at", () => {
    const word = { ...signedBy(3, slot(1, "slot", { text: "a" })), author: 3 }
    const { host, later } = proving()
    const proofs = Array.from({ length: 4097 }, () => ({ kind: "word", ...signedWord(word) }))
    host.receive(2, slot(1, "show", { proofs }))
    host.drain()
    expect([heard, later.length]).toEqual([[], 0])
    expect(host.engine.counters["bad_signature"]).toBe(1)
  })
})

describe("calls", () => {
  const signedCalls = allSigned(listening, "echo", "slot", "open", "show")
  const key = keyOf(100)
  const nonce = new Uint8Array(16).fill(3)
  const own = sessionKey(OPENED_MS, sessionDigest(key.publicKey, DIGEST, nonce, OPENED_MS))
  const asked = (more: Partial<Request> = {}, signer = key): Request => {
    const it = { ...call, session: own, ...more }
    const signature = signer.signNow(requestPreimage({ digest: DIGEST, epoch: 0 }, it))
    return { ...it, proof: { clientKey: key.publicKey, nonce, signature } }
  }
  const answerTo = (message: Request) => {
    const { host, take, work } = provingHost(signedCalls)
    host.fromClient(7, message)
    host.drain()
    work()
    host.drain()
    return take().map((it) => (typeof it === "string" ? it : it.message.kind))
  }

  it("a request signed by the client whose session it is runs", () => {
    expect(answerTo(asked())).toEqual(["word", "word", "word"])
  })

  it("one without a signature, with another's, or in another's session does not", () => {
    const { proof, ...bare } = asked()
    const others = [
      bare,
      asked({}, keyOf(101)),
      asked({ session: session(1, OPENED_MS) }),
      { ...asked(), index: 2 },
      { ...asked(), body: json.encode({ text: "b" }) },
      { ...bare, proof: { ...proof!, nonce: new Uint8Array(16) } }
    ]
    for (const other of others) expect(answerTo(other)).toEqual(["bad_signature to client 7"])
    expect(laneOfBytes(laneBytes(own))).toBe(own)
  })
})

describe("a node without keys", () => {
  it("does not start a protocol that needs them", () => {
    expect(() => new HostCore({ self: 1, protocols: [spec] } as never)).toThrow(
      "rb/echo needs signatures, and this node has no keys"
    )
  })
})
