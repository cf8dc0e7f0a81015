/**
 * A client has its reply to call 1 from others, acknowledges it and goes on. What it has let go of
 * is not over: totality holds for the node that hears of call 1 last.
 */
import { describe, expect, it } from "vitest"
import { bracha, Nodes } from "../support/engines.ts"
import { finals, rb } from "../support/tries.ts"

const LATE = 4
const OTHERS = [1, 2, 3]

/** Call 1 is answered by all but node 4, which then hears of `more` later calls first. */
const late = (more: number, limits = {}): Nodes => {
  const nodes = new Nodes(bracha, 4, "byzantine", limits)
  for (const id of OTHERS) nodes.call(id, rb(1))
  nodes.settle((_, to) => to !== LATE)
  expect(nodes.answers()).toEqual(OTHERS.map((id) => `${id}: {"text":"m1"}`))
  for (let index = 2; index < 2 + more; index++) {
    for (const id of nodes.ids) nodes.call(id, rb(index, { index, ackedBelow: index }))
    nodes.settle((_, to) => to !== LATE)
  }
  return nodes
}
const upTo = (last: number) => Array.from({ length: last }, (_, i) => i + 1)

describe("late first call", () => {
  it.each([1, 5, 40])("the node that saw it last still delivers it, with %d after it", (more) => {
    const nodes = late(more)
    expect(finals(nodes, LATE)).toEqual([])
    nodes.settle()
    for (const id of nodes.ids) expect(finals(nodes, id)).toEqual(upTo(1 + more))
    // The client's own late copy is refused, and runs nothing.
    nodes.replies.length = 0
    nodes.call(LATE, rb(1))
    expect(nodes.answers()).toEqual(["4: already_acknowledged"])
  })

  it("it delivers it in its next life, where it learned of it in this one", () => {
    const nodes = late(1)
    for (const id of OTHERS) nodes.cut(id, LATE)
    nodes.boot(LATE)
    for (const id of OTHERS) nodes.link(id, LATE)
    nodes.settle()
    expect(finals(nodes, LATE)).toEqual([1, 2])
  })

  it("it delivers it after a restart from a checkpoint, which says what is still open", () => {
    const nodes = late(1)
    // Two echoes and one ready: not enough for anything.
    nodes.settle((from, to) => to !== LATE || from === 1)
    nodes.logs.set(LATE, [nodes.engines.get(LATE)!.checkpoint()])
    for (const id of OTHERS) nodes.cut(id, LATE)
    nodes.boot(LATE)
    for (const id of OTHERS) nodes.link(id, LATE)
    nodes.settle()
    expect(finals(nodes, LATE)).toEqual([1, 2])
  })

  it("it delivers it where only its peers tell it that the client has gone on", () => {
    const nodes = late(0)
    for (const id of OTHERS) nodes.call(id, rb(2, { ackedBelow: 2 }))
    nodes.settle((_, to) => to !== LATE)
    // Of call 2 first, from all of them; then of call 1.
    const queued = OTHERS.map((id) => nodes.queues.get(`${id}>${LATE}`)!.splice(0))
    for (const [index, flip] of [2, 1].entries()) {
      for (const [i, id] of OTHERS.entries()) {
        const some = queued[i]!.filter((m) => (m.kind === "word" ? m.index === flip : index === 1))
        nodes.queues.get(`${id}>${LATE}`)!.push(...some)
      }
      nodes.settle()
    }
    expect(finals(nodes, LATE)).toEqual([1, 2])
  })

  it("beyond a window of such calls the lowest is lost, and reported", () => {
    const nodes = late(12, { windowCalls: 8 })
    nodes.settle()
    const delivered = finals(nodes, LATE)
    // `ackedBelow` is 13 here: below it lie 12 calls, 8 of which are waited for.
    expect(delivered).toEqual(upTo(13).slice(4))
    expect(nodes.engines.get(LATE)!.counters["lost"]).toBe(4)
    expect(nodes.outputs.some(({ output }) => output.kind === "report")).toBe(true)
  })

  it("where their client goes far ahead at once, each of them is counted", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", { windowCalls: 8 })
    nodes.call(LATE, rb(1))
    nodes.call(LATE, rb(40, { ackedBelow: 40 }))
    expect(nodes.engines.get(LATE)!.counters["lost"]).toBe(39 - 8)
  })
})
