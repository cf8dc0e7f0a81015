/** Ranges beside a proven link: only the other side of it makes their token, or opens them. */
import { describe, expect, it } from "vitest"
import { FETCH_SEAL_BYTES, openPass, sealedPass } from "../src/link/fetchSealing.ts"
import type { FetchRange } from "../src/link/fetchStore.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"

const exporter = nodeCrypto.random(32)
const token = nodeCrypto.random(16)
const range: FetchRange = { digest: nodeCrypto.random(32), list: false, offset: 0, length: 1000 }
const bytes = nodeCrypto.random(1000)
const pass = (secret = exporter, told = token) => sealedPass(nodeCrypto, secret, told)

describe("a range beside a proven link", () => {
  it("is opened by the other side, and says nothing to others", () => {
    const sealed = pass().seal(range, bytes)
    expect(sealed).toHaveLength(bytes.length + FETCH_SEAL_BYTES)
    expect(pass().open(range, sealed)).toEqual(bytes)
    expect(Buffer.from(sealed).includes(Buffer.from(bytes.subarray(0, 16)))).toBe(false)
    expect(pass().open(range, pass().seal(range, new Uint8Array(0)))).toEqual(new Uint8Array(0))
    expect(pass().seal(range, bytes)).not.toEqual(sealed)
  })

  it("shows a token that the secret of the link makes, the same on both sides", () => {
    expect(pass().token).toEqual(pass().token)
    expect(pass().token).toHaveLength(16)
    expect(pass().token).not.toEqual(token)
    expect(pass(nodeCrypto.random(32)).token).not.toEqual(pass().token)
    expect(pass(exporter, nodeCrypto.random(16)).token).not.toEqual(pass().token)
  })

  it("does not open changed, cut, as another range, or under another link or token", () => {
    const sealed = pass().seal(range, bytes)
    for (const at of [0, 5, 12, 500, sealed.length - 1]) {
      const changed = sealed.slice()
      changed[at]! ^= 1
      expect(pass().open(range, changed)).toBeUndefined()
    }
    for (const length of [0, 1, 27, 28, sealed.length - 1]) {
      expect(pass().open(range, sealed.subarray(0, length))).toBeUndefined()
    }
    const others: ReadonlyArray<Partial<FetchRange>> = [
      { digest: nodeCrypto.random(32) },
      { list: true },
      { offset: 1 },
      { offset: 2 ** 32 },
      { length: 999 }
    ]
    for (const other of others) {
      expect(pass().open({ ...range, ...other }, sealed)).toBeUndefined()
    }
    expect(pass(nodeCrypto.random(32)).open(range, sealed)).toBeUndefined()
    expect(pass(exporter, nodeCrypto.random(16)).open(range, sealed)).toBeUndefined()
  })
})

describe("a range beside a plaintext link", () => {
  it("is what it is, and so is its token", () => {
    const open = openPass(token)
    expect(open.token).toBe(token)
    expect(open.seal(range, bytes)).toBe(bytes)
    expect(open.open(range, bytes)).toBe(bytes)
  })
})
