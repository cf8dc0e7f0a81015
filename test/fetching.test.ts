/** States that fit no message: offered, fetched by the host, and put in place. */
import { describe, expect, it } from "vitest"
import type { Output } from "../src/server/Output.ts"
import type { Snapshot } from "../src/server/snapshot.ts"
import { Nodes } from "./support/engines.ts"
import { ask, ledgerOf, put, undoable } from "./support/ledger.ts"

const heard: Array<unknown> = []
let fetching = 0
/** Each value is decided for its slot; node 3 fetches what another offers. */
const script = (context: any) => {
  const { message, apply, offer, fetch, install, read, snapshot, forward, wait, self } = context
  if (self === 3) fetching = context.lanes.slots.fetching
  if (message.prefix !== undefined) return read(message)
  if (message.bytes !== undefined) return install({ index: 3, bytes: message.bytes })
  if (message.digest !== undefined) {
    return self === 3 ? fetch({ ...message, from: context.author, ...message.instead }) : wait
  }
  if (message.offers === self) {
    const state: Snapshot = snapshot()
    const { index, digest, length } = state
    const { slot, instead } = message
    const round = message.round + 1
    return [offer(state), forward.slot({ slot, index, digest, length, round, instead })]
  }
  return message.value === undefined ? wait : apply({ value: message.value })
}
const spec = ledgerOf(script, undoable, {
  installed: ({ lane, index, wait }: any) => {
    heard.push(["installed", lane, index])
    return wait
  },
  behind: ({ lane, own, wait }: any) => {
    heard.push(["behind", lane, own])
    return wait
  }
})

/** Nodes 1 and 2 have decided three slots, node 3 none; nobody hears it but it hears them. */
const group = (limits = {}): Nodes => {
  heard.length = 0
  const nodes = new Nodes(spec, 3, "crash", limits)
  for (const id of [1, 2]) nodes.cut(id, 3)
  for (let slot = 1; slot <= 3; slot++) {
    nodes.call(1, put(slot, { slot, value: String.fromCharCode(96 + slot) }))
    nodes.settle()
  }
  nodes.outputs.length = 0
  return nodes
}
/** Node `by` offers its state, and node 3 hears of it. */
const offers = (nodes: Nodes, by: number, message: object = {}): void => {
  const index = 10 + (nodes.atMs++ % 1000)
  nodes.call(by, put(index, { slot: 4, offers: by, round: 0, ...message }))
  const words = nodes.logs.get(by)!.flatMap(({ entries }) => entries)
  const word = words.findLast((entry) => entry.kind === "word")!
  nodes.input(3, { kind: "peerUp", peer: by, storeId: `s${by}` })
  nodes.input(3, { kind: "message", from: by, message: { ...word, position: 1 } as any })
}
type Of<K> = Extract<Output, { kind: K }>
const outputs = <K extends Output["kind"]>(nodes: Nodes, id: number, kind: K) =>
  nodes.outputs.flatMap(({ from, output }) =>
    from === id && output.kind === kind ? [output as Of<K>] : []
  )
const state = (nodes: Nodes): string | undefined => {
  nodes.replies.length = 0
  nodes.call(3, ask(nodes.atMs++ % 1000, { prefix: "" }))
  return nodes.answers().at(-1)
}
const counters = (nodes: Nodes) => nodes.engines.get(3)!.counters

describe("a state that is fetched", () => {
  it("is offered by one node, asked for by another, and installed durably", () => {
    const nodes = group({ fetchChunkBytes: 4 })
    offers(nodes, 1)
    const [offered] = outputs(nodes, 1, "offer")
    const [fetch] = outputs(nodes, 3, "fetch")
    const { bytes, digest, list } = offered!.blob
    expect(list.length).toBe(28 + 32 * Math.ceil(bytes.length / 4))
    expect(fetch).toMatchObject({ digest, length: bytes.length, from: [1] })
    expect(state(nodes)).toBe('3: {"all":""}')
    expect(fetching).toBe(3)
    nodes.input(3, { kind: "fetched", protocol: fetch!.protocol, digest, result: bytes })
    expect(heard).toEqual([["installed", "slots", 3]])
    expect(state(nodes)).toBe('3: {"all":"abc"}')
    nodes.boot(3)
    expect(state(nodes)).toBe('3: {"all":"abc"}')
  })

  it("is fetched from everybody who offers the same, and from nobody else", () => {
    const nodes = group()
    offers(nodes, 1)
    offers(nodes, 2)
    const [first, second] = outputs(nodes, 3, "fetch")
    expect(second).toEqual({ ...first, from: [2] })
    offers(nodes, 1, { slot: 5, instead: { index: 2 } })
    expect(outputs(nodes, 3, "fetch")).toHaveLength(2)
    expect(counters(nodes)).toMatchObject({ fetch_busy: 1 })
  })

  it("that cannot be had is told: others are ahead, and may be asked again", () => {
    const nodes = group()
    offers(nodes, 1)
    const [{ protocol, digest } = {} as Of<"fetch">] = outputs(nodes, 3, "fetch")
    nodes.input(3, { kind: "fetched", protocol, digest, result: "nobody is left to ask" })
    expect(heard).toEqual([["behind", "slots", 4]])
    expect(outputs(nodes, 3, "report")).toEqual([
      { kind: "report", what: "fetch_failed", detail: "slots/3: nobody is left to ask" }
    ])
    offers(nodes, 2)
    expect(outputs(nodes, 3, "fetch")).toHaveLength(2)
  })

  it("that is no state of this application is told like one that cannot be had", () => {
    const nodes = group()
    offers(nodes, 1)
    const [{ protocol, digest } = {} as Of<"fetch">] = outputs(nodes, 3, "fetch")
    nodes.input(3, { kind: "fetched", protocol, digest, result: new Uint8Array(9) })
    expect(heard).toEqual([["behind", "slots", 4]])
    expect(state(nodes)).toBe('3: {"all":""}')
  })

  it("is of no use where the node has come as far in another way", () => {
    const nodes = group()
    offers(nodes, 1)
    const [{ protocol, digest } = {} as Of<"fetch">] = outputs(nodes, 3, "fetch")
    const blob = outputs(nodes, 1, "offer")[0]!.blob
    nodes.call(3, put(7, { slot: 6, bytes: blob.bytes }))
    heard.length = 0
    expect(state(nodes)).toBe('3: {"all":"abc"}')
    nodes.input(3, { kind: "fetched", protocol, digest, result: blob.bytes })
    nodes.input(3, { kind: "fetched", protocol, digest, result: blob.bytes })
    expect(heard).toEqual([])
    offers(nodes, 1, { slot: 5 })
    expect(counters(nodes)).toMatchObject({ install_old: 2 })
  })

  it("is forgotten by a restart, and what then comes of it is dropped", () => {
    const nodes = group()
    offers(nodes, 1)
    const [{ protocol, digest } = {} as Of<"fetch">] = outputs(nodes, 3, "fetch")
    nodes.boot(3)
    const { bytes } = outputs(nodes, 1, "offer")[0]!.blob
    nodes.input(3, { kind: "fetched", protocol, digest, result: bytes })
    expect(heard).toEqual([])
  })
})

describe("what a peer makes up", () => {
  it.each([
    ["a digest of another size", { digest: new Uint8Array(31) }],
    ["no digest", { digest: 7 }],
    ["a length beyond what is fetched", { length: 300 }],
    ["a length that is none", { length: 0.5 }],
    ["nobody who has it", { from: [3] }]
  ])("%s: nothing is fetched, and it is counted", (_, instead) => {
    const nodes = group({ fetchBytesMax: 200 })
    offers(nodes, 1, { instead })
    expect(outputs(nodes, 3, "fetch")).toEqual([])
    expect(counters(nodes)).toMatchObject({ ignored: 1 })
  })
})

it("a state that is too large to be fetched is not offered, which the operator hears", () => {
  const nodes = group({ fetchBytesMax: 10 })
  nodes.call(1, put(9, { slot: 4, offers: 1, round: 0 }))
  expect(outputs(nodes, 1, "offer")).toEqual([])
  const [{ what, detail } = {} as Of<"report">] = outputs(nodes, 1, "report")
  expect(`${what}: ${detail}`).toMatch(
    /^fetch_failed: a state of \d+ bytes is not offered: at most 10 are fetched$/
  )
})

describe("an author's mistake", () => {
  const poisoned = (nodes: Nodes, id: number): string | undefined =>
    outputs(nodes, id, "report").find(({ what }) => what === "poisoned")?.detail

  it("is to fetch from who is no member", () => {
    const nodes = group()
    offers(nodes, 1, { instead: { from: [9] } })
    expect(poisoned(nodes, 3)).toMatch("fetches from node 9, no member")
  })
  it("is to offer what is no snapshot", () => {
    const wrong = ledgerOf(({ offer }) => offer({ index: 1, bytes: new Uint8Array(1) }), undoable)
    const nodes = new Nodes(wrong, 1, "crash")
    nodes.call(1, put(1, { slot: 1 }))
    expect(poisoned(nodes, 1)).toMatch("offers what is no snapshot")
  })
})
