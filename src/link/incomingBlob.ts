/** A blob on its way in: who offers it, which of its chunks are here, which one is next. */
import { chunkBytesOf, chunkDigest, type Sha256 } from "../base/blob.ts"
import { bytesEqual, hexOf } from "../base/bytes.ts"
import type { NodeId } from "../base/NodeId.ts"

/** A peer that offers the blob. */
export interface Source {
  readonly peer: NodeId
  /** Asks under way. */
  asks: number
  /** In a row. */
  timeouts: number
  breaks: number
  notBeforeMs: number
  /** Why it is asked no more. */
  gone: "lied" | "slow" | "not_offered" | undefined
}

/** What of a blob is here. */
export interface Parts {
  readonly list: Uint8Array
  readonly chunkBytes: number
  readonly bytes: Uint8Array
  /** By chunk: 1, once its bytes are here. */
  readonly here: Uint8Array
}

export class IncomingBlob {
  readonly key: string
  readonly digest: Uint8Array
  readonly length: number
  readonly sources = new Map<NodeId, Source>()
  parts: Parts | undefined
  /** When the last good part came. */
  progressMs: number
  /** Chunks that came over from an earlier fetch. */
  reused = 0
  /** What an earlier fetch under this key had: chunks may be the same. */
  private earlier: Parts | undefined
  /** From here on nobody was asked for a chunk. */
  private next = 0
  /** Those before it that were asked for in vain. */
  private readonly again: Array<number> = []
  private left = 0

  constructor(
    key: string,
    wanted: { readonly digest: Uint8Array; readonly length: number },
    earlier: Parts | undefined,
    nowMs: number
  ) {
    this.key = key
    this.digest = wanted.digest
    this.length = wanted.length
    this.earlier = earlier
    this.progressMs = nowMs
  }

  offered(peers: ReadonlyArray<NodeId>): void {
    for (const peer of peers) {
      const before = this.sources.get(peer)
      // Who lied stays out; who had let go of it may have it again.
      if (before?.gone === "lied" || (before !== undefined && before.gone === undefined)) continue
      const fresh = { asks: 0, timeouts: 0, breaks: 0, notBeforeMs: 0, gone: undefined }
      this.sources.set(peer, { peer, ...fresh })
    }
  }

  /** What it would leave behind. */
  get kept(): ReadonlyArray<Parts> {
    return [this.parts, this.earlier].filter((parts) => parts !== undefined)
  }

  get whole(): boolean {
    return this.parts !== undefined && this.left === 0
  }

  /** Takes a list whose digest is right; `false`: it is none of a blob of this length. */
  begin(list: Uint8Array, chunkBytesMax: number): boolean {
    const chunkBytes = chunkBytesOf(list, this.length)
    if (chunkBytes === undefined || chunkBytes > chunkBytesMax) return false
    this.left = Math.ceil(this.length / chunkBytes)
    const here = new Uint8Array(this.left)
    this.parts = { list: list.slice(), chunkBytes, bytes: new Uint8Array(this.length), here }
    this.reuse(this.parts)
    return true
  }

  /** Takes a chunk; `false`: it is not what the list says. */
  took(chunk: number, bytes: Uint8Array, hash: Sha256): boolean {
    if (bytes.length !== this.lengthOf(chunk)) return false
    if (!bytesEqual(hash(bytes), chunkDigest(this.parts!.list, chunk))) return false
    this.put(chunk, bytes)
    return true
  }

  /** The next chunk that nobody is asked for. */
  take(): number | undefined {
    const again = this.again.pop()
    if (again !== undefined) return again
    const { here } = this.parts!
    while (this.next < here.length && here[this.next] === 1) this.next++
    return this.next < here.length ? this.next++ : undefined
  }

  /** It did not come. */
  putBack(chunk: number): void {
    this.again.push(chunk)
  }

  lengthOf(chunk: number): number {
    return chunkLength(this.parts!, chunk)
  }

  private put(chunk: number, bytes: Uint8Array): void {
    const { parts } = this
    parts!.bytes.set(bytes, chunk * parts!.chunkBytes)
    parts!.here[chunk] = 1
    this.left--
  }

  /** Chunks that an earlier fetch brought, wherever they stood there. */
  private reuse({ list, here }: Parts): void {
    const { earlier } = this
    this.earlier = undefined
    if (earlier === undefined) return
    const had = new Map<string, number>()
    for (let chunk = 0; chunk < earlier.here.length; chunk++) {
      if (earlier.here[chunk] === 1) had.set(hexOf(chunkDigest(earlier.list, chunk)), chunk)
    }
    for (let chunk = 0; chunk < here.length; chunk++) {
      const at = had.get(hexOf(chunkDigest(list, chunk)))
      if (at === undefined) continue
      const from = at * earlier.chunkBytes
      this.put(chunk, earlier.bytes.subarray(from, from + chunkLength(earlier, at)))
      this.reused++
    }
  }
}

const chunkLength = ({ bytes, chunkBytes }: Parts, chunk: number): number =>
  Math.min(chunkBytes, bytes.length - chunk * chunkBytes)
