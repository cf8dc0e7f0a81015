/**
 * The tag of each batch, and its encryption: one key per direction and link, the sequence of the
 * frame as nonce. A batch that was changed, repeated, moved, or meant for another link, direction
 * or place does not open.
 */
import { assert } from "../base/assert.ts"
import type { Goodbye } from "./goodbye.ts"
import type { LinkStrength } from "./linkHello.ts"
import type { Cipher, Sealed } from "./ports.ts"

export const TAG_BYTES = 16
/** The end of a link on which something came that does not open. */
export const ALTERED: Goodbye = {
  code: "altered",
  detail: "a frame was changed on its way, or injected: look at what is in between"
}
const NONCE_BYTES = 12

/** How a direction of a link is kept: open and tagged, or encrypted. */
export type SealedStrength = Exclude<LinkStrength, "plaintext">

export class Sealer {
  private readonly cipher: Cipher
  private readonly encrypts: boolean
  private readonly nonce = new Uint8Array(NONCE_BYTES)
  private last = 0

  constructor(strength: SealedStrength, cipher: Cipher) {
    this.cipher = cipher
    this.encrypts = strength === "encrypted"
  }

  /** What goes into the batch. A sequence is used once: two uses give the key away. */
  seal(sequence: number, frame: Uint8Array): Sealed {
    assert(sequence > this.last, "a sequence seals one frame")
    this.last = sequence
    const nonce = numbered(this.nonce, sequence)
    if (this.encrypts) return this.cipher.encrypt(nonce, frame)
    return { frame, tag: this.cipher.tag(nonce, frame) }
  }
}

export class Opener {
  private readonly cipher: Cipher
  private readonly encrypts: boolean
  private readonly nonce = new Uint8Array(NONCE_BYTES)

  constructor(strength: SealedStrength, cipher: Cipher) {
    this.cipher = cipher
    this.encrypts = strength === "encrypted"
  }

  /**
   * The frame of a batch that came where `sequence` is due; `undefined`: it is not what the other
   * side sealed there. Cut the link.
   */
  open(sequence: number, { frame, tag }: Sealed): Uint8Array | undefined {
    if (tag.length !== TAG_BYTES) return undefined
    const nonce = numbered(this.nonce, sequence)
    if (this.encrypts) return this.cipher.decrypt(nonce, { frame, tag })
    return this.cipher.tagFits(nonce, frame, tag) ? frame : undefined
  }
}

/** Four zero bytes, then the sequence, big endian. */
const numbered = (nonce: Uint8Array, sequence: number): Uint8Array => {
  assert(Number.isSafeInteger(sequence) && sequence >= 1, "sequences begin at 1")
  let rest = sequence
  for (let at = NONCE_BYTES - 1; at >= 4; at--) {
    nonce[at] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return nonce
}
