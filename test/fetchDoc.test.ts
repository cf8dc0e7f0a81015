/** docs/PROTOCOL.md shows a blob, an ask for a part of it and the answer, as they are. */
import { expect, it } from "vitest"
import { blobOf } from "../src/base/blob.ts"
import { bytesEqual, hexOf } from "../src/base/bytes.ts"
import {
  decodeFetchAnswer,
  decodeFetchCall,
  encodeFetchAnswer,
  encodeFetchCall
} from "../src/runtime/platform-node/wireFetch.ts"
import { readSource } from "./support/repo.ts"

const section = readSource("docs/PROTOCOL.md").text.split("\n## 17. Fetches\n")[1]!
const shown = (name: string): Uint8Array =>
  new Uint8Array(
    Buffer.from(new RegExp(`^\\| ${name} \\| \`([0-9a-f]+)\` \\|$`, "m").exec(section)![1]!, "hex")
  )
const blob = blobOf(
  Uint8Array.from({ length: 10 }, (_, i) => i),
  4
)

it("the protocol page shows a blob's list and digest", () => {
  expect(hexOf(blob.list)).toBe(hexOf(shown("list")))
  expect(hexOf(blob.digest)).toBe(hexOf(shown("digest")))
})

it("the protocol page shows an ask and its answer", () => {
  const call = decodeFetchCall(shown("request"))!
  expect(call).toEqual({
    groupDigest: new Uint8Array(32).fill(0xd1),
    node: 3,
    token: new Uint8Array(16).fill(0x70),
    digest: blob.digest,
    list: false,
    offset: 8,
    length: 4
  })
  expect(bytesEqual(encodeFetchCall(call), shown("request"))).toBe(true)
  const answer = decodeFetchAnswer(shown("reply"))!
  expect(answer).toEqual({ kind: "given", bytes: Uint8Array.of(8, 9) })
  expect(bytesEqual(encodeFetchAnswer(answer), shown("reply"))).toBe(true)
})
