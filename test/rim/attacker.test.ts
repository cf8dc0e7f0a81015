/** Who has no key of the group gets nothing but a counted refusal, and hinders nobody. */
import { connect as connectHttp2 } from "node:http2"
import { connect, createServer, type AddressInfo, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { beforeAll, afterAll, assert, describe, it, onTestFinished, vi } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { Prng } from "../../src/base/prng.ts"
import type { CallResult } from "../../src/link/callTypes.ts"
import { HostWatch } from "../../src/link/hostWatch.ts"
import { matching } from "../../src/quorum/Policy.ts"
import type { GroupClient } from "../../src/runtime/internal/groupClient.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { methodId } from "../../src/server/Message.ts"
import { Program } from "../support/processes.ts"
import { RealGroup } from "../support/realGroup.ts"

const FLOOD = fileURLToPath(new URL("./support/flood.ts", import.meta.url))
const VICTIM = 1
const NAME = "rb.v1.ReliableBroadcast/Broadcast"
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
const LINK = {
  ":method": "POST",
  ":path": "/quorate.v1.Peer/Link",
  "content-type": "application/connect+proto"
}

let group: RealGroup
let client: GroupClient
beforeAll(async () => {
  group = await RealGroup.open({
    ...{ transport: "link", links: "authenticated", nodes: 4, model: "byzantine", seed: 1 },
    ...{ spec: Bracha.spec, descriptor: Bracha.descriptor },
    limits: { helloTimeoutMs: 1_000 },
    watch: () => new HostWatch({}),
    over: (spec) => spec,
    log: (log) => log,
    synced: setImmediate,
    halted: (id, reason) => assert.fail(`node ${id} halted: ${reason}`)
  })
  for (const id of group.ids) await group.start(id)
  client = group.client()
})
afterAll(() => group.close())

const call = (by: GroupClient, text: string, deadlineMs = 20_000): Promise<CallResult<string>> =>
  new Promise((done) => {
    by.start<string, string>({
      ...{ method: methodId(NAME), name: NAME, call: "multiparty", deadlineMs, done },
      body: () => Uint8Array.from([10, text.length, ...Buffer.from(text)]),
      targets: by.system.members,
      decode: (body) => Buffer.from(body.subarray(2)).toString(),
      policy: matching((it: string) => it)
    })
  })
/** The group answers as if nobody else were there. */
const serves = async (): Promise<void> => {
  assert.deepEqual(await call(client, "served"), { ok: true, answer: "served" })
}

const refusals = (): number => {
  const { linksRefused, linksCut, garbage } = group.lives.get(VICTIM)!.host.counters
  return linksRefused + linksCut + garbage
}
const port = (): number => Number(group.address(VICTIM).split(":")[1])

/** Says these bytes and no more; until the node ends it. */
const mute = (bytes: Uint8Array): Promise<void> =>
  new Promise((ended) => {
    const socket = connect(port(), "127.0.0.1")
    onTestFinished(() => void socket.destroy())
    socket.on("error", () => {})
    socket.once("close", () => ended())
    socket.resume()
    socket.write(bytes)
  })
/** Opens the stream of a link, says these bytes on it and no more; until the node ends it. */
const slow = (bytes: Uint8Array): Promise<void> =>
  new Promise((ended) => {
    const session = connectHttp2(`http://127.0.0.1:${port()}`)
    onTestFinished(() => session.destroy())
    session.on("error", () => {})
    const stream = session.request(LINK)
    stream.on("error", () => {})
    stream.once("close", () => ended())
    stream.resume()
    if (bytes.length > 0) stream.write(bytes)
  })

describe("a handshake that never ends is cut in time, and counted", () => {
  const half = Buffer.from([0, 0, 0, 1, 0, 0x0a, 0xfd, 1, 8, 1])
  it.each<[string, (bytes: Uint8Array) => Promise<void>, Uint8Array]>([
    ["a connection and nothing", mute, Buffer.alloc(0)],
    ["half of a preface", mute, PREFACE.subarray(0, 9)],
    ["a preface", mute, PREFACE],
    ["a stream and nothing", slow, Buffer.alloc(0)],
    ["half of a prefix", slow, half.subarray(0, 3)],
    ["half of a hello", slow, half]
  ])("%s, forty times", async (_, attack, bytes) => {
    await serves()
    const before = refusals()
    const attacks = Array.from({ length: 40 }, () => attack(bytes))
    await serves()
    await Promise.all(attacks)
    await vi.waitFor(() => assert.isAtLeast(refusals() - before, 40), { timeout: 10_000 })
    await serves()
  })
})

it("random streams of bytes are cut, and counted", async () => {
  const random = new Prng(9)
  const before = refusals()
  const garbage = (): Uint8Array => random.bytes(1 + random.below(3_000))
  const attacks = Array.from({ length: 60 }, (_, i) => {
    if (i % 3 === 0) return mute(garbage())
    if (i % 3 === 1) return mute(Buffer.concat([PREFACE, garbage()]))
    return slow(garbage())
  })
  await Promise.all(attacks)
  await vi.waitFor(() => assert.isAtLeast(refusals() - before, 60), { timeout: 10_000 })
  await serves()
}, 30_000)

it("a recorded handshake, and all that followed it, is refused when it comes again", async () => {
  const recorded: Array<Buffer> = []
  const recorder = createServer((near) => {
    const far: Socket = connect(port(), "127.0.0.1")
    near.on("data", (chunk: Buffer) => recorded.push(chunk))
    for (const socket of [near, far]) socket.on("error", () => {})
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((listening) => recorder.listen(0, "127.0.0.1", listening))
  onTestFinished(() => void recorder.close())
  const by = `127.0.0.1:${(recorder.address() as AddressInfo).port}`
  const real = makeConnectCarrier(group.limits)
  const watched = group.client({
    carrier: {
      dial: (to, events) => real.dial(to === group.address(VICTIM) ? by : to, events)
    }
  })
  assert.deepEqual(await call(watched, "recorded"), { ok: true, answer: "recorded" })
  watched.close()
  const before = refusals()
  // Its stream is ended; the connection may ask for another, like any other.
  for (let i = 0; i < 2; i++) void mute(Buffer.concat(recorded))
  await vi.waitFor(() => assert.isAtLeast(refusals() - before, 2), { timeout: 10_000 })
  await serves()
}, 30_000)

it.each([
  ["another group", { name: "other" }],
  ["another digest", { digest: new Uint8Array(32) }],
  ["the same group with plaintext links", { links: "plaintext" }]
])("a client of %s is refused", async (_, other) => {
  const before = refusals()
  const result = await call(group.client({ group: other }), "foreign", 3_000)
  assert.isFalse(result.ok)
  assert.isAbove(refusals(), before)
  await serves()
})

it("ten thousand connections leave the group at work, in bounded memory, and go", async () => {
  await serves()
  const [before, rss] = [refusals(), process.memoryUsage.rss()]
  const script = `ulimit -n $(ulimit -Hn) && exec "${process.execPath}" "${FLOOD}" ${port()} 10000`
  const child = new Program("sh", ["-c", script], { input: "open" })
  let flooded = false
  const told = child.started.finally(() => (flooded = true))
  while (!flooded) await serves()
  const { opened, lacking } = JSON.parse(await told)
  if (lacking > 0) console.log(`this machine lets one process hold ${opened} connections`)
  else assert.strictEqual(opened, 10_000)
  assert.isBelow(process.memoryUsage.rss() - rss, 600 * 2 ** 20)
  await serves()
  // They ask for nothing: none is kept longer than a handshake may take.
  await vi.waitFor(
    () => {
      child.child.stdin!.write("?\n")
      const { left } = JSON.parse(child.stdout.trim().split("\n").at(-1)!)
      assert.strictEqual(left, 0)
    },
    { timeout: 30_000, interval: 200 }
  )
  assert.isAtLeast(refusals() - before, Math.min(opened, 1_000))
  child.child.stdin!.end()
  await serves()
}, 120_000)
