/**
 * Readies that came before their instance could open wait for it. They are handed over one at a
 * time, so that "f + 1 are ready" is seen before "2f + 1 are", and the node says ready before it
 * delivers: other nodes may need its word.
 */
import { describe, expect, it } from "vitest"
import { methodId, type PeerMessage } from "../../src/server/Message.ts"
import { bracha, Nodes, session } from "../support/engines.ts"
import { logged, rb } from "../support/tries.ts"

const NODE = 4
/** Opened before the call that this is about. */
const older = rb(1, { session: session(9, 500) })
const isEcho = (m: PeerMessage) => m.kind === "word" && m.method === methodId("rb/echo")

type Heard = (from: number, to: number, message: PeerMessage) => boolean
/** Node 2 never hears that node 3 is ready. */
const DEAF: Heard = (from, to, m) => !(from === 3 && to === 2 && m.kind === "word" && !isEcho(m))

/** What a node said and answered of session 1, in the order of its log. */
const did = (nodes: Nodes, id: number): ReadonlyArray<string> =>
  nodes.logs
    .get(id)!
    .flatMap(({ entries }) => entries)
    .flatMap((e) => {
      if (e.kind === "word" && e.lane === session(1)) return e.method === ECHO ? "echo" : "ready"
      return e.kind === "final" && e.session === session(1) ? "final" : []
    })
const ECHO = methodId("rb/echo")

/** All of n nodes but node 4 have delivered; it was told of readies alone, and has no room. */
const waiting = (n: number, heard: Heard = () => true): Nodes => {
  const nodes = new Nodes(bracha, n, "byzantine", { sessionsMax: 1 })
  nodes.atMs = 20_000
  nodes.call(NODE, older)
  nodes.settle((from) => from !== NODE)
  const others = nodes.ids.filter((id) => id !== NODE)
  for (const id of others) nodes.call(id, rb(1))
  nodes.settle((from, to, m) => to !== NODE && heard(from, to, m))
  // Echoes would make it ready too.
  for (const id of others) {
    const queue = nodes.queues.get(`${id}>${NODE}`)!
    nodes.queues.set(
      `${id}>${NODE}`,
      queue.filter((m) => !isEcho(m))
    )
  }
  nodes.settle(heard)
  return nodes
}

describe("kept readies", () => {
  it.each([4, 7])("handed over, the node says ready before it delivers, of %d nodes", (n) => {
    const nodes = waiting(n)
    expect(nodes.engines.get(NODE)!.size()).toMatchObject({ early: n - 1, sessions: 1 })
    expect(did(nodes, NODE)).toEqual([])
    // The client's own request makes room, and opens the instance.
    nodes.call(NODE, rb(1))
    expect(did(nodes, NODE)).toEqual(["echo", "ready", "final"])
    expect(nodes.engines.get(NODE)!.size()).toMatchObject({ early: 0 })
    // Said once, with all that is counted again.
    nodes.boot(NODE)
    for (const id of nodes.ids) if (id !== NODE) nodes.link(id, NODE)
    nodes.settle()
    expect(did(nodes, NODE)).toEqual(["echo", "ready", "final"])
  })

  it("handed over where peers alone name the instance, likewise", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of [1, 2, 3]) nodes.call(id, rb(1))
    nodes.settle((_, to) => to !== NODE)
    nodes.settle()
    expect(did(nodes, NODE)).toEqual(["ready", "final"])
  })

  it("its ready is what a node still needs that hears of one too few", () => {
    const nodes = waiting(4, DEAF)
    expect(logged(nodes, 2, "final")).toEqual([])
    nodes.call(NODE, rb(1))
    nodes.settle(DEAF)
    expect(logged(nodes, 2, "final")).toHaveLength(1)
  })
})
