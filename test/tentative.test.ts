/** Tentative replies: at the node that gives them, and at the client whose policy asks for them. */
import { describe, expect, it } from "vitest"
import type { NodeId } from "../src/base/NodeId.ts"
import { NodeSet } from "../src/base/nodeSet.ts"
import { matching, type Policy } from "../src/quorum/Policy.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { laneBytes, laneOfBytes } from "../src/server/laneKey.ts"
import { CallWorld, EMPTY } from "./support/callWorld.ts"
import { Nodes, protocolOf, request, session } from "./support/engines.ts"

/** Two members say it: tentative; all three: final. */
const eager = protocolOf("eager", {
  ask: ["multiparty", ({ message, forward }) => forward.say(message)],
  tell: ["multiparty", ({ wait }) => wait],
  say: [
    "phase",
    ({ message, author, reply, wait, call }) => {
      const named = message.session && {
        call: { session: message.session, index: message.index, method: "tell" }
      }
      if (message.text === "final") return reply.tell({ ok: true }, named)
      return author === 2 ? reply.tell.tentative({ by: author, key: call.index }, named) : wait
    }
  ],
  plain: ["rpc", ({ reply }) => reply.tentative({})]
})
const ask = (index: number, message: object, to?: NodeId) =>
  request("eager", "ask", { ...message, to }, { index })
const told = (nodes: Nodes) =>
  nodes.replies
    .splice(0)
    .map(
      ({ from, route, reply }) =>
        `${from}>${route} ${reply.tentative ? "~" : ""}${laneOfBytes(reply.body)}`
    )

describe("a node that replies tentatively", () => {
  it("leaves the call open, repeats the reply to a copy, and replaces it by the final one", () => {
    const nodes = new Nodes(eager, 2, "crash")
    for (const id of nodes.ids) nodes.call(id, ask(1, { text: "a" }))
    nodes.settle()
    expect(told(nodes).sort()).toEqual(['1>1 ~{"by":2,"key":1}', '2>1 ~{"by":2,"key":1}'])
    nodes.call(1, ask(1, { text: "a" }), 9)
    expect(told(nodes)).toEqual(['1>9 ~{"by":2,"key":1}'])
    expect(nodes.logged(1)).toEqual(["word"])
  })

  it("answers a call of another instance, which stays open until its final reply", () => {
    const nodes = new Nodes(eager, 2, "crash")
    const other = { session: laneBytes(session(2)), index: 5 }
    const tell = request("eager", "tell", {}, { session: session(2), index: 5 })
    for (const id of nodes.ids) nodes.call(id, ask(1, { text: "a", ...other }))
    nodes.settle()
    // The call had not come yet.
    expect(told(nodes)).toEqual([])
    expect(nodes.engines.get(1)!.counters["tentative_without_call"]).toBe(1)
    nodes.call(1, tell, 7)
    for (const id of nodes.ids) nodes.call(id, ask(2, { text: "a", ...other }))
    nodes.settle()
    expect(told(nodes)).toEqual(['1>7 ~{"by":2,"key":2}'])
    for (const id of nodes.ids) nodes.call(id, ask(3, { text: "final", ...other }))
    nodes.settle()
    expect(told(nodes)).toEqual(['1>7 {"ok":true}'])
    for (const id of nodes.ids) nodes.call(id, ask(4, { text: "a", ...other }))
    nodes.settle()
    nodes.call(1, tell, 8)
    expect(told(nodes)).toEqual(['1>8 {"ok":true}'])
  })

  it("tells whoever calls after the words of others had opened the instance", () => {
    const nodes = new Nodes(eager, 4, "crash")
    nodes.call(2, ask(1, { text: "a" }))
    nodes.settle()
    told(nodes)
    nodes.call(3, ask(1, { text: "a" }))
    expect(told(nodes)).toEqual(['3>1 ~{"by":2,"key":1}'])
  })

  it("forgets it in a restart", () => {
    const nodes = new Nodes(eager, 2, "crash")
    nodes.call(2, ask(1, { text: "a" }))
    expect(told(nodes)).toEqual(['2>1 ~{"by":2,"key":1}'])
    nodes.boot(2)
    nodes.call(2, ask(1, { text: "a" }))
    expect(told(nodes)).toEqual([])
  })

  it("cannot do so for a call without phases", () => {
    const nodes = new Nodes(eager, 1, "crash")
    nodes.call(1, request("eager", "plain", {}))
    expect(nodes.replies[0]!.reply.code).toBe("poisoned")
    expect(nodes.replies[0]!.reply.detail).toBe("eager/plain replies tentatively, without phases")
  })
})

const byzantine = makeSystem([1, 2, 3, 4], "byzantine")
const start = (policy: Policy<string, string>) =>
  policy.start(byzantine, new NodeSet(4).complement())
const sooner = () => start(matching((text: string) => text, { tentative: true }))

describe("matching with tentative replies", () => {
  it("takes a quorum of tentative replies, or f + 1 final ones", () => {
    const count = sooner()
    expect([1, 2].map((node) => count.tentative!(node, "a"))).toEqual([undefined, undefined])
    expect(count.tentative!(3, "a")).toEqual({ answer: "a" })
    const finals = sooner()
    for (const node of [1, 2]) expect(finals.tentative!(node, "b")).toBeUndefined()
    expect(finals.on(3, "a")).toBeUndefined()
    expect(finals.on(4, "a")).toEqual({ answer: "a" })
  })

  it("counts a node once: its final reply, or its latest tentative one", () => {
    const count = sooner()
    for (const text of ["a", "a", "a"]) expect(count.tentative!(1, text)).toBeUndefined()
    expect(count.tentative!(2, "a")).toBeUndefined()
    expect(count.on(2, "b")).toBeUndefined()
    expect(count.tentative!(2, "a")).toBeUndefined()
    expect(count.tentative!(1, "b")).toBeUndefined()
    expect(count.tentative!(3, "a")).toBeUndefined()
    // 1 and 4 tentatively and 2 finally say b.
    expect(count.tentative!(4, "b")).toEqual({ answer: "b" })
    expect(count.tentative!(3, "b")).toBeUndefined()
  })

  it("a final reply counts with the tentative ones of others", () => {
    const count = sooner()
    for (const node of [1, 2]) expect(count.tentative!(node, "a")).toBeUndefined()
    expect(count.on(3, "a")).toEqual({ answer: "a" })
  })

  it("f liars cannot make a quorum with one tentative word of an honest node each way", () => {
    const count = sooner()
    expect(count.tentative!(1, "lie")).toBeUndefined()
    expect(count.tentative!(2, "lie")).toBeUndefined()
    expect(count.possible(NodeSet.of(4, [0, 1, 2, 3]))).toBe(true)
    expect(count.tentative!(2, "truth")).toBeUndefined()
    expect(count.tentative!(3, "truth")).toBeUndefined()
    expect(count.tentative!(4, "truth")).toEqual({ answer: "truth" })
  })

  it("a key that throws counts for nothing, and neither does what the node had said before", () => {
    const key = (text: string): string => {
      if (text === "bad") throw new Error("mine")
      return text
    }
    const count = start(matching(key, { tentative: true }))
    for (const node of [1, 2]) count.tentative!(node, "a")
    expect(count.tentative!(2, "bad")).toBeUndefined()
    expect(count.tentative!(3, "a")).toBeUndefined()
    expect(count.tentative!(4, "a")).toEqual({ answer: "a" })
  })

  it("no other policy hears of them", () => {
    expect(start(matching((text: string) => text)).tentative).toBeUndefined()
  })
})

describe("a call with tentative replies", () => {
  const policy = matching((value: number) => value, { tentative: true })

  it("ends with a quorum of them; late final ones are dropped, and nothing is left", () => {
    const world = new CallWorld({ nodes: 4, model: "byzantine" }).up(1, 2, 3, 4)
    const call = world.call({ policy })
    const asked = world.asked()
    for (const copy of asked.slice(0, 2)) world.tentative(copy, 5)
    expect(call.result).toBeUndefined()
    world.tentative(asked[2]!, 5)
    expect(call.result).toEqual({ ok: true, answer: 5 })
    world.reply(asked[0]!, 5)
    expect([call.ends, world.core.counters.repliesDropped]).toEqual([1, 1])
    world.pass(10_000)
    expect({ ...world.core.size(), sessions: 0 }).toEqual(EMPTY)
  })

  it("does not count them where the policy does not ask, and waits for the final ones", () => {
    const world = new CallWorld({ nodes: 4, model: "byzantine" }).up(1, 2, 3, 4)
    const call = world.call({ policy: matching((value: number) => value) })
    const asked = world.asked()
    for (const copy of asked) world.tentative(copy, 5)
    expect(call.result).toBeUndefined()
    for (const copy of asked.slice(2)) world.reply(copy, 6)
    expect(call.result).toEqual({ ok: true, answer: 6 })
  })

  it("is no word on the copy: the link may break, and the copy is sent again", () => {
    const world = new CallWorld({ nodes: 4, model: "byzantine" }).up(1, 2, 3, 4)
    const call = world.call({ policy })
    const [one, two] = world.asked()
    world.tentative(one!, 5)
    world.tentative(two!, 300)
    world.core.onReply(2, {
      ...two!.message,
      kind: "reply",
      body: new Uint8Array(2),
      tentative: true
    })
    expect(world.core.counters.malformed).toBe(1)
    world.down(1)
    world.up(1)
    expect(world.asked().map(({ to }) => to)).toEqual([1])
    world.pass(6_000)
    expect(call.result).toMatchObject({ ok: false, code: "deadline_exceeded" })
  })

  it("fails where the policy throws on one", () => {
    const world = new CallWorld().up(1, 2, 3)
    const count = { on: () => undefined, possible: () => true, needed: 1, got: () => 0 }
    const tentative = () => {
      throw new Error("mine")
    }
    const call = world.call({ policy: { start: () => ({ ...count, tentative }) } })
    world.tentative(world.asked()[0]!, 1)
    expect(call.result).toMatchObject({ ok: false, code: "internal" })
  })
})
