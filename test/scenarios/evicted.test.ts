import { expect, it } from "vitest"
import { bracha, Nodes, session } from "../support/engines.ts"
import { echo, hear, logged, rb } from "../support/tries.ts"

const opened = (n: number): string => session(n, n * 1_000)

it("evicted, then named again by votes: what peers say opens nothing there", () => {
  const nodes = new Nodes(bracha, 4, "byzantine", { sessionsMax: 2 })
  nodes.atMs = 20_000
  nodes.call(1, rb(1, { session: opened(1) }))
  nodes.settle()
  const said = logged(nodes, 1, "word").length
  expect(said).toBeGreaterThan(0)
  for (const n of [2, 3]) nodes.call(1, rb(1, { session: opened(n) }))
  const after = logged(nodes, 1, "word").length
  const lied = (n: number) => echo(100 + n, { lane: opened(1), body: echo(1).body })
  const judge = (): void => {
    for (const peer of [2, 3, 4]) {
      hear(nodes, 1, peer, lied(1))
      hear(nodes, 1, peer, { ...lied(2), index: 9 })
    }
    nodes.settle()
    const words = logged(nodes, 1, "word").slice(after)
    expect(words.filter(({ lane }) => lane === opened(1))).toEqual([])
    expect(nodes.engines.get(1)!.size()).toMatchObject({ sessions: 2, early: 0 })
    expect(nodes.engines.get(1)!.counters["expired_word"]).toBeGreaterThan(5)
  }
  judge()
  nodes.boot(1)
  judge()
})
