/** Every node behind a front of its own: peers and clients come through proxies. */
import { assert, describe, it, vi } from "vitest"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { BroadcastCluster } from "../support/broadcastCluster.ts"
import { makeAuthority } from "../support/certificates.ts"
import { listen, Side } from "../support/connections.ts"
import { watchLinks } from "../support/linkWatch.ts"
import { type Changes, IDLE_1S, PROXIES, StockProxy, type ProxyName } from "../support/proxies.ts"

/** Of a node that only a proxy reaches. */
const BEHIND = { sharedAddress: true }

const proxied = async (name: ProxyName, changes: Changes = []) => {
  const proxy = await StockProxy.start(name, "between", { changes })
  const between = proxy.addresses(7000)
  const listen = proxy.addresses(7100)
  const cluster = await BroadcastCluster.start({ between, listen, member: BEHIND })
  return { proxy, cluster }
}
/** Of four nodes to each other, and of one client to them. */
const LINKS = 6 + 4

describe.each(PROXIES)("%s between the nodes", (name) => {
  it.each(["link", "unary"] as const)("carries calls over %s", async (transport) => {
    const { cluster } = await proxied(name)
    await cluster.client({ transport }).load(100)
  })

  it("cuts idle links, and no others; calls are answered", async () => {
    const links = watchLinks()
    const { cluster } = await proxied(name, IDLE_1S[name])
    const [busy, idle] = [cluster.client(), cluster.client()]
    await idle.call("here I am")
    await busy.loadUntil(() => links.ended >= 4)
    assert.strictEqual(links.ended, 4)
    await vi.waitUntil(() => links.ended >= 4 + LINKS, { timeout: 5_000 })
    await Promise.all([busy.load(20), idle.load(20)])
  })

  it("is reloaded under load: links are handed over, calls are answered", async () => {
    const links = watchLinks()
    const { proxy, cluster } = await proxied(name)
    const client = cluster.client()
    await client.load(20)
    await proxy.reload()
    const startMs = performance.now()
    await client.loadUntil(() => links.ended >= LINKS)
    // Before the proxy would cut them.
    assert.isBelow(performance.now() - startMs, 9_000)
    await client.load(20)
  })

  it.each(["link", "unary"] as const)(
    "dies and comes back under load over %s, and calls are answered",
    async (transport) => {
      const { proxy, cluster } = await proxied(name)
      const client = cluster.client({ transport })
      await client.load(20)
      let isBack = false
      const load = client.loadUntil(() => isBack)
      await proxy.restart()
      isBack = true
      await load
      await client.load(20)
    }
  )
})

it.each(PROXIES)("%s carries members' unary calls", async (name) => {
  const proxy = await StockProxy.start(name, "between")
  const [between, listen] = [proxy.addresses(7000), proxy.addresses(7100)]
  const shape = { between, listen, transport: "unary", member: BEHIND } as const
  const cluster = await BroadcastCluster.start(shape)
  const client = cluster.client()
  await client.load(30)
  await proxy.restart()
  await client.load(30)
})

it.each([
  ["nginx", "authenticated"],
  ["haproxy", "encrypted"],
  ["nghttpx", "authenticated"]
] as const)("%s carries %s links", async (name, links) => {
  const proxy = await StockProxy.start(name, "between")
  const listen = proxy.addresses(7100)
  const between = proxy.addresses(7000)
  const cluster = await BroadcastCluster.start({ between, listen, links, member: BEHIND })
  await cluster.client().load(100, { bytes: 5_000 })
})

describe.each(PROXIES)("who dials through %s", (name) => {
  it("is told when it is reloaded, and the stream lives on", async () => {
    const proxy = await StockProxy.start(name, "between")
    const [near, far] = [new Side(), new Side()]
    const carrier = makeConnectCarrier()
    await listen(carrier, proxy.address(7101), () => far.events)
    const dialled = carrier.dial(proxy.address(7001), near.events)
    dialled.send({ frame: Uint8Array.of(1) })
    await far.until(() => far.packets.length === 1)
    await proxy.reload()
    await near.until(() => near.departures.length > 0)
    dialled.send({ frame: Uint8Array.of(2) })
    await far.until(() => far.packets.length === 2)
    assert.deepEqual([near.departures.length, near.closes.length], [1, 0])
    dialled.close()
  })

  it("is told when it does not reach the node", async () => {
    const proxy = await StockProxy.start(name, "between")
    const near = new Side()
    makeConnectCarrier().dial(proxy.address(7001), near.events)
    await near.until(() => near.closes.length > 0)
    assert.match(near.closes[0]!, /a proxy answers with HTTP status 50[23]: it does not reach/)
  })
})

describe("nginx with its defaults", () => {
  it("cuts links that carried a megabyte, and calls are answered", async () => {
    const links = watchLinks()
    const { cluster } = await proxied("nginx", [["client_max_body_size 0;", ""]])
    const client = cluster.client()
    while (links.ended < LINKS) await client.load(20, { bytes: 20_000 })
    await client.load(20)
  })

  it("ends sessions after so many calls, and calls are answered", async () => {
    const { cluster } = await proxied("nginx", [
      ["keepalive_requests 1000000000;", "keepalive_requests 50;"]
    ])
    await cluster.client({ transport: "unary" }).load(200)
    await cluster.client().load(100)
  })
})

it("haproxy with TLS to it and mutual TLS to the nodes carries calls", async () => {
  const authority = makeAuthority()
  const [front, node, proxy] = [authority.issue(), authority.issue(), authority.issue()]
  const haproxy = await StockProxy.start("haproxy", "secure", {
    files: {
      "front.pem": front.pem.cert,
      "front.pem.key": front.pem.key,
      "proxy.pem": proxy.pem.cert,
      "proxy.pem.key": proxy.pem.key,
      "ca.pem": authority.pem
    }
  })
  const tls = { ca: authority.file }
  const cluster = await BroadcastCluster.start({
    between: haproxy.addresses(7400),
    listen: haproxy.addresses(7100),
    tls: { between: true, before: true },
    member: {
      ...BEHIND,
      tls,
      listenTls: { cert: node.cert, key: node.key, clientCa: authority.file }
    }
  })
  for (const transport of ["link", "unary"] as const) {
    await cluster.client({ transport, tls }).load(50)
  }
})
