/** Reads of an application, its snapshots, and nodes that take those of others. */
import { describe, expect, it } from "vitest"
import { blobOf } from "../src/base/blob.ts"
import { LIMITS } from "../src/base/limits.ts"
import { Nodes } from "./support/engines.ts"
import { ask, ledgerOf, put, undoable } from "./support/ledger.ts"

/** Each value is decided for its slot; what `fetch` brings is installed. */
const script = ({ message, apply, install, read, snapshot, forward, wait, self }: any) => {
  if (message.prefix !== undefined) {
    return read(message, message.at === undefined ? {} : { index: message.at })
  }
  if (message.bytes !== undefined) return self === 3 ? install(message) : wait
  if (message.fetch === self) {
    const { index, bytes, digest } = snapshot()
    return forward.slot({ slot: 8, index, bytes, digest, round: 3 })
  }
  return message.value === undefined ? wait : apply({ value: message.value })
}
const events: Array<unknown> = []
const spec = ledgerOf(script, undoable, {
  installed: ({ lane, index, lanes, wait }: any) => {
    events.push([lane, index, lanes.slots.applied, lanes.slots.own])
    return wait
  }
})
const decide = (nodes: Nodes, from: number, to: number): void => {
  for (let slot = from; slot <= to; slot++) {
    nodes.call(1, put(slot, { slot, value: String.fromCharCode(96 + slot) }))
    nodes.settle()
  }
}
const all = (nodes: Nodes, id: number): string | undefined => {
  nodes.replies.length = 0
  nodes.call(id, ask(nodes.atMs++ % 1000, { prefix: "" }))
  return nodes.answers().at(-1)
}

describe("a read", () => {
  it("is answered from what is applied, at once, or once its index is", () => {
    const nodes = new Nodes(spec, 1, "crash")
    nodes.call(1, ask(3, { prefix: "3:", at: 3 }))
    nodes.call(1, ask(2, { prefix: "2:", at: 2 }))
    nodes.call(1, ask(0, { prefix: "0:" }))
    decide(nodes, 1, 2)
    expect(nodes.answers()).toEqual(['1: {"all":"0:"}', '1: {"all":"2:ab"}'])
    decide(nodes, 3, 3)
    expect(nodes.answers()).toHaveLength(3)
  })

  it("that throws fails its call alone", () => {
    const read = () => {
      throw new Error("no")
    }
    const nodes = new Nodes(ledgerOf(script, { ...undoable, read }), 1, "crash")
    nodes.call(1, ask(1, { prefix: "" }))
    expect(nodes.replies[0]!.reply).toMatchObject({
      code: "poisoned",
      detail: "read of ledger threw: Error: no"
    })
  })

  it("P8: more than readsMax that somebody waits for are overloaded", () => {
    const nodes = new Nodes(spec, 1, "crash", { readsMax: 2 })
    for (const index of [1, 2, 3]) nodes.call(1, ask(index, { prefix: "", at: 9 }))
    expect(nodes.answers()).toEqual(["1: overloaded"])
    nodes.input(1, { kind: "cancel", route: 1, session: ask(1, {}).session, index: 101 })
    nodes.call(1, ask(4, { prefix: "", at: 0 }))
    expect(nodes.answers()).toEqual(["1: overloaded", '1: {"all":""}'])
  })
})

describe("a snapshot", () => {
  const behind = (): Nodes => {
    const nodes = new Nodes(spec, 3, "crash")
    for (const id of [1, 2]) nodes.cut(id, 3)
    decide(nodes, 1, 3)
    return nodes
  }
  /** Nodes 1 and 2 know slots 1 to 3; node 3 knows what node 1 hands over. */
  const handed = (): Nodes => {
    const nodes = behind()
    const { queues } = nodes
    nodes.call(1, put(9, { slot: 4, fetch: 1 }))
    const words = nodes.logs.get(1)!.flatMap(({ entries }) => entries)
    const word = words.findLast((entry) => entry.kind === "word")!
    nodes.input(3, { kind: "peerUp", peer: 1, storeId: "s1" })
    nodes.input(3, { kind: "message", from: 1, message: { ...word, position: 1 } as any })
    queues.clear()
    return nodes
  }

  it("takes the place of a state, durably, and is told of", () => {
    events.length = 0
    const nodes = handed()
    expect(events).toEqual([["slots", 3, 3, 4]])
    expect(all(nodes, 3)).toBe('3: {"all":"abc"}')
    nodes.boot(3)
    expect(all(nodes, 3)).toBe('3: {"all":"abc"}')
    const installed = nodes.logs.get(3)!.flatMap(({ entries }) => entries)
    expect(installed.filter(({ kind }) => kind === "installed")).toHaveLength(1)
  })

  it("has a digest that is the same wherever as much is applied", () => {
    const digests: Array<Uint8Array> = []
    const looking = ledgerOf((context) => {
      const { index, bytes, digest } = context.snapshot()
      if (index === 2) {
        expect(blobOf(bytes, LIMITS.fetchChunkBytes).digest).toEqual(digest)
        digests.push(digest)
      }
      return script(context)
    }, undoable)
    const nodes = new Nodes(looking, 3, "crash")
    decide(nodes, 1, 3)
    expect(digests.length).toBeGreaterThanOrEqual(3)
    expect(new Set(digests.map(String)).size).toBe(1)
  })

  it("passes a poisoned index", () => {
    const throwing = ledgerOf((context) => {
      if (context.self === 3 && context.index === 2) throw new Error("no")
      return script(context)
    }, undoable)
    const nodes = new Nodes(throwing, 3, "crash")
    decide(nodes, 1, 3)
    expect(all(nodes, 3)).toBe('3: {"all":"a"}')
    nodes.call(1, put(9, { slot: 4, fetch: 1 }))
    nodes.settle()
    expect(all(nodes, 3)).toBe('3: {"all":"abc"}')
  })

  it("that is older than the state, or no snapshot, changes nothing", () => {
    const nodes = new Nodes(spec, 3, "crash")
    decide(nodes, 1, 2)
    for (const [slot, index] of [
      [3, 1],
      [4, 9]
    ]) {
      nodes.call(1, put(slot!, { slot, index, bytes: new Uint8Array(3) }))
      nodes.settle()
    }
    expect(all(nodes, 3)).toBe('3: {"all":"ab"}')
    expect(nodes.engines.get(3)!.counters).toMatchObject({ install_old: 1, ignored: 1 })
  })

  it("interrupts an Effect of what it covers", () => {
    const apply = () => ({ effect: () => () => undefined })
    const nodes = new Nodes(ledgerOf(script, { ...undoable, apply }), 3, "crash")
    decide(nodes, 1, 1)
    const from = new Nodes(spec, 3, "crash")
    decide(from, 1, 2)
    from.call(1, put(9, { slot: 3, fetch: 1 }))
    const word = from.logs
      .get(1)!
      .flatMap(({ entries }) => entries)
      .findLast((e) => e.kind === "word")
    nodes.input(3, { kind: "message", from: 1, message: { ...word, position: 99 } as any })
    const kinds = nodes.outputs.flatMap(({ from: id, output }) => (id === 3 ? [output.kind] : []))
    expect(kinds).toContain("interrupt")
    expect(all(nodes, 3)).toBe('3: {"all":"ab"}')
  })
})
