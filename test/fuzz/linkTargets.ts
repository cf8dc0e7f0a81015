/** What strangers send before they have proven anything: the two messages of a handshake. */
import { Prng } from "../../src/base/prng.ts"
import {
  decodeLinkHello,
  decodeLinkProof,
  encodeLinkHello,
  encodeLinkProof,
  type LinkHello,
  STRENGTHS
} from "../../src/link/linkHello.ts"
import type { Target } from "./fuzz.ts"
import { roundTrip } from "./roundTrip.ts"

const CORPUS = 100

const made = (seed: number, one: (random: Prng) => Uint8Array): ReadonlyArray<Uint8Array> => {
  const random = new Prng(seed)
  return Array.from({ length: CORPUS }, () => one(random))
}

const helloOf = (random: Prng): LinkHello => {
  const strength = random.pick(STRENGTHS)
  const bytes = (): Uint8Array => random.bytes(strength === "plaintext" ? 0 : 32)
  return {
    version: 1 + random.below(300),
    strength,
    hostKey: bytes(),
    nonce: bytes(),
    ephemeralKey: bytes(),
    versions: Array.from({ length: random.below(16) }, () => 1 + random.below(2 ** 32 - 1))
  }
}

const hellos: Target = {
  name: "link hello",
  cost: 1,
  corpus: (seed) => made(seed, (random) => encodeLinkHello(helloOf(random))),
  run: (bytes) => roundTrip(bytes, decodeLinkHello, encodeLinkHello)
}

const proofs: Target = {
  name: "link proof",
  cost: 1,
  corpus: (seed) =>
    made(seed, (random) => encodeLinkProof({ signature: random.bytes(64), mac: random.bytes(32) })),
  run: (bytes) => roundTrip(bytes, decodeLinkProof, encodeLinkProof)
}

export const LINKS: ReadonlyArray<Target> = [hellos, proofs]
