/** Whatever comes in at the port: it is counted, its connection is cut, and the node lives. */
import { type ClientHttp2Stream, connect } from "node:http2"
import { connect as connectSocket } from "node:net"
import { createClient } from "@connectrpc/connect"
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node"
import { afterAll, assert, beforeAll, describe, it, onTestFinished } from "vitest"
import { Peer } from "../../gen/quorate/v1/link_pb.ts"
import { LIMITS } from "../../src/base/limits.ts"
import { decodeFrame, encodeFrame, type Frame } from "../../src/link/frame.ts"
import { type Hello, LINK_VERSION } from "../../src/link/groupHello.ts"
import { linkHello } from "../support/link.ts"
import type { Message } from "../../src/server/Message.ts"
import { startNode, type TestNode } from "./support/node.ts"

let node: TestNode
beforeAll(async () => {
  node = await startNode()
})
afterAll(() => node.stop())

const bytes = (length: number, value: number): Uint8Array => new Uint8Array(length).fill(value)
const hello = (change: Partial<Hello> = {}): Hello => ({
  version: LINK_VERSION,
  group: "demo",
  groupDigest: node.group.digest,
  node: 0,
  clientKey: bytes(32, 1),
  storeId: bytes(0, 0),
  incarnation: bytes(16, 2),
  horizonMs: 0,
  fetchToken: bytes(0, 0),
  ...change
})
const frameBytes = (sequence: number, content: Frame["content"]): Uint8Array =>
  encodeFrame({ sequence, acknowledged: 0, credit: 0, content })
/** The handshake of a plaintext link, and one group's channel. */
const opening = (change: Partial<Hello> = {}): ReadonlyArray<Uint8Array> => [
  batch(frameBytes(1, linkHello())),
  batch(frameBytes(2, { kind: "open", channel: 1, hello: hello(change) }))
]

/** A Connect message: flags, length, bytes. */
const message = (body: Uint8Array, flags = 0, length = body.length): Uint8Array => {
  const prefix = Buffer.alloc(5)
  prefix[0] = flags
  prefix.writeUInt32BE(length, 1)
  return Buffer.concat([prefix, body])
}
const varint = (value: number): ReadonlyArray<number> =>
  value < 128 ? [value] : [(value & 127) | 128, ...varint(value >>> 7)]
const batch = (frame: Uint8Array): Uint8Array =>
  message(Buffer.concat([Buffer.from([0x0a, ...varint(frame.length)]), frame]))

interface Answer {
  readonly status: number
  /** What the node said before it ended the stream. */
  readonly frames: ReadonlyArray<Frame>
}

const frameIn = (data: Buffer, at: number): Frame | undefined => {
  const end = at + 5 + data.readUInt32BE(at + 1)
  let start = at + 6
  while (data[start++]! >= 128);
  return data[at] === 0 ? decodeFrame(new Uint8Array(data.subarray(start, end))) : undefined
}
const framesIn = (data: Buffer): ReadonlyArray<Frame> => {
  const frames: Array<Frame> = []
  for (let at = 0; at + 5 <= data.length; at += 5 + data.readUInt32BE(at + 1)) {
    const frame = frameIn(data, at)
    if (frame !== undefined) frames.push(frame)
  }
  return frames
}

/** Opens a stream, sends `parts`, and waits until the node ends it, or refuses a channel. */
const post = (
  parts: ReadonlyArray<Uint8Array>,
  headers: Record<string, string> = {},
  port = node.port
): Promise<Answer> =>
  new Promise((resolve) => {
    const session = connect(`http://127.0.0.1:${port}`)
    onTestFinished(() => session.destroy())
    const stream: ClientHttp2Stream = session.request({
      ":method": "POST",
      ":path": "/quorate.v1.Peer/Link",
      "content-type": "application/connect+proto",
      ...headers
    })
    let status = 0
    const chunks: Array<Buffer> = []
    stream.on("response", (it) => {
      status = it[":status"] ?? 0
    })
    stream.on("data", (chunk) => {
      chunks.push(chunk)
      if (framesIn(Buffer.concat(chunks)).at(-1)?.content.kind === "goodbye") stream.close()
    })
    stream.on("error", () => {})
    session.on("error", () => {})
    stream.on("close", () => resolve({ status, frames: framesIn(Buffer.concat(chunks)) }))
    for (const part of parts) stream.write(part)
  })

/** A host shakes hands, and the node does too. */
const alive = async (): Promise<void> => {
  const frame = await new Promise<Frame | undefined>((resolve) => {
    const session = connect(`http://127.0.0.1:${node.port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({
      ":method": "POST",
      ":path": "/quorate.v1.Peer/Link",
      "content-type": "application/connect+proto"
    })
    stream.on("data", (chunk) => resolve(frameIn(chunk, 0)))
    stream.write(opening()[0])
  })
  assert.strictEqual(frame?.content.kind, "handshake")
}

/** Bytes on a bare socket, until the node ends it. */
const raw = (data: Uint8Array): Promise<void> =>
  new Promise((resolve) => {
    const socket = connectSocket(node.port, "127.0.0.1")
    socket.on("error", () => {})
    socket.on("close", () => resolve())
    socket.resume()
    socket.write(data)
  })

describe("at the socket", () => {
  it.each([
    ["random bytes", bytes(1000, 0xa5)],
    ["HTTP/1.1", Buffer.from("GET / HTTP/1.1\r\nHost: a\r\n\r\n")],
    [
      "a preface and then nonsense",
      Buffer.from(`PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n${"x".repeat(99)}`)
    ]
  ])("%s", async (_, data) => {
    const before = node.host.counters.garbage
    await raw(data)
    assert.isAbove(node.host.counters.garbage, before)
    await alive()
  })
})

describe("in a stream", () => {
  it.each([
    ["a compressed message", [message(bytes(3, 0), 1)]],
    ["a message that is no Batch", [message(bytes(9, 0xff))]],
    ["a Batch that promises more than it has", [message(Uint8Array.of(0x0a, 200, 1, 5))]],
    ["a length beyond every limit", [message(bytes(10, 0), 0, 0xffff_ffff)]],
    ["a first message that is no mere hello", [message(bytes(10, 0), 0, 4121)]]
  ])("%s cuts it, and is counted", async (_, parts) => {
    const before = node.host.counters.garbage
    await post(parts)
    assert.strictEqual(node.host.counters.garbage, before + 1)
    await alive()
  })

  const messages = (message: Message) =>
    ({ kind: "messages", channel: 1, messages: [message] }) as const
  const frame = (sequence: number, content: Frame["content"]) =>
    batch(frameBytes(sequence, content))
  const oneWay = { kind: "oneWay", method: 1, body: bytes(4, 0) } as const
  const taken = { kind: "taken", taken: 1, done: 1 } as const
  it.each<[string, string, () => ReadonlyArray<Uint8Array>]>([
    ["a frame that is none", "malformed", () => [batch(bytes(20, 0xee))]],
    ["a message before the handshake", "malformed", () => [frame(1, messages(oneWay))]],
    ["a gap", "malformed", () => [...opening(), frame(7, messages(oneWay))]],
    [
      "a client that speaks as a member",
      "malformed",
      () => [...opening(), frame(3, messages(taken))]
    ],
    [
      "a frame beyond the limit",
      "too_large",
      () => [...opening(), batch(bytes(LIMITS.batchBytesMax + 1, 0))]
    ],
    ["another digest", "wrong_group", () => opening({ groupDigest: bytes(32, 9) })],
    ["another version", "unsupported_version", () => [batch(frameBytes(1, linkHello(9)))]],
    ["a node that is no member", "wrong_group", () => opening(member(9))],
    ["this node itself", "wrong_group", () => opening(member(2))],
    ["a member that should be dialled", "conflict", () => opening(member(3))]
  ])("%s is told why before the stream ends: %s", async (_, code, parts) => {
    const before = node.host.counters.linksRefused + node.host.counters.linksCut
    const { status, frames } = await post(parts())
    assert.strictEqual(status, 200)
    const last = frames.at(-1)?.content
    assert.strictEqual(last?.kind === "goodbye" ? last.goodbye.code : last?.kind, code)
    assert.strictEqual(node.host.counters.linksRefused + node.host.counters.linksCut, before + 1)
    await alive()
  })
  const member = (id: number): Partial<Hello> => ({
    node: id,
    clientKey: bytes(0, 0),
    storeId: bytes(16, 3)
  })

  it("a newer link of the same member takes the place of the old one", async () => {
    const first = post(opening(member(1)))
    const second = post(opening(member(1)))
    const { frames } = await Promise.race([first, second])
    const last = frames.at(-1)?.content
    assert.strictEqual(last?.kind === "goodbye" && last.goodbye.code, "replaced")
  })
})

describe("a member that shows another store than before", () => {
  const shows = (to: TestNode, store: number): Promise<Answer> => {
    const theirs = { node: 1, clientKey: bytes(0, 0), storeId: bytes(16, store) }
    return post(opening({ ...theirs, groupDigest: to.group.digest }), {}, to.port)
  }
  const goodbye = ({ frames }: Answer) => {
    const last = frames.at(-1)?.content
    return last?.kind === "goodbye" ? last.goodbye : undefined
  }
  /** The end of the first of two links that ends. */
  const displaced = async (...links: ReadonlyArray<Promise<Answer>>) =>
    goodbye(await Promise.race(links))

  it("is refused in a durable group, and both sides learn what to do", async () => {
    const durable = await startNode({}, { durable: true })
    onTestFinished(() => durable.stop())
    const link = shows(durable, 3)
    const newer = shows(durable, 3)
    assert.strictEqual((await displaced(link, newer))?.code, "replaced")
    const detail =
      "node 1 shows another store than before (0404040404040404, first 0303030303030303): it " +
      "lost what it said; put its data folder back, " +
      "or start the whole group anew under another name"
    const refused = { code: "wrong_store", detail }
    assert.deepStrictEqual(goodbye(await shows(durable, 4)), refused)
    const lines = durable.printed.filter((line) => line.includes("link refused "))
    assert.strictEqual(lines.length, 1)
    assert.isTrue(lines[0]!.endsWith(`: wrong_store: ${detail}`), lines[0])
    const back = shows(durable, 3)
    assert.strictEqual((await displaced(back, shows(durable, 3)))?.code, "replaced")
  })

  it("is taken where nothing is durable: it draws one at every start", async () => {
    const links = [shows(node, 3), shows(node, 4)]
    assert.strictEqual((await displaced(...links))?.code, "replaced")
  })
})

describe("beyond a limit", () => {
  let small: TestNode
  beforeAll(async () => {
    small = await startNode({ helloTimeoutMs: 50, routesMax: 1 })
  })
  afterAll(() => small.stop())
  const lastCode = (frames: ReadonlyArray<Frame>): string | undefined => {
    const last = frames.at(-1)?.content
    return last?.kind === "goodbye" ? last.goodbye.code : last?.kind
  }

  it("a stream that does not say hello in time is cut", async () => {
    assert.strictEqual(lastCode((await post([], {}, small.port)).frames), "deadline_exceeded")
  })

  it("a group that is not there is asked to wait by a young host, and refused later", async () => {
    const codes: Array<string | undefined> = []
    while (codes.at(-1) !== "wrong_group") {
      const other = await post(opening({ group: "other" }), {}, small.port)
      codes.push(lastCode(other.frames))
    }
    assert.isAtMost(new Set(codes).size, 2)
    assert.includeMembers(["not_ready", "wrong_group"], codes)
  })

  it("one client too many is told so, and the one before stays", async () => {
    const first = post(opening(), {}, small.port)
    while (small.host.clientCount < 1) await new Promise(setImmediate)
    const { frames } = await post(opening(), {}, small.port)
    assert.strictEqual(lastCode(frames), "overloaded")
    const late = new Promise<string>((resolve) => setImmediate(resolve, "stays"))
    assert.strictEqual(await Promise.race([first, late]), "stays")
  })
})

it("an unknown method and an unknown content type are no method of the node", async () => {
  const unknown = { ":path": "/demo.v1.Demo/Nothing" }
  assert.strictEqual((await post([], unknown)).status, 404)
  assert.strictEqual((await post([], { "content-type": "text/plain" })).status, 415)
})

it("a call with ids that fit no call is malformed", async () => {
  const call = {
    ":path": "/kv.v1.Kv/Plain",
    "content-type": "application/proto",
    "quorate-call": "request",
    "quorate-lane": "00",
    "quorate-index": "1e9"
  }
  assert.strictEqual((await post([], call)).status, 400)
})

it("prints at most ten lines in ten seconds, each a line of its own", () => {
  assert.isAtMost(node.printed.length, 20)
  for (const line of node.printed) assert.notInclude(line, "\n")
})

describe("the link is the service that its proto says", () => {
  const url = () => `http://127.0.0.1:${node.port}`
  it.each([
    ["Connect", () => createConnectTransport({ baseUrl: url(), httpVersion: "2" })],
    ["gRPC", () => createGrpcTransport({ baseUrl: url() })]
  ])("to a stock client that speaks %s", async (_, transport) => {
    const stop = new AbortController()
    async function* hellos() {
      yield { frame: frameBytes(1, linkHello()) }
      await new Promise((resolve) => stop.signal.addEventListener("abort", resolve))
    }
    const stream = createClient(Peer, transport()).link(hellos(), { signal: stop.signal })
    const first = await stream[Symbol.asyncIterator]().next()
    stop.abort()
    assert.strictEqual(decodeFrame(first.value!.frame)?.content.kind, "handshake")
  })
})
