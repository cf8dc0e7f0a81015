/**
 * How two hosts come to know each other, and to share keys that nobody else has: SIGMA, an
 * ephemeral X25519 exchange that each side signs and then shows to have taken part in.
 *
 *     dialer                         acceptor
 *     hello              ->
 *                        <-          hello, proof      (plaintext: hello, and both are done)
 *     proof, done        ->
 *                                    done
 *
 * Bytes in, bytes out: who sends them, and how long it waits, is the caller's. Whatever is wrong
 * ends the handshake with a goodbye, and nothing sent later revives it.
 * @source Krawczyk 2003, SIGMA: the "SIGn-and-MAc" approach to authenticated Diffie-Hellman
 */
import { assert } from "../base/assert.ts"
import { bytesEqual, hexOf, NO_BYTES, secretsEqual } from "../base/bytes.ts"
import { isSmallOrder } from "../base/ed25519.ts"
import type { Goodbye } from "./goodbye.ts"
import { LINK_VERSION } from "./groupHello.ts"
import {
  decodeLinkHello,
  decodeLinkProof,
  encodeLinkHello,
  encodeLinkProof,
  LINK_NONCE_BYTES,
  type LinkHello,
  type LinkStrength
} from "./linkHello.ts"
import { type LinkRole, linkKeys, proofPreimage, type SideKeys, sessionOf } from "./linkKeys.ts"
import type { Crypto, Exchange, Signer } from "./ports.ts"
import { Opener, Sealer, type SealedStrength } from "./sealing.ts"

interface Common {
  /** With this host's key; both absent where it has none: plaintext links only. */
  readonly suite?: Crypto
  readonly signer?: Signer
  /** Versions it speaks, the best one first; default: the one there is. */
  readonly versions?: ReadonlyArray<number>
  /** Of the secure channel below, the same on both sides, at most 255 bytes: signed too. */
  readonly binding?: Uint8Array
}
export interface DialerOptions extends Common {
  /** What it asks for: it takes nothing else. */
  readonly strength: LinkStrength
  /** The host it means to reach; absent: whichever answers. */
  readonly expected?: Uint8Array
}
export interface AcceptorOptions extends Common {
  /** What it takes. */
  readonly strengths: ReadonlyArray<LinkStrength>
  /** A goodbye refuses the host with this key, which it has yet to prove. Cheap: asked first. */
  readonly allow: (hostKey: Uint8Array) => Goodbye | undefined
  /** A goodbye refuses a handshake for now. Asked last: what follows is 0.3 ms of cryptography. */
  readonly admit?: () => Goodbye | undefined
}

/** What one frame holds of a handshake: serialized LinkHello and LinkProof. */
export interface HandshakeParts {
  readonly hello?: Uint8Array
  readonly proof?: Uint8Array
}

/** What holds of a link from now on. */
export interface LinkSession {
  readonly version: number
  readonly strength: LinkStrength
  /** Absent on a plaintext link: nothing is proven there. */
  readonly proven?: Proven
}
export interface Proven {
  /** The other host's. */
  readonly peerKey: Uint8Array
  /** 32 bytes, the same on both sides, and of no other link. */
  readonly session: Uint8Array
  /** 32 bytes that both sides know and nobody else: for what they do beside the link. */
  readonly exporter: Uint8Array
  /** Of every frame after the handshake. */
  readonly sealer: Sealer
  readonly opener: Opener
}

/** `send`, then (`session`) the handshake is done; or a refusal, the last word on this link. */
export type HandshakeStep =
  | { readonly send?: HandshakeParts; readonly session?: LinkSession }
  | { readonly refused: Goodbye }

export interface Handshake {
  /** The first parts to send; a dialer only, an acceptor waits. */
  readonly start: () => HandshakeParts | undefined
  /** Takes what a frame of the other side held. Not to be called once it is done. */
  readonly take: (parts: HandshakeParts) => HandshakeStep
}

/** Ends a handshake from within; thrown in this file only. */
class Refusal {
  readonly goodbye: Goodbye
  constructor(goodbye: Goodbye) {
    this.goodbye = goodbye
  }
}
const refusal = (code: Goodbye["code"], what: string, remedy: string): Refusal =>
  new Refusal({ code, detail: `${what}: ${remedy}` })

const malformed = (what: string): Refusal =>
  refusal("malformed", what, "it speaks no Quorate, or bytes were changed on the way")
const wrongVersion = (theirs: ReadonlyArray<number>, ours: ReadonlyArray<number>): Refusal => {
  const [they, we] = [theirs.join(", "), ours.join(", ")]
  const what = `the other side speaks link version ${they}, this one ${we}`
  return refusal("unsupported_version", what, "run one version of Quorate on both")
}
const wrongStrength = (theirs: LinkStrength, ours: ReadonlyArray<LinkStrength>): Refusal => {
  const what = `the other side wants its link ${theirs}, this one ${ours.join(" or ")}`
  return refusal("unauthenticated", what, 'write the same "links" in both group files')
}

/** What went wrong is the last word, and so is the end of a handshake. */
const guarded = (
  start: Handshake["start"],
  take: (parts: HandshakeParts) => HandshakeStep
): Handshake => {
  let end: HandshakeStep | undefined
  return {
    start,
    take: (parts) => {
      if (end !== undefined) return end
      try {
        const step = take(parts)
        if ("session" in step) end = { refused: malformed("a second handshake").goodbye }
        return step
      } catch (refused) {
        if (!(refused instanceof Refusal)) throw refused
        return (end = { refused: refused.goodbye })
      }
    }
  }
}

export const dialerHandshake = (options: DialerOptions): Handshake => {
  const { strength } = options
  const [version, ...versions] = options.versions ?? [LINK_VERSION]
  const own = makeSide("dialer", options, { version: version!, versions, strength })
  const take = (parts: HandshakeParts): HandshakeStep => {
    const theirs = helloIn(parts)
    const offered = [version!, ...versions]
    if (!offered.includes(theirs.version)) throw wrongVersion([theirs.version], offered)
    if (theirs.strength !== strength) throw wrongStrength(theirs.strength, [strength])
    if ((parts.proof === undefined) !== (strength === "plaintext")) {
      throw malformed("a hello with too little or too much beside it")
    }
    const session = { version: theirs.version, strength }
    if (strength === "plaintext") return { session }
    checkKey(theirs.hostKey)
    if (options.expected !== undefined && !bytesEqual(theirs.hostKey, options.expected)) {
      const [here, meant] = [short(theirs.hostKey), short(options.expected)]
      const what = `the host at this address has key ${here}, and ${meant} was dialled`
      throw refusal("unauthenticated", what, "check its address and key in the group file")
    }
    const keys = keyed(options)
    const agreed = agree(keys, own, theirs, { dialer: own.bytes, acceptor: parts.hello! })
    checkProof(keys.suite, agreed, parts.proof!)
    const proof = proofOf(keys, agreed)
    return { send: { proof }, session: { ...session, proven: provenBy(keys, agreed, strength) } }
  }
  return guarded(() => ({ hello: own.bytes }), take)
}

export const acceptorHandshake = (options: AcceptorOptions): Handshake => {
  let waiting: { readonly agreed: Agreed; readonly session: LinkSession } | undefined
  const take = (parts: HandshakeParts): HandshakeStep => {
    if (waiting !== undefined) {
      if (parts.hello !== undefined || parts.proof === undefined) {
        throw malformed("something else where the proof was due")
      }
      checkProof(keyed(options).suite, waiting.agreed, parts.proof)
      return { session: waiting.session }
    }
    const theirs = helloIn(parts)
    if (parts.proof !== undefined) throw malformed("a proof where none was due")
    const { strength } = theirs
    const version = choose(options.versions ?? [LINK_VERSION], theirs)
    if (!options.strengths.includes(strength)) throw wrongStrength(strength, options.strengths)
    if (strength === "plaintext") {
      const own = makeSide("acceptor", options, { version, versions: [], strength })
      return { send: { hello: own.bytes }, session: { version, strength } }
    }
    checkKey(theirs.hostKey)
    const no = options.allow(theirs.hostKey) ?? options.admit?.()
    if (no !== undefined) throw new Refusal(no)
    const own = makeSide("acceptor", options, { version, versions: [], strength })
    const keys = keyed(options)
    const agreed = agree(keys, own, theirs, { dialer: parts.hello!, acceptor: own.bytes })
    waiting = {
      agreed,
      session: { version, strength, proven: provenBy(keys, agreed, strength) }
    }
    return { send: { hello: own.bytes, proof: proofOf(keys, agreed) } }
  }
  return guarded(() => undefined, take)
}

interface Keyed extends Common {
  readonly suite: Crypto
  readonly signer: Signer
}
const keyed = (options: Common): Keyed => {
  const { suite, signer } = options
  assert(suite !== undefined && signer !== undefined, "a host without a key has plaintext links")
  return { ...options, suite, signer }
}

/** One side of the exchange, with its hello. */
interface Side {
  readonly role: LinkRole
  readonly exchange: Exchange | undefined
  readonly bytes: Uint8Array
}
const makeSide = (
  role: LinkRole,
  options: Common,
  chosen: Pick<LinkHello, "version" | "versions" | "strength">
): Side => {
  if (chosen.strength === "plaintext") {
    const none = { hostKey: NO_BYTES, nonce: NO_BYTES, ephemeralKey: NO_BYTES }
    return { role, exchange: undefined, bytes: encodeLinkHello({ ...chosen, ...none }) }
  }
  const { suite, signer } = keyed(options)
  const exchange = suite.makeExchange()
  const bytes = encodeLinkHello({
    ...chosen,
    hostKey: signer.publicKey,
    nonce: suite.random(LINK_NONCE_BYTES),
    ephemeralKey: exchange.publicKey
  })
  return { role, exchange, bytes }
}

/** What both know once the hellos are exchanged. */
interface Agreed {
  readonly session: Uint8Array
  readonly role: LinkRole
  readonly ours: SideKeys
  readonly peerRole: LinkRole
  readonly theirs: SideKeys
  readonly exporter: Uint8Array
  readonly peerKey: Uint8Array
}

const agree = (
  { suite, binding = NO_BYTES }: Keyed,
  own: Side,
  theirs: LinkHello,
  hellos: { readonly dialer: Uint8Array; readonly acceptor: Uint8Array }
): Agreed => {
  assert(own.exchange !== undefined && binding.length <= 255, "there is something to agree on")
  const { exchange, role } = own
  // Its own key sent back is no other side's.
  const reflected = bytesEqual(theirs.ephemeralKey, exchange.publicKey)
  const secret = reflected ? undefined : exchange.agree(theirs.ephemeralKey)
  if (secret === undefined || secret.every((byte) => byte === 0)) {
    throw refusal("unauthenticated", "its ephemeral key is none", "someone meddles with this link")
  }
  const session = sessionOf({ ...hellos, binding })
  const keys = linkKeys(suite, session, secret)
  const peerRole = role === "dialer" ? "acceptor" : "dialer"
  const { hostKey: peerKey } = theirs
  const { exporter } = keys
  return { session, role, ours: keys[role], peerRole, theirs: keys[peerRole], exporter, peerKey }
}

const proofOf = ({ suite, signer }: Keyed, agreed: Agreed): Uint8Array => {
  const preimage = proofPreimage(agreed.session, agreed.role, signer.publicKey)
  const mac = suite.hmac(agreed.ours.proof, preimage)
  return encodeLinkProof({ signature: signer.signNow(preimage), mac })
}

const checkProof = (suite: Crypto, agreed: Agreed, bytes: Uint8Array): void => {
  const proof = decodeLinkProof(bytes)
  if (proof === undefined) throw malformed("a proof that is none")
  const { session, peerRole, peerKey, theirs } = agreed
  const preimage = proofPreimage(session, peerRole, peerKey)
  const knows = secretsEqual(proof.mac, suite.hmac(theirs.proof, preimage))
  if (knows && suite.verifyNow(peerKey, preimage, proof.signature)) return
  const what = `the other side does not prove to be the host ${short(peerKey)}`
  throw refusal("unauthenticated", what, "someone meddles with this link, or a key file is wrong")
}

const provenBy = ({ suite }: Keyed, agreed: Agreed, strength: SealedStrength): Proven => ({
  peerKey: agreed.peerKey,
  session: agreed.session,
  exporter: agreed.exporter,
  sealer: new Sealer(strength, suite.cipher(agreed.ours.sealing)),
  opener: new Opener(strength, suite.cipher(agreed.theirs.sealing))
})

const helloIn = ({ hello }: HandshakeParts): LinkHello => {
  const theirs = hello === undefined ? undefined : decodeLinkHello(hello)
  if (theirs === undefined) throw malformed("no hello where one was due")
  return theirs
}

/** The best of ours that the dialer speaks. */
const choose = (ours: ReadonlyArray<number>, { version, versions }: LinkHello): number => {
  const offered = [version, ...versions]
  const chosen = ours.find((one) => offered.includes(one))
  if (chosen === undefined) throw wrongVersion(offered, ours)
  return chosen
}

const checkKey = (hostKey: Uint8Array): void => {
  if (!isSmallOrder(hostKey)) return
  throw refusal("unauthenticated", "anybody can sign for its key", "give that host another key")
}

const short = (key: Uint8Array): string => hexOf(key.subarray(0, 8))
