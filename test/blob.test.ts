/** How bytes are named so that each chunk can be checked alone. */
import { describe, expect, it } from "vitest"
import { blobOf, chunkBytesOf, chunkDigest, listBytes } from "../src/base/blob.ts"
import { hexOf } from "../src/base/bytes.ts"
import { sha256 } from "../src/base/sha256.ts"

const bytes = Uint8Array.from({ length: 10 }, (_, i) => i)

describe("a blob's digest", () => {
  it("is the SHA-256 of a list of its chunks' digests", () => {
    const { list, digest } = blobOf(bytes, 4)
    expect(digest).toEqual(sha256(list))
    expect(list).toHaveLength(28 + 3 * 32)
    expect(String.fromCharCode(...list.subarray(0, 16))).toBe("quorate.blob.v1\0")
    expect(hexOf(list.subarray(16, 28))).toBe("000000000000000a00000004")
    expect(chunkDigest(list, 0)).toEqual(sha256(bytes.subarray(0, 4)))
    expect(chunkDigest(list, 2)).toEqual(sha256(bytes.subarray(8)))
  })

  it("differs with the bytes, their number and the size of a chunk", () => {
    const digests = [
      blobOf(bytes, 4),
      blobOf(bytes, 5),
      blobOf(bytes.subarray(0, 9), 4),
      blobOf(bytes.with(9, 0), 4),
      blobOf(new Uint8Array(0), 4)
    ].map(({ digest }) => hexOf(digest))
    expect(new Set(digests).size).toBe(digests.length)
  })

  it("takes any hash", () => {
    expect(blobOf(bytes, 4, () => new Uint8Array(32).fill(7)).digest).toEqual(
      new Uint8Array(32).fill(7)
    )
  })
})

describe("a list", () => {
  const { list } = blobOf(bytes, 4)
  it("says how large a chunk is", () => {
    expect(chunkBytesOf(list, 10)).toBe(4)
    expect(chunkBytesOf(blobOf(new Uint8Array(0), 4).list, 0)).toBe(4)
    expect(listBytes(268_435_456, 262_144)).toBe(32_796)
  })
  it("is none of another length, with another tag, with chunks of nothing, or cut short", () => {
    expect(chunkBytesOf(list, 9)).toBeUndefined()
    expect(chunkBytesOf(list.with(0, 0), 10)).toBeUndefined()
    expect(chunkBytesOf(list.subarray(0, 28).with(27, 0), 10)).toBeUndefined()
    for (const end of [0, 27, 28, list.length - 1]) {
      expect(chunkBytesOf(list.subarray(0, end), 10)).toBeUndefined()
    }
  })
})
