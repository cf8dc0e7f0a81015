/** A link that has nothing to say outlives a proxy's idle time: it says that it lives. */
import { assert, describe, it, vi } from "vitest"
import { LIMITS, type Limits } from "../../src/base/limits.ts"
import type { Handshake } from "../../src/link/handshake.ts"
import { StreamLink } from "../../src/link/streamLink.ts"
import { makeConnectCarrier } from "../../src/runtime/platform-node/connectCarrier.ts"
import { listen, Side } from "../support/connections.ts"
import { plainAcceptor, plainDialer } from "../support/link.ts"
import { IDLE_1S, PROXIES, StockProxy } from "../support/proxies.ts"

/** As the defaults are to a proxy's minute. */
const limits: Limits = { ...LIMITS, keepAliveMs: 250, silenceMsMax: 750, helloTimeoutMs: 30_000 }

const makeLink = (handshake: Handshake) => {
  const ends: Array<string> = []
  const link = new StreamLink(
    {
      limits,
      nowMs: () => performance.now(),
      offered: () => ({ code: "wrong_group", detail: "none here" }),
      opened: () => {},
      leaving: () => {},
      closed: (_, end) => void ends.push(end.text),
      wake: (it) => queueMicrotask(() => it.flush())
    },
    handshake,
    "the other side"
  )
  return { link, ends }
}

describe.each(PROXIES)("through %s that cuts idle streams", (name) => {
  it("a link lives, a stream that is silent does not", async () => {
    const proxy = await StockProxy.start(name, "between", { changes: IDLE_1S[name] })
    const carrier = makeConnectCarrier(limits)
    const [near, far] = [makeLink(plainDialer()), makeLink(plainAcceptor())]
    // The first to come is the link, the second says nothing.
    const taken = [far.link]
    await listen(carrier, proxy.address(7101), (connection) => {
      const link = taken.shift()
      link?.begin(connection)
      return link?.events ?? new Side().events
    })
    near.link.begin(carrier.dial(proxy.address(7001), near.link.events))
    await vi.waitUntil(() => near.link.core.isOpen, { interval: 10 })
    const silent = new Side()
    carrier.dial(proxy.address(7001), silent.events)
    const cut = (): boolean => {
      near.link.tick()
      far.link.tick()
      return silent.closes.length > 0
    }
    await vi.waitUntil(cut, { interval: 50, timeout: 10_000 })
    assert.deepEqual([near.ends, far.ends], [[], []])
    near.link.close({ code: "cancelled", detail: "enough" })
    await vi.waitUntil(() => far.ends.length > 0, { interval: 10 })
  })
})
