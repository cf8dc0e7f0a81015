/** Groups whose members speak by unary calls, on real sockets. */
import { connect } from "node:http2"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { describe, expect, it, onTestFinished, vi } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { Quorum } from "../../src/index.ts"
import { keygen } from "../../src/runtime/platform-node/keygen.ts"
import { NodeGroup } from "../../src/runtime/platform-node/index.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { freePorts, temporaryFolder } from "../support/processes.ts"

const NODES = [1, 2, 3, 4]

/** A byzantine group of four with keys, whose members speak by unary calls. */
const makeGroup = async (links: string) => {
  const folder = join(temporaryFolder(), "keys")
  const addresses = (await freePorts(NODES.length)).map((port) => `127.0.0.1:${port}`)
  const at = addresses.flatMap((address) => ["--address", address])
  const args = ["--group", "calls", "--nodes", "4", "--out", folder, ...at, "--links", links]
  expect(keygen(args)).toMatchObject({ code: 0 })
  const config = JSON.parse(readFileSync(join(folder, "group.json"), "utf8"))
  const file = (transport: string): string => {
    const path = join(folder, `${transport}.json`)
    writeFileSync(path, JSON.stringify({ ...config, transport }))
    return path
  }
  const start = async (id: number, transport = "unary"): Promise<void> => {
    const member = NodeGroup.layerMember(file(transport), id, {
      key: join(folder, `node-${id}.pem`)
    })
    const scope = Scope.makeUnsafe()
    onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
    const layer = Replica.layer(Bracha).pipe(Layer.provide(member))
    await Effect.runPromise(Layer.buildWithScope(layer, scope))
  }
  const call = (): ((text: string) => Promise<string>) => {
    const layer = ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(file("unary"))))
    const runtime = ManagedRuntime.make(layer)
    onTestFinished(() => runtime.dispose())
    return (text) =>
      runtime.runPromise(
        ReliableBroadcast.use((rb) =>
          Effect.map(
            rb.broadcast(
              { text },
              Quorum.matching((it) => it.text),
              { timeoutMs: 20_000 }
            ),
            (it) => it.text
          )
        )
      )
  }
  return { addresses, start, call }
}

describe.each(["plaintext", "authenticated", "encrypted"])("members with %s links", (links) => {
  it("answer clients, small and large", async () => {
    const { start, call } = await makeGroup(links)
    for (const id of NODES) await start(id)
    const say = call()
    for (let i = 0; i < 20; i++) expect(await say(`${i}`)).toBe(`${i}`)
    const large = "x".repeat(900_000)
    expect(await say(large)).toBe(large)
  })
})

/** What a node answers to one call by hand. */
const ask = (
  address: string,
  path: string,
  headers: Record<string, string>,
  body = ""
): Promise<{ readonly status: number; readonly code: string; readonly text: string }> => {
  const session = connect(`http://${address}`)
  onTestFinished(() => session.destroy())
  return new Promise((resolve, reject) => {
    const stream = session.request({ ":method": "POST", ":path": path, ...headers })
    const answer = { status: 0, code: "", text: "" }
    stream.on("response", (it) => {
      answer.status = it[":status"]!
      answer.code = String(it["quorate-code"] ?? "")
    })
    stream.on("data", (chunk) => {
      answer.text += chunk
    })
    stream.on("error", reject)
    stream.on("end", () => resolve(answer))
    stream.end(body)
  })
}

const ECHO = "/rb.v1.ReliableBroadcast/Echo"
const PROTO = { "content-type": "application/proto" }
const MEMBER = { "quorate-link": "ab".repeat(16), "quorate-from": "1", "quorate-to": "2" }
const SHAKE = { ...PROTO, ...MEMBER, "quorate-call": "shake", "quorate-sequence": "1" }

describe("a member by calls", () => {
  it("refuses members of another transport, and calls that are none of theirs", async () => {
    const { addresses, start } = await makeGroup("plaintext")
    await start(2)
    await start(3, "link")
    const [, unary, link] = addresses as [string, string, string]
    const of = (group: string) => ({ ...SHAKE, "quorate-group": group })
    const shake = "/quorate.v1.Peer/Shake"
    const [wrong, other, stranger] = await Promise.all([
      ask(unary, shake, of("other")),
      ask(link, shake, { ...of("calls"), "quorate-to": "3" }),
      ask(unary, shake, { ...of("calls"), "quorate-from": "77" })
    ])
    expect([wrong.code, other.code, stranger.code]).toEqual(Array(3).fill("wrong_group"))
    expect(other.text).toContain('write the same \\"transport\\" in every group file')
    const word = { ...PROTO, ...MEMBER, "quorate-call": "word", "quorate-sequence": "1" }
    expect(await ask(unary, ECHO, word)).toMatchObject({ status: 503, code: "not_ready" })
    const none = await ask(unary, ECHO, { ...word, "quorate-link": "x" })
    expect(none).toMatchObject({ status: 400, code: "malformed" })
  })

  it("and one by streams tell their operators what to change, whoever dials", async () => {
    const printed = vi.spyOn(console, "error").mockImplementation(() => {})
    onTestFinished(() => printed.mockRestore())
    const { start } = await makeGroup("authenticated")
    for (const [id, transport] of [
      [1, "unary"],
      [2, "unary"],
      [3, "link"],
      [4, "link"]
    ] as const) {
      await start(id, transport)
    }
    const told = (id: number): boolean =>
      printed.mock.calls.some(
        ([line]) =>
          String(line).startsWith(`node ${id}: `) &&
          String(line).includes('write the same "transport" in every group file')
      )
    await vi.waitUntil(() => NODES.every(told), { timeout: 10_000 })
  })

  it("takes phases in binary only, and from members only", async () => {
    const { addresses, start } = await makeGroup("plaintext")
    await start(1)
    const json = { "content-type": "application/json" }
    const [, known, stranger, binary] = await Promise.all([
      ask(addresses[0]!, "/quorate.v1.Peer/Tell", { ...json, ...MEMBER }, "{}"),
      ask(addresses[0]!, ECHO, { ...json, ...MEMBER, "quorate-call": "word" }, "{}"),
      ask(addresses[0]!, ECHO, json, "{}"),
      ask(addresses[0]!, ECHO, PROTO)
    ])
    expect(known).toMatchObject({ status: 400, code: "malformed" })
    expect(known.text).toContain("members speak application/proto, and this is application/json")
    for (const answer of [stranger, binary]) {
      expect(answer).toMatchObject({ status: 501, code: "unknown_method" })
      expect(answer.text).toContain("is a phase: only members say it")
    }
  })
})
