/** docs/PROTOCOL.md says what the code does: its examples, limits and codes. */
import { describe, expect, it } from "vitest"
import { Envelope_KindSchema } from "../gen/quorate/v1/link_pb.ts"
import { ERROR_CODES } from "../src/base/errorCode.ts"
import { LIMITS, type Limits } from "../src/base/limits.ts"
import { decodeFrame, encodeFrame } from "../src/link/frame.ts"
import { LINK_HEADER } from "../src/link/unaryCall.ts"
import { HEADER } from "../src/runtime/platform-node/connectCode.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import { methodId } from "../src/server/Message.ts"
import { linkHello } from "./support/link.ts"
import { readSource } from "./support/repo.ts"

const { text } = readSource("docs/PROTOCOL.md")
/** The rows of the table in section `title`, cells trimmed. */
const rowsOf = (title: string): ReadonlyArray<ReadonlyArray<string>> =>
  text
    .split(/^## /m)
    .find((section) => section.startsWith(title))!
    .split("\n")
    .filter((line) => line.startsWith("| ") && !line.startsWith("|---"))
    .slice(1)
    .map((line) => line.split("|").map((cell) => cell.trim()))

describe("the protocol page", () => {
  const examples = [...text.matchAll(/```hex\n([^`]*)```/g)].map(([, hex]) =>
    Uint8Array.from(hex!.trim().split(/\s+/), (byte) => Number.parseInt(byte, 16))
  )
  const session = sessionKey(1_764_000_000_000, new Uint8Array(16).fill(0xab))
  const method = methodId("kv.v1.Store/Get")

  it("shows frames as they are", () => {
    const [hello, open, request, reply, bare, ...rest] = examples.map((it) => decodeFrame(it)!)
    expect(rest).toEqual([])
    expect(hello).toEqual({ sequence: 1, acknowledged: 0, credit: 0, content: linkHello() })
    expect(open).toMatchObject({
      sequence: 2,
      acknowledged: 1,
      content: { kind: "open", channel: 1, hello: { version: 2, group: "demo", node: 2 } }
    })
    expect(request).toMatchObject({
      sequence: 3,
      acknowledged: 2,
      content: {
        channel: 1,
        messages: [{ kind: "request", session, index: 1, ackedBelow: 1, method, deadlineMs: 5000 }]
      }
    })
    expect(reply).toMatchObject({
      sequence: 3,
      acknowledged: 3,
      content: { channel: 1, messages: [{ kind: "reply", session, index: 1 }] }
    })
    expect(bare).toEqual({
      sequence: 4,
      acknowledged: 3,
      credit: 0,
      content: { kind: "messages", channel: 0, messages: [] }
    })
    expect(examples.map((bytes) => encodeFrame(decodeFrame(bytes)!))).toEqual(examples)
    expect(text).toContain(method.toString(16))
  })

  it("tells the limits in force", () => {
    const rows = rowsOf("11.")
    for (const [, name, value] of rows) {
      const number = Number.parseInt(value!.replaceAll(",", ""), 10)
      expect(number, name).toBe(LIMITS[name as keyof Limits])
    }
    expect(rows.length).toBeGreaterThan(10)
  })

  it("tells the headers of calls without a link", () => {
    expect(rowsOf("10.").map(([, header]) => header)).toEqual(Object.values(HEADER))
  })

  it("tells the headers of links by unary calls", () => {
    const headers = rowsOf("18.").flatMap(([, header]) =>
      header!.startsWith("quorate-") ? [header] : []
    )
    expect(headers).toEqual(Object.values(LINK_HEADER))
  })

  it("tells every kind of message, with its number", () => {
    const told = rowsOf("7.").map(([, kind]) => kind)
    const kinds = Envelope_KindSchema.values.filter(({ number }) => number > 0)
    expect(told).toEqual(kinds.map(({ name, number }) => `${number} ${name}`))
  })

  it("tells every error code, with its number and whether to try again", () => {
    const told = rowsOf("12.").map(([, code, number, , again]) => [code, Number(number), again])
    const real = Object.entries(ERROR_CODES).map(([code, { number, retry }]) => [
      code,
      number,
      retry ? "again" : "no"
    ])
    expect(told).toEqual(real)
  })
})
