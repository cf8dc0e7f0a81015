/**
 * Reliable broadcast among four hosts in this process, with signatures and without: all of a node
 * but its links and disk. What one broadcast costs all four together.
 */
import { LIMITS } from "../src/base/limits.ts"
import { ClientKey } from "../src/link/clientKey.ts"
import { decodeMessage, encodeMessage } from "../src/link/envelope.ts"
import { HostCore, type HostPorts } from "../src/link/hostCore.ts"
import type { Proofs } from "../src/link/proofs.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { makeSigner, nodeVerifier } from "../src/runtime/platform-node/nodeKeys.ts"
import type { LaneKey } from "../src/server/laneKey.ts"
import { methodId, type PeerMessage, type Request } from "../src/server/Message.ts"
import type { Codec, HandlerFunction, MethodSpec, ProtocolSpec } from "../src/server/Protocol.ts"

const MEMBERS = [1, 2, 3, 4]
/** A node without a disk keeps out of sessions of the time before its boot. */
const BOOTED_AGO_MS = 120_000
const ROUTE = 1

const codec: Codec = {
  decode: (body) => ({ body }),
  encode: (message) => (message as { readonly body: Uint8Array }).body
}

/** @source Bracha, Asynchronous Byzantine agreement protocols, 1987 */
const bracha = (signed: boolean): ProtocolSpec => {
  const method = (name: string, handler: HandlerFunction, forwards: string): MethodSpec => ({
    name,
    fullName: `rb/${name}`,
    call: name === "broadcast" ? "multiparty" : "phase",
    input: codec,
    output: codec,
    forwards: [forwards],
    replies: name === "broadcast" ? [] : ["broadcast"],
    handler: name === "broadcast" ? handler : { quorum: handler },
    signed
  })
  return {
    name: "rb",
    methods: [
      method("broadcast", ({ message, forward }) => forward.echo(message), "echo"),
      method(
        "echo",
        ({ votes, system, forward, wait }) =>
          votes.agreed(system.quorum) ? forward.ready(votes.value) : wait,
        "ready"
      ),
      method(
        "ready",
        ({ votes, system, forward, reply, wait }) =>
          votes.agreed(system.quorum)
            ? reply(votes.value)
            : votes.agreed(system.oneHonest)
              ? forward.ready(votes.value)
              : wait,
        "ready"
      )
    ]
  }
}

const signers = new Map(MEMBERS.map((node) => [node, makeSigner()]))
const keys = new Map(MEMBERS.map((node) => [node, signers.get(node)!.publicKey]))
const scope = { digest: new Uint8Array(32).fill(1), epoch: 0 }
const proofsOf = (node: number): Proofs => ({
  ...{ scope, keys, signer: signers.get(node)!, verifier: nodeVerifier }
})

export class SignedBroadcast {
  /** Broadcasts that all four answered. */
  finished = 0
  /** Answers that were none, and whatever was reported. */
  errors = 0
  private readonly hosts = new Map<number, HostCore>()
  private readonly client: ClientKey
  private readonly session: LaneKey
  private readonly payload: number
  private readonly signed: boolean
  private asked = 0
  private answers = new Map<number, number>()
  private next = (): void => {}
  private agoMs = BOOTED_AGO_MS
  private readonly timers = new Map<number, NodeJS.Timeout>()

  constructor(signed: boolean, payload: number) {
    this.signed = signed
    this.payload = payload
    const signer = makeSigner()
    const random = (length: number): Uint8Array => crypto.getRandomValues(new Uint8Array(length))
    this.client = new ClientKey({ scope, publicKey: signer.publicKey, signer, random })
    this.session = this.client.session(Date.now())
    for (const node of MEMBERS) this.hosts.set(node, this.host(node))
    this.agoMs = 0
    for (const [node, host] of this.hosts) {
      for (const peer of MEMBERS) if (peer !== node) host.peerUp(peer, `store ${peer}`)
    }
  }

  /** Keeps `open` broadcasts under way until `count` more are done. */
  async run(count: number, open: number): Promise<void> {
    const until = this.finished + count
    await new Promise<void>((resolve) => {
      this.next = () => {
        if (this.finished + this.errors >= until) return resolve()
        if (this.asked < until) this.ask()
      }
      for (let i = Math.min(open, count); i > 0; i--) this.ask()
    })
    // What is still on its way, so that it costs the run that caused it.
    await new Promise((resolve) => setTimeout(resolve, 2))
    for (const host of this.hosts.values()) host.tick()
  }

  close(): void {
    for (const timer of this.timers.values()) clearTimeout(timer)
  }

  private ask(): void {
    const index = ++this.asked
    const body = new Uint8Array(this.payload)
    const plain: Request = {
      ...{ kind: "request", session: this.session, index, method: methodId("rb/broadcast"), body },
      ...{ ackedBelow: this.finished > 64 ? this.finished - 64 : 1, deadlineMs: 0 }
    }
    const wire = encodeMessage(this.signed ? this.client.prove(plain) : plain)
    for (const host of this.hosts.values()) {
      host.fromClient(ROUTE, decodeMessage(wire, 0, wire.length) as Request)
    }
  }

  private answered(index: number, failed: boolean): void {
    if (failed) this.errors++
    const count = (this.answers.get(index) ?? 0) + 1
    this.answers.set(index, count)
    if (count < MEMBERS.length) return
    this.answers.delete(index)
    this.finished++
    this.next()
  }

  private host(self: number): HostCore {
    let woken = false
    const nowMs = (): number => Date.now() - this.agoMs
    const soon = (): void => {
      if (woken) return
      woken = true
      setImmediate(() => {
        woken = false
        host.drain()
      })
    }
    const ports: HostPorts = {
      clock: { nowMs },
      sendToPeer: (to, message) => {
        const wire = encodeMessage(message)
        this.hosts.get(to)!.receive(self, decodeMessage(wire, 0, wire.length) as PeerMessage)
      },
      sendToClient: (_, reply) => this.answered(reply.index, reply.code !== undefined),
      run: () => {},
      interrupt: () => {},
      report: () => this.errors++,
      halt: () => this.errors++,
      wake: soon,
      wakeAt: (atMs) => {
        clearTimeout(this.timers.get(self))
        const delayMs = Math.max(0, atMs - nowMs())
        this.timers.set(
          self,
          setTimeout(() => host.timeUp(), delayMs)
        )
      }
    }
    const host: HostCore = new HostCore({
      self,
      system: makeSystem(MEMBERS, "byzantine"),
      protocols: [bracha(this.signed)],
      limits: LIMITS,
      log: undefined,
      isEffect: () => false,
      ...(this.signed && { proofs: proofsOf(self) }),
      ports
    })
    host.boot()
    return host
  }
}
