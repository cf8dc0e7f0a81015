/** Calls of a link on sessions that end as proxies end them. */
import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2"
import type { AddressInfo } from "node:net"
import { expect, it, onTestFinished, vi } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { LinkReply } from "../../src/link/unaryLink.ts"
import { LinkCaller } from "../../src/runtime/platform-node/linkCaller.ts"

/** A server that does `serve` for each stream, the `count`th of its session. */
const serving = async (
  serve: (stream: ServerHttp2Stream, session: ServerHttp2Session, count: number) => void,
  limits: Partial<Limits> = {}
) => {
  const server = createServer()
  const sessions = new Set<ServerHttp2Session>()
  server.on("session", (session) => {
    let count = 0
    sessions.add(session)
    session.on("error", () => {})
    session.on("stream", (stream) => {
      stream.on("error", () => {})
      serve(stream, session, ++count)
    })
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  const { port } = server.address() as AddressInfo
  const caller = new LinkCaller(`127.0.0.1:${port}`, { ...LIMITS, ...limits }, undefined)
  onTestFinished(() => {
    caller.close()
    for (const session of sessions) session.destroy()
    server.close()
  })
  const call = (kind: string): Promise<LinkReply> =>
    new Promise((done) => {
      const headers = { "quorate-call": kind }
      caller.call({ method: "p.S/M", headers, body: new Uint8Array(3) }, done)
    })
  return { call, sessions, caller }
}
const yes = (stream: ServerHttp2Stream): void => {
  stream.respond({ ":status": 200, "content-type": "application/proto" })
  stream.end()
}

it("go on over another session where one is used up", async () => {
  const { call, sessions } = await serving((stream, session, count) => {
    yes(stream)
    if (count === 30) session.close()
  })
  for (let round = 0; round < 8; round++) {
    const replies = await Promise.all(Array.from({ length: 20 }, () => call("tell")))
    expect(replies.map(({ code }) => code)).toEqual(Array(20).fill(undefined))
  }
  expect(sessions.size).toBeGreaterThan(2)
})

it("are made once more after a cut, or a proxy's answer; a handshake is not", async () => {
  const cut = await serving((stream, session, count) => {
    if (cut.sessions.size === 1 && count === 2) session.destroy()
    else if (cut.sessions.size > 1) yes(stream)
  })
  const replies = await Promise.all([call(cut, "word"), call(cut, "tell"), call(cut, "shake")])
  expect(replies.map(({ code }) => code)).toEqual([undefined, undefined, "unavailable"])
  let asked = 0
  const proxied = await serving((stream) => {
    if (++asked > 1) return yes(stream)
    stream.respond({ ":status": 502 })
    stream.end("bad gateway")
  })
  expect(await proxied.call("tell")).toEqual({ body: new Uint8Array(0) })
})
const call = (it: { readonly call: (kind: string) => Promise<LinkReply> }, kind: string) =>
  it.call(kind)

it("end with their link, also where the other side stands still", async () => {
  const { call, sessions, caller } = await serving(() => {})
  const open = [call("tell"), call("word")]
  await vi.waitUntil(() => sessions.size > 0)
  caller.close()
  const replies = await Promise.all(open)
  expect(replies.map(({ code }) => code)).toEqual(["cancelled", "cancelled"])
  await vi.waitUntil(() => [...sessions].every(({ closed }) => closed))
})

it("fail with the reason: what a node says at once, silence in time", async () => {
  const refusing = await serving((stream) => {
    stream.respond({ ":status": 503, "quorate-code": "not_ready" })
    stream.end('{"code":"unavailable","message":"dial again"}')
  })
  expect(await refusing.call("tell")).toMatchObject({ code: "not_ready", detail: "dial again" })
  const silent = await serving(() => {}, { unaryTimeoutMs: 60 })
  expect(await silent.call("tell")).toMatchObject({ code: "deadline_exceeded" })
  const caller = new LinkCaller("127.0.0.1:1", LIMITS, undefined)
  const gone = await new Promise<LinkReply>((done) => {
    caller.call(
      { method: "p.S/M", headers: { "quorate-call": "tell" }, body: new Uint8Array(0) },
      done
    )
  })
  expect(gone).toMatchObject({ code: "unavailable", detail: "connection refused" })
})
