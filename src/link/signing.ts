/**
 * The way out: a word of a signed phase that has passed the gate waits here for its signature, and
 * with it what goes to the same peer later. One batch a turn, off the main thread.
 */
import type { NodeId } from "../base/NodeId.ts"
import { ProtocolInvalid } from "../server/handlers.ts"
import { type MethodId, methodId, type PeerMessage, type Word } from "../server/Message.ts"
import type { MethodSpec, ProtocolSpec } from "../server/Protocol.ts"
import { Fifo } from "./fifo.ts"
import { type Proofs, wordPreimage } from "./proofs.ts"

export interface Outgoing {
  readonly to: NodeId
  readonly link: number
  readonly message: PeerMessage
}

export class Signing {
  /** Messages that wait: no more than cursors let out. */
  waiting = 0
  private readonly self: NodeId
  private readonly proofs: Proofs
  private readonly signed: ReadonlySet<MethodId>
  private readonly send: (message: Outgoing) => void
  private readonly wake: () => void
  private readonly queues = new Map<NodeId, Fifo<Outgoing>>()
  private readonly asked = new Set<Word>()
  private unsent: Array<Word> = []

  constructor(parts: {
    readonly self: NodeId
    readonly proofs: Proofs
    readonly methods: ReadonlyMap<MethodId, MethodSpec>
    readonly send: (message: Outgoing) => void
    /** Signatures came: call `release` soon. */
    readonly wake: () => void
  }) {
    this.self = parts.self
    this.proofs = parts.proofs
    this.send = parts.send
    this.wake = parts.wake
    const signed = [...parts.methods].filter(([, spec]) => spec.signed === true)
    this.signed = new Set(signed.map(([id]) => id))
  }

  /** Sends it on now, or once it and what goes before it is signed. */
  take(message: Outgoing): void {
    const queue = this.queues.get(message.to)
    if (queue === undefined && !this.lacks(message.message)) return this.send(message)
    this.waiting++
    if (queue === undefined) this.queues.set(message.to, this.begin(message))
    else queue.push(message)
    const word = message.message
    if (!this.lacks(word) || this.asked.has(word)) return
    this.asked.add(word)
    this.unsent.push(word)
  }

  flush(): void {
    if (this.unsent.length === 0) return
    const words = this.unsent
    this.unsent = []
    this.proofs.signer.sign(
      words.map((word) => this.preimage(word)),
      (signatures) => {
        for (const [i, word] of words.entries()) {
          this.asked.delete(word)
          put(word, signatures[i]!)
        }
        this.wake()
      }
    )
  }

  /** Lets out what is signed. */
  release(): void {
    for (const [to, queue] of this.queues) {
      for (let next = queue.peek(); next !== undefined; next = queue.peek()) {
        if (this.lacks(next.message)) break
        queue.shift()
        this.waiting--
        this.send(next)
      }
      if (queue.length === 0) this.queues.delete(to)
    }
  }

  /** For a proof that the engine makes in the step that says the word. */
  now(word: Word): Uint8Array {
    if (word.signature === undefined) put(word, this.proofs.signer.signNow(this.preimage(word)))
    return word.signature!
  }

  private preimage(word: Word): Uint8Array {
    return wordPreimage(this.proofs.scope, { ...word, author: this.self })
  }

  private begin(message: Outgoing): Fifo<Outgoing> {
    const queue = new Fifo<Outgoing>()
    queue.push(message)
    return queue
  }

  private lacks(message: PeerMessage): message is Word {
    return (
      message.kind === "word" && message.signature === undefined && this.signed.has(message.method)
    )
  }
}

const put = (word: Word, signature: Uint8Array): void => {
  word.signature ??= signature
  // Its envelope is that of the log, which has no signature.
  delete word.wire
}

export const methodsOf = (
  protocols: ReadonlyArray<ProtocolSpec>
): ReadonlyMap<MethodId, MethodSpec> =>
  new Map(protocols.flatMap((p) => p.methods.map((m) => [methodId(m.fullName), m] as const)))

export const refuseSigned = (methods: ReadonlyMap<MethodId, MethodSpec>): void => {
  for (const { fullName, signed, proofs } of methods.values()) {
    if (signed !== true && proofs === undefined) continue
    throw new ProtocolInvalid(`${fullName} needs signatures, and this node has no keys`)
  }
}
