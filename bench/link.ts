/**
 * One envelope echoed through a link: opening, channel, frames, tags, carrier; no engine, no calls.
 * Its CPU beside that of `raw` is what a link costs.
 */
import { Effect } from "effect"
import type { Channel, ChannelPort } from "../src/link/channel.ts"
import { type Hello, LINK_VERSION } from "../src/link/groupHello.ts"
import { acceptorHandshake, dialerHandshake } from "../src/link/handshake.ts"
import { HostLinks, type HostLinksOptions } from "../src/link/hostLinks.ts"
import { LIMITS } from "../src/base/limits.ts"
import { makeClock } from "../src/runtime/internal/random.ts"
import { Turn } from "../src/runtime/internal/turn.ts"
import { makeConnectCarrier } from "../src/runtime/platform-node/connectCarrier.ts"
import { nodeCrypto } from "../src/runtime/platform-node/nodeCrypto.ts"
import { makeSigner } from "../src/runtime/platform-node/nodeKeys.ts"
import { sessionKey } from "../src/server/laneKey.ts"
import type { Message } from "../src/server/Message.ts"
import type { Client, ClusterBench, ClusterSettings } from "./Bench.ts"

export const link: ClusterBench = {
  kind: "cluster",
  about: "an envelope echoed through a link to each node, waiting for a majority: no engine",
  transports: ["link"],
  links: ["plaintext", "authenticated", "encrypted"],
  nodes: 1,
  inflight: 1024,
  payloadBytes: 16,
  node: (settings, id) => serve(settings, id),
  client: (settings) => connect(settings)
}

const SESSION = sessionKey(1, new Uint8Array(16))
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(1)
const helloOf = (node: number): Hello => ({
  version: LINK_VERSION,
  group: "bench",
  groupDigest: bytes(32),
  node,
  clientKey: bytes(node === 0 ? 32 : 0),
  storeId: bytes(node === 0 ? 0 : 16),
  incarnation: bytes(16),
  horizonMs: 0,
  fetchToken: bytes(0)
})

const keyed = { suite: nodeCrypto, signer: makeSigner() }

/** The links of this process, in turns like those of a host. */
const linksOf = (more: Partial<HostLinksOptions>): HostLinks => {
  const carrier = makeConnectCarrier()
  const turn = new Turn(() => {
    for (const channel of channels) channel.release()
    links.flush()
  })
  const links: HostLinks = new HostLinks({
    limits: LIMITS,
    clock: makeClock(),
    random: (below) => Math.floor(Math.random() * below),
    dial: (address, events) => carrier.dial(address, events),
    wake: () => turn.wake(),
    broke: () => {},
    ...more
  })
  setInterval(() => links.tick(), LIMITS.tickMs).unref()
  return links
}
const channels = new Set<Channel>()

const portOf = (
  node: number,
  receive: (channel: Channel, message: Message) => void,
  opened: (channel: Channel) => void = () => {}
): ChannelPort => ({
  hello: () => helloOf(node),
  check: () => undefined,
  opened: (channel) => {
    channels.add(channel)
    opened(channel)
  },
  receive,
  closed: (channel) => void channels.delete(channel)
})

const serve = async ({ addresses, links: strength }: ClusterSettings, id: number) => {
  const accepting = () =>
    acceptorHandshake({ ...keyed, strengths: [strength], allow: () => undefined })
  const links = linksOf({ accepting })
  const echo = portOf(id, (channel, message) => {
    if (message.kind !== "request") return
    const { session, index, body } = message
    channel.send({ kind: "reply", session, index, body })
  })
  links.offer("bench", echo)
  const door = {
    accept: (connection: Parameters<HostLinks["accept"]>[0]) => links.accept(connection),
    services: [],
    unary: () => () => {},
    greet: () => ({ code: "not_ready" as const, detail: "" }),
    garbage: () => {}
  }
  await Effect.runPromise(makeConnectCarrier().listen(addresses[id - 1]!, door))
}

interface Call {
  echoes: number
  readonly done: (failed: boolean) => void
}

const connect = async (settings: ClusterSettings): Promise<Client> => {
  const { addresses, payloadBytes, links: strength } = settings
  const needed = Math.floor(addresses.length / 2) + 1
  const body = bytes(payloadBytes)
  const calls = new Map<number, Call>()
  let last = 0
  const echoed = (_: Channel, message: Message): void => {
    if (message.kind !== "reply") return
    const call = calls.get(message.index)
    if (call === undefined || ++call.echoes < needed) return
    calls.delete(message.index)
    call.done(false)
  }
  const links = linksOf({})
  const handshake = () => dialerHandshake({ ...keyed, strength })
  const open = (address: string) =>
    new Promise<Channel>((resolve, reject) => {
      const failed = (end: { readonly text: string }) => reject(new Error(end.text))
      const port = { ...portOf(0, echoed, resolve), failed }
      links.keep({ name: address, address, handshake }, port)
    })
  const opened = await Promise.all(addresses.map(open))
  return {
    operation: (done) => {
      const index = ++last
      calls.set(index, { echoes: 0, done })
      const call = { session: SESSION, index, ackedBelow: 1, method: 1, deadlineMs: 5_000, body }
      for (const channel of opened) channel.send({ kind: "request", ...call })
    },
    close: async () => links.close({ code: "cancelled", detail: "" })
  }
}
