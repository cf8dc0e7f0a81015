/** Nodes that lie in every way there is, nodes that run twice, and rogue clients. */
import { describe, expect, it } from "vitest"
import { Bracha } from "../../examples/reliable-broadcast/bracha.ts"
import { Prng } from "../../src/base/prng.ts"
import { sessionKey } from "../../src/server/laneKey.ts"
import { methodId, type PeerMessage, type Word } from "../../src/server/Message.ts"
import { Adversary, LIES } from "../../src/testing/byzantine.ts"
import { choicesOf, type SimulateOptions, simulate } from "../../src/testing/index.ts"
import { garbled } from "../../src/testing/inventions.ts"
import type { NetworkPort } from "../../src/testing/simNetwork.ts"
import { Twins } from "../../src/testing/twins.ts"
import { seedsOf, SLOW } from "../support/seeds.ts"

const broadcast = [{ text: "a" }, { text: "b" }, { text: "c" }]
const RB: Omit<SimulateOptions, "seed"> = {
  spec: Bracha.spec,
  nodes: 4,
  byzantine: 1,
  model: "byzantine",
  choices: choicesOf(Bracha.spec, { broadcast }),
  faults: "all",
  crash: true,
  promises: { totality: true, quorums: true }
}
const SESSION = sessionKey(1000, new Uint8Array(16))
const word = (position: number, index = 1): Word => ({
  ...{ kind: "word", position, lane: SESSION, index, method: methodId("test.Sum/Echo") },
  ...{ round: 0, ackedBelow: 1, body: Uint8Array.of(position) }
})

const told = (liar: Adversary, messages: ReadonlyArray<PeerMessage>): ReadonlyArray<PeerMessage> =>
  messages.flatMap((message) => liar.toPeer(1, message))
const words = Array.from({ length: 200 }, (_, i) => word(i + 1, 1 + (i % 7)))

describe("a Byzantine node", () => {
  it("replays: old words as they were, under new positions, about other instances", () => {
    const all = told(new Adversary(new Prng(1), "replay"), words) as ReadonlyArray<Word>
    expect(all.length).toBeGreaterThan(250)
    const again = all.filter((one) => one.body[0] !== one.position)
    expect(again.length).toBeGreaterThan(20)
    const same = all.filter((one) => one.body[0] === one.position)
    expect(same.length).toBeGreaterThan(new Set(same.map((one) => one.position)).size)
  })

  it("invents words about sessions and calls that nobody opened", () => {
    const all = told(new Adversary(new Prng(1), "invent"), words) as ReadonlyArray<Word>
    expect(all.some((one) => one.lane !== SESSION)).toBe(true)
    expect(all.some((one) => one.lane === SESSION && one.index > 7)).toBe(true)
  })

  it("floods with all that members say to each other", () => {
    const all = told(new Adversary(new Prng(1), "flood"), words)
    expect(new Set(all.map(({ kind }) => kind))).toEqual(
      new Set(["word", "want", "resume", "wantLane", "cut", "behind"])
    )
    expect(all.length).toBeLessThan(words.length * 3)
  })

  it("garbles bodies and whole messages", () => {
    const liar = new Adversary(new Prng(1), "garble")
    const bodies = (told(liar, words) as ReadonlyArray<Word>).map(({ body }) => body.length)
    expect(new Set(bodies).size).toBeGreaterThan(3)
    const bytes = new Uint8Array(50)
    const changed = Array.from({ length: 1000 }, () => liar.bytes(bytes)).filter((b) => b !== bytes)
    expect(changed.length).toBeGreaterThan(5)
    expect(garbled(new Prng(2), bytes)).not.toEqual(garbled(new Prng(3), bytes))
  })

  it("does one to three of these, each of them in some run", () => {
    const lies = Array.from({ length: 200 }, (_, i) => new Adversary(new Prng(i)).lies)
    expect(new Set(lies.flat())).toEqual(new Set(LIES))
    expect(new Set(lies.map((some) => some.length))).toEqual(new Set([1, 2, 3]))
  })
})

describe("twins", () => {
  it("share one name: each peer is connected to one of them at a time", () => {
    const peers = new Map<number, Array<string>>()
    let port: NetworkPort | undefined
    const cut: Array<number> = []
    const sent: Array<number> = []
    const network = {
      attach: (_: number, joint: NetworkPort) => (port = joint),
      detach: () => (port = undefined),
      send: (_: number, to: number) => sent.push(to) > 0,
      cut: (_: number, peer: number) => cut.push(peer)
    }
    const twins = new Twins(network as never, 4, new Prng(1))
    const copies = ([0, 1] as const).map((copy) => {
      const side = twins.copy(copy)
      side.attach(4, {
        hello: () => ({ storeId: "same", horizonMs: 0 }),
        opened: (peer) => peers.set(peer, [...(peers.get(peer) ?? []), `open at ${copy}`]),
        closed: (peer) => peers.get(peer)!.push(`closed at ${copy}`),
        receive: (peer) => peers.get(peer)!.push(`heard at ${copy}`)
      })
      return side
    })
    const hello = { storeId: "peer", horizonMs: 0 }
    for (let peer = 10; peer < 30; peer++) port!.opened(peer, hello)
    for (let peer = 10; peer < 30; peer++) port!.receive(peer, new Uint8Array())
    const at = (copy: number) => [...peers].filter(([, log]) => log[0] === `open at ${copy}`)
    for (const copy of [0, 1]) {
      expect(at(copy).length).toBeGreaterThan(3)
      for (const [, log] of at(copy)) expect(log[1]).toBe(`heard at ${copy}`)
    }
    const [first] = at(0).map(([peer]) => peer)
    expect(copies.map((copy) => copy.send(4, first!, new Uint8Array()))).toEqual([true, false])
    copies[0]!.detach(4)
    expect(cut).toEqual(at(0).map(([peer]) => peer))
    port!.opened(first!, hello)
    expect(peers.get(first!)!.at(-1)).toBe("open at 1")
    copies[1]!.detach(4)
    expect(port).toBeUndefined()
  })

  it("run in some of the runs, and both are heard", SLOW, () => {
    let twice = 0
    for (let seed = 1; seed <= seedsOf(40); seed++) {
      const run = simulate({ ...RB, seed })
      expect(run.failure, `seed ${seed}`).toBeUndefined()
      if (run.hosts.length > 4) twice++
    }
    expect(twice).toBeGreaterThan(seedsOf(1))
  })
})

it("P15: rogue clients and liars of all kinds hurt nobody, with 4 and with 7 nodes", SLOW, () => {
  for (const nodes of [4, 7]) {
    const byzantine = Math.floor((nodes - 1) / 3)
    for (let seed = 500; seed < 500 + seedsOf(nodes === 4 ? 40 : 10); seed++) {
      const run = simulate({ ...RB, nodes, byzantine, seed })
      expect(run.failure, `${nodes} nodes, seed ${seed}`).toBeUndefined()
    }
  }
})
