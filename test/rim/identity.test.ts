/** Groups whose links are proven, on real sockets: with their keys, without, and in between. */
import { readFileSync, writeFileSync } from "node:fs"
import { connect, createServer, type Server } from "node:net"
import { join } from "node:path"
import { Cause, Effect, Exit, Layer, ManagedRuntime, Scope } from "effect"
import { describe, expect, it, onTestFinished, vi } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { ReliableBroadcast } from "../../examples/reliable-broadcast/gen/rb/v1/broadcast_quorate.ts"
import { Quorum } from "../../src/index.ts"
import { keygen } from "../../src/runtime/platform-node/keygen.ts"
import { NodeGroup } from "../../src/runtime/platform-node/index.ts"
import * as Replica from "../../src/runtime/Replica.ts"
import { FaultProxy } from "../support/faultProxy.ts"
import { freePorts, temporaryFolder } from "../support/processes.ts"

const NODES = [1, 2, 3, 4]
const TEXT = "a text that nobody expects by chance"

/** A byzantine group of four with keys, as `quorate keygen` makes it. */
const keys = async (...more: ReadonlyArray<string>) => {
  const folder = join(temporaryFolder(), "keys")
  const addresses = (await freePorts(NODES.length)).map((port) => `127.0.0.1:${port}`)
  const at = addresses.flatMap((address) => ["--address", address])
  const args = ["--group", "proven", "--nodes", "4", "--out", folder, ...at, ...more]
  expect(keygen(args)).toMatchObject({ code: 0 })
  const file = join(folder, "group.json")
  return { folder, file, addresses, config: JSON.parse(readFileSync(file, "utf8")) }
}
type Keys = Awaited<ReturnType<typeof keys>>

/** The same group with something else in its file. */
const otherFile = (config: object, change: object): string => {
  const file = join(temporaryFolder(), "other.json")
  writeFileSync(file, JSON.stringify({ ...config, ...change }))
  return file
}

const start = async (made: Keys, id: number, file = made.file): Promise<void> => {
  const key = join(made.folder, `node-${id}.pem`)
  const member = NodeGroup.layerMember(file, id, { key })
  const scope = Scope.makeUnsafe()
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  const layer = Replica.layer(Bracha).pipe(Layer.provide(member))
  await Effect.runPromise(Layer.buildWithScope(layer, scope))
}
const startAll = async (made: Keys): Promise<void> => {
  for (const id of NODES) await start(made, id)
}

/** A broadcast's text, or the line that its failure has. */
const caller = (file: string, options?: NodeGroup.FileOptions) => {
  const layer = ReliableBroadcast.layer.pipe(Layer.provide(NodeGroup.layerFile(file, options)))
  const runtime = ManagedRuntime.make(layer)
  onTestFinished(() => runtime.dispose())
  return async (text: string, timeoutMs = 10_000): Promise<string> => {
    const exit = await runtime.runPromiseExit(
      ReliableBroadcast.use((rb) =>
        rb.broadcast(
          { text },
          Quorum.matching((delivery) => delivery.text),
          { timeoutMs }
        )
      )
    )
    return Exit.isSuccess(exit) ? exit.value.text : String(Cause.squash(exit.cause))
  }
}

describe.each(["authenticated", "encrypted"])("a group with %s links", (links) => {
  it("answers whoever comes, where it lists no clients", async () => {
    const made = await keys("--links", links)
    await startAll(made)
    const call = caller(made.file)
    for (let i = 0; i < 20; i++) expect(await call(`${i}`)).toBe(`${i}`)
    const large = "x".repeat(300_000)
    expect(await call(large)).toBe(large)
  })

  it("answers those it lists, and no others", async () => {
    const made = await keys("--links", links, "--clients", "1")
    await startAll(made)
    expect(await caller(made.file, { key: join(made.folder, "client-1.pem") })(TEXT)).toBe(TEXT)
    const told = await caller(made.file)(TEXT)
    expect(told).toMatch(/unauthenticated/)
    expect(told).toMatch(/is not listed: give the client the file of a listed key/)
  })

  it("refuses who asks for another strength, from either side", async () => {
    const made = await keys("--links", links)
    await startAll(made)
    const others = ["plaintext", "authenticated", "encrypted"].filter((one) => one !== links)
    for (const other of others) {
      const told = await caller(otherFile(made.config, { links: other }))(TEXT)
      expect(told).toContain(`the other side wants its link ${other}, this one ${links}`)
    }
  })

  it("takes no calls of clients outside its links", async () => {
    const made = await keys("--links", links)
    await startAll(made)
    const told = await caller(made.file, { transport: "unary" })(TEXT)
    expect(told).toMatch(/this call came outside any: call over links/)
  })
})

/** What passes between two sockets, both ways. */
const tap = async (target: string): Promise<{ address: string; seen: () => string }> => {
  const chunks: Array<Buffer> = []
  const [host, port] = target.split(":") as [string, string]
  const server: Server = createServer((near) => {
    const far = connect(Number(port), host)
    near.on("data", (chunk) => chunks.push(chunk) && far.write(chunk))
    far.on("data", (chunk) => chunks.push(chunk) && near.write(chunk))
    for (const [one, other] of [
      [near, far],
      [far, near]
    ] as const) {
      one.on("error", () => other.destroy())
      one.on("close", () => other.destroy())
    }
  })
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done))
  onTestFinished(() => void server.close())
  const bound = server.address() as { readonly port: number }
  return {
    address: `127.0.0.1:${bound.port}`,
    seen: () => Buffer.concat(chunks).toString("latin1")
  }
}

const moved = (made: Keys, addresses: ReadonlyArray<string>): string =>
  otherFile(made.config, {
    nodes: made.config.nodes.map((node: object, i: number) => ({ ...node, address: addresses[i] }))
  })

describe("who listens on the way", () => {
  it.each([
    ["authenticated", true],
    ["encrypted", false]
  ])("on %s links reads what is said: %s", async (links, readable) => {
    const made = await keys("--links", links)
    await startAll(made)
    const taps = await Promise.all(made.addresses.map(tap))
    const file = moved(
      made,
      taps.map(({ address }) => address)
    )
    expect(await caller(file)(TEXT)).toBe(TEXT)
    const readAt = () => taps.filter(({ seen }) => seen().includes(TEXT)).length
    // The last node may hear of the call behind its answer.
    if (readable) await vi.waitFor(() => expect(readAt()).toBe(taps.length), { timeout: 20_000 })
    else expect(readAt()).toBe(0)
  })
})

describe("who changes bytes on the way", () => {
  it("ends links, and changes no answer", async () => {
    const made = await keys()
    await startAll(made)
    // Behind the settings of HTTP/2 and the handshake, a bit of each connection.
    const proxies = await Promise.all(
      made.addresses.map((target, seed) =>
        FaultProxy.open({
          target,
          seed,
          draw: (random, connection) =>
            connection > 3 ? {} : { up: { flipAt: 900 + random.below(3000) } }
        })
      )
    )
    onTestFinished(async () => {
      for (const proxy of proxies) await proxy.close()
    })
    const call = caller(
      moved(
        made,
        proxies.map(({ address }) => address)
      )
    )
    for (let i = 0; i < 40; i++) {
      const text = `${i} `.padEnd(400, ".")
      expect(await call(text)).toBe(text)
    }
    expect(Math.max(...proxies.map(({ accepted }) => accepted))).toBeGreaterThan(1)
  })
})

describe("a liar", () => {
  it("with another key is no member, whatever it says", async () => {
    const [made, other] = [await keys(), await keys()]
    // It has the addresses and the name, and a group file in which its own key stands.
    const forged = made.config.nodes.map((node: { readonly id: number }) =>
      node.id === 4 ? { ...node, key: other.config.nodes[3].key } : node
    )
    await start(other, 4, otherFile(made.config, { nodes: forged }))
    for (const id of [1, 2]) await start(made, id)
    const call = caller(made.file)
    // With node 4 they would be enough.
    expect(await call(TEXT, 1000)).toMatch(/has key .*, and .* was dialled: check its address/)
    await start(made, 3)
    expect(await call(TEXT)).toBe(TEXT)
  })

  it("that takes another member's place is not taken for it", async () => {
    const made = await keys()
    await startAll(made)
    const call = caller(moved(made, made.addresses.toReversed()))
    expect(await call(TEXT)).toMatch(/\[unauthenticated\].*the host at this address has key/)
  })
})
