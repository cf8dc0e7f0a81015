/** What a listener gives to those who begin links by calls, and have proven nothing. */
import { type ClientHttp2Session, connect } from "node:http2"
import { Effect } from "effect"
import { beforeEach, describe, expect, it, onTestFinished, vi } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import { encodeBatch } from "../../src/link/batch.ts"
import type { Connection } from "../../src/link/ports.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { packet, linkHello } from "../support/link.ts"
import { address, door, Side } from "../support/connections.ts"

const limits = { ...LIMITS, unprovenPerAddressMax: 3, unprovenMax: 6 }
const hello = encodeBatch(packet(1, linkHello()))

let accepted: Array<Connection>
let garbage: Array<string>
let session: ClientHttp2Session
beforeEach(async () => {
  accepted = []
  garbage = []
  const at = await address()
  const listener = await Effect.runPromise(
    makeConnectCarrier(limits).listen(at, {
      ...door((connection) => {
        accepted.push(connection)
        return new Side().events
      }),
      peer: (ends) => ({ ...ends, address: "127.0.0.1:1", methodName: () => undefined }),
      garbage: (_, what) => void garbage.push(what)
    })
  )
  onTestFinished(() => Effect.runPromise(listener.close))
  session = connect(`http://${at}`)
  session.on("error", () => {})
  onTestFinished(() => session.destroy())
})

let count = 0
/** The first call of a link; its code, once it is answered. */
const shake = (body: Uint8Array, more: object = {}): { code?: string } => {
  const stream = session.request({
    ":method": "POST",
    ":path": "/quorate.v1.Peer/Shake",
    "content-type": "application/proto",
    "quorate-call": "shake",
    "quorate-link": (++count).toString(16).padStart(32, "0"),
    "quorate-group": "g",
    "quorate-from": "1",
    "quorate-to": "2",
    "quorate-sequence": "1",
    ...more
  })
  const answer: { code?: string } = {}
  stream.on("response", (headers) => {
    answer.code = String(headers["quorate-code"] ?? "none")
  })
  stream.on("error", () => {})
  stream.resume()
  stream.end(body)
  return answer
}

describe("handshakes by calls", () => {
  it("are bounded by address until they are done, or over", async () => {
    const first = [1, 2, 3].map(() => shake(hello))
    await vi.waitUntil(() => accepted.length === 3)
    const more = [shake(hello), shake(hello)]
    await vi.waitUntil(() => more.every(({ code }) => code === "overloaded"))
    expect(first).toEqual([{}, {}, {}])
    expect(garbage[0]).toContain("have not done their handshake")
    accepted[0]!.close()
    accepted[1]!.trust()
    await vi.waitUntil(() => first[0]!.code === "not_ready")
    shake(hello)
    shake(hello)
    await vi.waitUntil(() => accepted.length === 5)
    const last = shake(hello)
    await vi.waitUntil(() => last.code === "overloaded")
    expect(accepted.length).toBe(5)
  })

  it("are small, and come first", async () => {
    const large = shake(new Uint8Array(5_000))
    await vi.waitUntil(() => large.code === "too_large")
    const late = shake(hello, { "quorate-sequence": "2" })
    const told = shake(hello, { "quorate-call": "tell" })
    const nobody = shake(hello, { "quorate-from": "0" })
    await vi.waitUntil(() => [late, told, nobody].every(({ code }) => code !== undefined))
    expect([late.code, told.code, nobody.code]).toEqual(["not_ready", "not_ready", "malformed"])
  })

  it("of another member do not reach a link that there is", async () => {
    const link = { "quorate-link": "ab".repeat(16) }
    shake(hello, link)
    await vi.waitUntil(() => accepted.length === 1)
    const other = shake(hello, { ...link, "quorate-from": "3", "quorate-call": "tell" })
    await vi.waitUntil(() => other.code === "malformed")
    expect(accepted.length).toBe(1)
  })
})
