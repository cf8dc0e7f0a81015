/** Keys without curves, and a host that signs and verifies when the test says so. */
import { LIMITS } from "../../src/base/limits.ts"
import { HostCore } from "../../src/link/hostCore.ts"
import { type Proofs, wordPreimage } from "../../src/link/proofs.ts"
import { makeSystem } from "../../src/quorum/QuorumSystem.ts"
import type { PeerMessage, Word } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { SimKeys } from "../../src/testing/simKeys.ts"

export const MEMBERS = [1, 2, 3, 4]
export const DIGEST = new Uint8Array(32).fill(7)
const simulated = new SimKeys()
const soon = (then: () => void): void => then()
export const keyOf = (node: number) => simulated.signer(`node ${node}`, soon)
export const keys = new Map(MEMBERS.map((node) => [node, keyOf(node).publicKey]))

export const proofsOf = (self: number, later = soon): Proofs => ({
  scope: { digest: DIGEST, epoch: 0 },
  keys,
  signer: simulated.signer(`node ${self}`, later),
  verifier: simulated.verifier(later)
})

/** The word as `author` says it; `as` is what else is signed than what is shown. */
export const signedBy = (author: number, word: Word, as: Partial<Word> = {}, digest = DIGEST) => ({
  ...word,
  signature: keyOf(author).signNow(
    wordPreimage({ digest, epoch: 0 }, { ...word, ...as, author: as.author ?? author })
  )
})

/** With every phase and call signed, but for those named. */
export const allSigned = (spec: ProtocolSpec, ...but: ReadonlyArray<string>): ProtocolSpec => ({
  ...spec,
  methods: spec.methods.map((m) => ({
    ...m,
    signed: (m.call === "phase" || m.call === "multiparty") && !but.includes(m.name)
  }))
})

/** Node 1 with its links up. `later`: what the crypto threads have not done yet. */
export const provingHost = (protocol: ProtocolSpec) => {
  const sent: Array<{ readonly to: number; readonly message: PeerMessage }> = []
  const out: Array<string> = []
  const later: Array<() => void> = []
  let nowMs = 2_000
  const host = new HostCore({
    self: 1,
    system: makeSystem(MEMBERS, "byzantine"),
    protocols: [protocol],
    limits: LIMITS,
    log: undefined,
    isEffect: () => false,
    proofs: proofsOf(1, (then) => later.push(then)),
    ports: {
      clock: { nowMs: () => nowMs },
      sendToPeer: (to, message) => sent.push({ to, message }),
      sendToClient: (route, reply) => out.push(`${reply.code ?? "answer"} to client ${route}`),
      run: () => {},
      interrupt: () => {},
      report: (what, detail) => out.push(`${what}: ${detail}`),
      halt: (reason) => out.push(`halt: ${reason}`),
      wake: () => {},
      wakeAt: () => {}
    }
  })
  host.boot()
  // A node without a log keeps out of sessions of the time before.
  nowMs = 10_000
  for (const peer of [2, 3, 4]) {
    host.peerUp(peer, `store ${peer}`)
    host.receive(peer, { kind: "want", position: 0 })
  }
  host.drain()
  sent.length = 0
  const take = () => [...sent.splice(0), ...out.splice(0)]
  const work = () => {
    for (const then of later.splice(0)) then()
  }
  return { host, take, later, work }
}
