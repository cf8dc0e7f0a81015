/**
 * P6: FIFO per (group, sender, receiver), what was said also across reconnects; what the floor has
 * cut is told before what follows.
 */
import { describe, expect, it } from "vitest"
import { Prng } from "../../src/base/prng.ts"
import type { PeerMessage } from "../../src/server/Message.ts"
import { bracha, Nodes } from "../support/engines.ts"
import { finals, rb } from "../support/tries.ts"

/** What `nodes` hand to the link from `from` to `to`, in order; `up` stands for a new link. */
const sentOver = (nodes: Nodes, from: number, to: number): ReadonlyArray<PeerMessage> =>
  nodes.outputs.flatMap((o) =>
    o.from === from && o.output.kind === "send" && o.output.to === to ? [o.output.message] : []
  )

/** Positions of first deliveries must rise; a resume says where they go on. */
const checkOrder = (messages: ReadonlyArray<PeerMessage>): number => {
  let next = 0
  let resumes = 0
  for (const message of messages) {
    if (message.kind === "resume") {
      next = message.position
      resumes++
    } else if (message.kind === "word") {
      expect(message.position, "no word overtakes another").toBe(next)
      next++
    }
  }
  return resumes
}

describe("P6", () => {
  it("words come in the order in which they were said, each link after its resume", () => {
    for (let seed = 1; seed <= 50; seed++) {
      const random = new Prng(seed)
      const nodes = new Nodes(bracha, 4, "byzantine")
      for (let index = 1; index <= 20; index++) {
        for (const id of nodes.ids) nodes.call(id, rb(index))
        const share = random.below(1000)
        nodes.settle(() => random.below(1000) < share)
        const a = 1 + random.below(4)
        const b = 1 + ((a + random.below(3)) % 4)
        if (a === b) continue
        nodes.cut(a, b)
        if (random.chance(300)) nodes.boot(a)
        // A process that starts anew has no link to anybody.
        for (const peer of nodes.ids) if (peer !== a) nodes.cut(a, peer)
        for (const peer of nodes.ids) if (peer !== a) nodes.link(a, peer)
      }
      nodes.settle()
      nodes.settle()
      let resumes = 0
      for (const from of nodes.ids) {
        for (const to of nodes.ids)
          if (from !== to) resumes += checkOrder(sentOver(nodes, from, to))
        expect(finals(nodes, from)).toHaveLength(20)
      }
      expect(resumes).toBeGreaterThan(12)
    }
  })

  it("no word leaves before the peer has said from where", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, rb(1))
    for (const id of nodes.ids) nodes.input(id, { kind: "turnEnd" })
    for (const from of nodes.ids) {
      for (const to of nodes.ids) {
        if (from === to) continue
        expect(sentOver(nodes, from, to).map(({ kind }) => kind)).toEqual(["want"])
      }
    }
  })
})
