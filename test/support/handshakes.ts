/** Two hosts that shake hands, and what a man in the middle may do to what they say. */
import { LINK_VERSION } from "../../src/link/groupHello.ts"
import {
  type AcceptorOptions,
  acceptorHandshake,
  type DialerOptions,
  dialerHandshake,
  type Handshake,
  type HandshakeParts,
  type HandshakeStep,
  type LinkSession
} from "../../src/link/handshake.ts"
import { nodeCrypto } from "../../src/runtime/platform-node/nodeCrypto.ts"
import { makeSigner } from "../../src/runtime/platform-node/nodeKeys.ts"

export const alice = makeSigner()
export const bob = makeSigner()
export const eve = makeSigner()

export const dialing = (options?: Partial<DialerOptions>): Handshake =>
  dialerHandshake({
    suite: nodeCrypto,
    signer: alice,
    versions: [LINK_VERSION],
    strength: "authenticated",
    expected: bob.publicKey,
    ...options
  })

export const accepting = (options?: Partial<AcceptorOptions>): Handshake =>
  acceptorHandshake({
    suite: nodeCrypto,
    signer: bob,
    versions: [LINK_VERSION],
    strengths: ["authenticated", "encrypted"],
    allow: () => undefined,
    ...options
  })

/** Bytes that a man in the middle may change: the 1st, 2nd, 3rd parts of the handshake. */
export type Meddle = (parts: HandshakeParts, place: number) => HandshakeParts

export interface Outcome {
  readonly dialer: LinkSession | undefined
  readonly acceptor: LinkSession | undefined
  /** Codes of both sides' refusals. */
  readonly refused: ReadonlyArray<string>
}

/** All of a handshake, until both are done or one refuses. */
export const shake = (
  dialer: Handshake,
  acceptor: Handshake,
  meddle: Meddle = (parts) => parts
): Outcome => {
  const sessions: [LinkSession | undefined, LinkSession | undefined] = [undefined, undefined]
  const refused: Array<string> = []
  let parts = dialer.start()
  for (let place = 0; parts !== undefined; place++) {
    const taker = (place + 1) % 2
    const step: HandshakeStep = (taker === 0 ? dialer : acceptor).take(meddle(parts, place))
    if ("refused" in step) {
      refused.push(step.refused.code)
      break
    }
    if (step.session !== undefined) sessions[taker] = step.session
    parts = step.send
  }
  return { dialer: sessions[0], acceptor: sessions[1], refused }
}

/** The parts that an honest handshake sends, in order. */
export const recorded = (dialer: Handshake, acceptor: Handshake): ReadonlyArray<HandshakeParts> => {
  const parts: Array<HandshakeParts> = []
  shake(dialer, acceptor, (one) => {
    parts.push(one)
    return one
  })
  return parts
}

/** Changes the parts at one place of a handshake. */
export const at =
  (place: number, change: (parts: HandshakeParts) => HandshakeParts): Meddle =>
  (parts, here) =>
    here === place ? change(parts) : parts
