/** An application's state as bytes, for nodes that cannot be told what made it. */
import { type Blob, blobOf, type Sha256 } from "../base/blob.ts"

/** How the digests of snapshots are made. */
export interface Digesting {
  /** The same at all nodes of a group, or their digests differ. */
  readonly chunkBytes: number
  /** Absent: the one that needs no host. */
  readonly sha256?: Sha256 | undefined
}

/** The state after `index`. */
export class Snapshot implements Blob {
  readonly index: number
  readonly bytes: Uint8Array
  readonly #digesting: Digesting
  #blob: Blob | undefined

  constructor(index: number, bytes: Uint8Array, digesting: Digesting) {
    this.index = index
    this.bytes = bytes
    this.#digesting = digesting
  }
  /** How many bytes. */
  get length(): number {
    return this.bytes.length
  }
  /** 32 bytes that name the state: the same at every node that has applied as much. */
  get digest(): Uint8Array {
    return this.#named.digest
  }
  /** What the digest is the SHA-256 of: that of each chunk. */
  get list(): Uint8Array {
    return this.#named.list
  }
  get #named(): Blob {
    const { chunkBytes, sha256 } = this.#digesting
    return (this.#blob ??= blobOf(this.bytes, chunkBytes, sha256))
  }
}

/** Another node's state, to be fetched. */
export interface WantedState {
  readonly index: number
  readonly digest: Uint8Array
  readonly length: number
}
