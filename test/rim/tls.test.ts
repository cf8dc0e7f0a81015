/** TLS of the carrier: what goes wrong is told at both ends, and nothing waits for ever. */
import { createSecureServer } from "node:http2"
import { connect as connectSocket, createServer, type Server } from "node:net"
import {
  type ConnectionOptions,
  connect as connectTls,
  createServer as createTlsServer,
  type TlsOptions
} from "node:tls"
import { Effect } from "effect"
import { assert, describe, it, onTestFinished } from "vitest"
import { LIMITS } from "../../src/base/limits.ts"
import {
  type CarrierOptions,
  makeConnectCarrier
} from "../../src/runtime/platform-node/connectCarrier.ts"
import { openUnaryChannel } from "../../src/runtime/platform-node/unaryCarrier.ts"
import type { DialTls, ListenTls } from "../../src/runtime/platform-node/tls.ts"
import { carrierTls, makeAuthority, testCertificate } from "../support/certificates.ts"
import { helloOf } from "../support/link.ts"
import { address, door, Side } from "../support/connections.ts"

const other = makeAuthority()
const { authority, certificate } = testCertificate()
const KNOWN: DialTls = { ca: authority.pem }

/** A node's port with `tls`, and what it says of those who dial badly. */
const listening = async (tls: ListenTls | undefined, limits = LIMITS) => {
  const at = await address()
  const said: Array<string> = []
  const carrier = makeConnectCarrier(limits, { listen: tls })
  const waiting: Array<() => void> = []
  const listener = await Effect.runPromise(
    carrier.listen(at, {
      ...door(() => new Side().events),
      garbage: (_, what) => {
        said.push(what)
        for (const resolve of waiting.splice(0)) resolve()
      }
    })
  )
  onTestFinished(() => Effect.runPromise(listener.close))
  const garbage = async (): Promise<string> => {
    while (said.length === 0) await new Promise<void>((resolve) => waiting.push(resolve))
    return said[0]!
  }
  return { at, garbage }
}

/** Why a dial failed. */
type Dialling = CarrierOptions["dial"]
const failure = async (at: string, tls: Dialling, limits = LIMITS): Promise<string> => {
  const near = new Side()
  makeConnectCarrier(limits, { dial: tls }).dial(at, near.events)
  await near.until(() => near.closes.length > 0)
  return near.closes[0]!
}

const serve = async (server: Server): Promise<string> => {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  onTestFinished(() => void server.close())
  const at = server.address()
  assert(typeof at === "object" && at !== null)
  return `127.0.0.1:${at.port}`
}

describe("a dialler is told", () => {
  const refusals: ReadonlyArray<[string, ListenTls, DialTls, RegExp]> = [
    ["an unknown authority", certificate.pem, {}, /no authority .* issued its cert.*tls\.ca/],
    ["another authority", certificate.pem, { ca: other.pem }, /no authority .* issued its cert/],
    [
      "a wrong name",
      authority.issue("DNS:node.example").pem,
      KNOWN,
      /its certificate is for DNS:node\.example and not for 127\.0\.0\.1; .* serverName/
    ],
    [
      "a wrong server name",
      certificate.pem,
      { ...KNOWN, serverName: "node.example" },
      /for .*DNS:localhost and not for node\.example/
    ],
    ["an expired certificate", authority.issue(undefined, -1).pem, KNOWN, /has expired; renew it/],
    [
      "a certificate asked of it",
      { ...certificate.pem, clientCa: authority.pem },
      KNOWN,
      /it asks for a certificate of this side; .*tls\.cert/
    ],
    [
      "its certificate refused",
      { ...certificate.pem, clientCa: authority.pem },
      { ...KNOWN, ...other.issue().pem },
      /after TLS: it may not accept this side's certificate/
    ]
  ]
  it.each(refusals)("%s", async (_, listen, dial, expected) => {
    const { at } = await listening(listen)
    assert.match(await failure(`https://${at}`, dial), expected)
  })

  it("TLS where there is none", async () => {
    const { at } = await listening(undefined)
    assert.match(await failure(`https://${at}`, KNOWN), /it speaks no TLS; leave out "tls"/)
  })

  it("no TLS where it is due", async () => {
    const { at } = await listening(certificate.pem)
    assert.match(await failure(at, undefined), /before HTTP\/2 began: .*"tls": true/)
  })

  const servers: ReadonlyArray<[string, TlsOptions, RegExp]> = [
    [
      "no HTTP/2, by ALPN",
      { ALPNProtocols: ["http/1.1"] },
      /TLS and no HTTP\/2: let it offer "h2"/
    ],
    ["no HTTP/2, without ALPN", {}, /TLS and no HTTP\/2: let it offer "h2"/],
    ["no TLS 1.3", { ALPNProtocols: ["h2"], maxVersion: "TLSv1.2" }, /it speaks no TLS 1\.3/]
  ]
  it.each(servers)("%s", async (_, options, expected) => {
    const at = await serve(createTlsServer({ ...certificate.pem, ...options }, () => {}))
    assert.match(await failure(`https://${at}`, KNOWN), expected)
  })

  it("silence, whatever is missing", async () => {
    const limits = { ...LIMITS, helloTimeoutMs: 50 }
    const silent = await serve(createServer((socket) => void socket.resume()))
    const tls = createTlsServer({ ...certificate.pem, ALPNProtocols: ["h2"] })
    for (const at of [silent, `https://${silent}`, `https://${await serve(tls)}`]) {
      assert.match(await failure(at, KNOWN, limits), /no HTTP\/2 came within 50 ms/)
    }
  })
})

it("a client on the unary transport is told as well", async () => {
  const limits = { ...LIMITS, helloTimeoutMs: 50 }
  const silent = await serve(createServer((socket) => void socket.resume()))
  const expired = await listening(authority.issue(undefined, -1).pem)
  for (const [at, expected] of [
    [silent, /no HTTP\/2 came within 50 ms/],
    [`https://${silent}`, /no HTTP\/2 came within 50 ms/],
    [`https://${expired.at}`, /its certificate has expired/]
  ] as const) {
    const why = await new Promise<string>((down) => {
      const channel = openUnaryChannel(
        {
          address: at,
          hello: helloOf(0),
          limits,
          check: () => undefined,
          methodName: () => undefined,
          up: () => {},
          down,
          reply: () => {}
        },
        KNOWN
      )
      onTestFinished(() => channel.close())
    })
    assert.match(why, expected)
  }
})

describe("a listener tells of", () => {
  const refusals: ReadonlyArray<[string, DialTls, RegExp]> = [
    ["no certificate", KNOWN, /it showed no certificate; give it one/],
    ["an expired one", { ...KNOWN, ...authority.issue(undefined, -1).pem }, /expired; renew it/],
    ["one of another authority", { ...KNOWN, ...other.issue().pem }, /no authority .* clientCa/]
  ]
  it.each(refusals)("a dialler with %s", async (_, dial, expected) => {
    const { at, garbage } = await listening(carrierTls().listen)
    await failure(`https://${at}`, dial)
    assert.match(await garbage(), expected)
  })

  it("a dialler without TLS", async () => {
    const { at, garbage } = await listening(certificate.pem)
    await failure(at, undefined)
    assert.match(await garbage(), /it spoke no TLS; is "tls": true missing in its group file/)
  })

  it("a dialler with TLS, where it has none", async () => {
    const { at, garbage } = await listening(undefined)
    await failure(`https://${at}`, KNOWN)
    assert.match(await garbage(), /it spoke no HTTP\/2; .* listenTls here/)
  })

  it("a dialler below TLS 1.3, and one without HTTP/2", async () => {
    const cases: ReadonlyArray<[ConnectionOptions, RegExp]> = [
      [{ maxVersion: "TLSv1.2", ALPNProtocols: ["h2"] }, /it speaks no TLS 1\.3/],
      [{ ALPNProtocols: ["http/1.1"] }, /it offered no HTTP\/2/],
      [{}, /it offered no HTTP\/2/]
    ]
    for (const [options, expected] of cases) {
      const { at, garbage } = await listening(certificate.pem)
      const port = Number(at.split(":")[1])
      const socket = connectTls({ port, host: "127.0.0.1", ca: authority.pem, ...options })
      onTestFinished(() => void socket.destroy())
      socket.on("error", () => {})
      assert.match(await garbage(), expected)
    }
  })
})

describe("a connection that says nothing is cut", () => {
  const limits = { ...LIMITS, helloTimeoutMs: 50 }
  it.each([
    ["before TLS", certificate.pem],
    ["before HTTP/2", undefined]
  ])("%s", async (_, tls) => {
    const { at } = await listening(tls, limits)
    const socket = connectSocket(Number(at.split(":")[1]), "127.0.0.1")
    socket.on("error", () => {}).resume()
    await new Promise<void>((resolve) => socket.once("close", () => resolve()))
  })

  it("after TLS", async () => {
    const { at } = await listening(certificate.pem, limits)
    const port = Number(at.split(":")[1])
    const socket = connectTls({ port, ca: authority.pem, ALPNProtocols: ["h2"] })
    socket.on("error", () => {}).resume()
    await new Promise<void>((resolve) => socket.once("close", () => resolve()))
  })
})

it("stock servers over TLS can be dialled", async () => {
  const server = createSecureServer(certificate.pem, (_, response) => {
    response.writeHead(503)
    response.end()
  })
  const at = await serve(server)
  assert.match(await failure(`https://${at}`, KNOWN), /a proxy answers with HTTP status 503/)
})
