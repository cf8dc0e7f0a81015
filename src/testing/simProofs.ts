/** The keys of a simulated group whose protocol signs, and what its liars do with theirs. */
import type { NodeId } from "../base/NodeId.ts"
import type { Prng } from "../base/prng.ts"
import { sha256 } from "../base/sha256.ts"
import { ClientKey } from "../link/clientKey.ts"
import { type Proofs, requestPreimage, type Scope, wordPreimage } from "../link/proofs.ts"
import { laneOfBytes } from "../server/laneKey.ts"
import { type ClientMessage, type MethodId, methodId, type Word } from "../server/Message.ts"
import type { Proof } from "../server/Proof.ts"
import type { MethodSpec, ProtocolSpec } from "../server/Protocol.ts"
import { type Later, SimKeys } from "./simKeys.ts"

/** Words of others that a liar may show again. */
const SEEN_MAX = 16

export class SimProofs {
  readonly #scope: Scope = { digest: sha256(new Uint8Array(1)), epoch: 0 }
  readonly #simulated = new SimKeys()
  readonly #members: ReadonlyArray<NodeId>
  readonly #keys: ReadonlyMap<NodeId, Uint8Array>
  readonly #methods: ReadonlyMap<MethodId, MethodSpec>
  /** Per liar. */
  readonly #seen = new Map<NodeId, Array<Word>>()

  /** `undefined`: the protocol signs nothing, and shows nothing that is signed. */
  static of(spec: ProtocolSpec, members: ReadonlyArray<NodeId>): SimProofs | undefined {
    const needed = spec.methods.some(({ signed, proofs }) => signed === true || proofs)
    return needed ? new SimProofs(spec, members) : undefined
  }

  private constructor(spec: ProtocolSpec, members: ReadonlyArray<NodeId>) {
    this.#members = members
    this.#keys = new Map(members.map((node) => [node, this.#signer(node).publicKey]))
    this.#methods = new Map(spec.methods.map((method) => [methodId(method.fullName), method]))
  }

  #signer(node: NodeId, later: Later = now) {
    return this.#simulated.signer(`node ${node}`, later)
  }

  of(node: NodeId, later: Later): Proofs {
    const verifier = this.#simulated.verifier(later)
    return { scope: this.#scope, keys: this.#keys, signer: this.#signer(node, later), verifier }
  }

  clientKey(name: string, random: Prng): ClientKey {
    const signer = this.#simulated.signer(name, now)
    const bytes = (length: number): Uint8Array => random.bytes(length)
    return new ClientKey({
      scope: this.#scope,
      publicKey: signer.publicKey,
      signer,
      random: bytes
    })
  }

  proven(key: ClientKey, message: ClientMessage): ClientMessage {
    const isSigned = message.kind === "request" && this.#methods.get(message.method)?.signed
    return isSigned === true ? key.prove(message) : message
  }

  /** A liar was told a word: its signature is one to show elsewhere. */
  saw(liar: NodeId, from: NodeId, word: Word): void {
    if (word.signature === undefined) return
    const seen = this.#seen.get(liar) ?? []
    this.#seen.set(liar, seen)
    seen.push({ ...word, author: word.author ?? from })
    if (seen.length > SEEN_MAX) seen.shift()
  }

  /** What a liar says, signed by itself as nobody else can sign; or with a signature that lies. */
  told(liar: NodeId, said: Word, random: Prng): Word {
    const word = random.chance(300) ? this.#forgedWithin(liar, said, random) : said
    const { wire: _, signature: __, ...bare } = word
    const other = random.pick(this.#members)
    if (this.#methods.get(word.method)?.signed !== true) {
      return random.chance(50) ? { ...bare, author: other } : word
    }
    const own = { ...bare, author: liar }
    const signature = this.#signer(liar).signNow(wordPreimage(this.#scope, own))
    const seen = this.#seen.get(liar)?.at(random.below(SEEN_MAX))
    switch (random.below(16)) {
      case 0:
        return bare
      case 1:
        return { ...bare, author: other, signature }
      case 2:
        // the truth, by another way
        return seen === undefined ? { ...bare, signature } : moved(seen, word, {})
      case 3:
        return seen === undefined
          ? bare
          : { ...bare, author: seen.author!, signature: seen.signature! }
      case 4:
        return seen === undefined ? bare : moved(seen, word, { index: seen.index + 1 })
      case 5:
        return seen === undefined ? bare : moved(seen, word, { lane: word.lane, index: word.index })
      case 6:
        return seen === undefined ? bare : moved(seen, word, { method: word.method })
      default:
        return { ...bare, signature }
    }
  }

  /** A word that shows others' proofs, one of them altered: relays lie about what they relay. */
  #forgedWithin(liar: NodeId, word: Word, random: Prng): Word {
    const method = this.#methods.get(word.method)
    if (method?.proofs === undefined) return word
    let message: object
    try {
      message = method.input.decode(word.body.slice())
    } catch {
      // It lied before.
      return word
    }
    const proofs = method.proofs(message)
    if (proofs.length === 0) return word
    this.#forge(liar, random.pick(proofs), random)
    const { wire: _, ...other } = word
    return { ...other, body: method.input.encode(message) }
  }

  /** In place: the bytes are those of the message. */
  #forge(liar: NodeId, proof: Proof, random: Prng): void {
    if (proof.kind === "certificate") {
      const signatures = proof.votes.map(({ signature }) => signature)
      if (signatures.length < 2) return flip(proof.body, random)
      return become(random.pick(signatures), random.pick(signatures))
    }
    const bytes = [proof.body, proof.signature]
    if (proof.kind === "word") return flip(random.pick([...bytes, proof.lane]), random)
    const others = [proof.session, proof.clientKey, proof.nonce]
    flip(random.chance(500) ? proof.body : random.pick([...bytes, ...others]), random)
    if (random.chance(500)) return
    // As if the liar were the client.
    const { publicKey, signNow } = this.#signer(liar)
    const session = laneOfBytes(proof.session)
    if (random.chance(500)) become(proof.clientKey, publicKey)
    become(proof.signature, signNow(requestPreimage(this.#scope, { ...proof, session })))
  }
}

const become = (bytes: Uint8Array, other: Uint8Array): void => {
  if (bytes.length === other.length) bytes.set(other)
}

const flip = (bytes: Uint8Array, random: Prng): void => {
  if (bytes.length > 0) bytes[random.below(bytes.length)]! ^= 1 << random.below(8)
}

const now: Later = (then) => then()

/** A word of another's in the place of one of the liar's own. */
const moved = (seen: Word, { position, ackedBelow }: Word, to: Partial<Word>): Word => {
  const { wire: _, ...word } = seen
  return { ...word, position, ackedBelow, ...to }
}
