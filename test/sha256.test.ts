import { createHash } from "node:crypto"
import { assert, it } from "vitest"
import { sha256 } from "../src/base/sha256.ts"

it("gives what node:crypto gives, for every length around the block borders", () => {
  for (let length = 0; length <= 300; length++) {
    const bytes = Uint8Array.from({ length }, (_, i) => (i * 31 + length) % 256)
    assert.deepEqual(Buffer.from(sha256(bytes)), createHash("sha256").update(bytes).digest())
  }
})
