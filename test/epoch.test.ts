/** One engine in an epoch that comes, closes and is over. */
import { describe, expect, it } from "vitest"
import type { NodeId } from "../src/base/NodeId.ts"
import type { EpochState } from "../src/server/epoch.ts"
import type { WorldSpec } from "../src/server/Protocol.ts"
import { decodeRecord, encodeRecord } from "../src/link/recordCodec.ts"
import { laneOfBytes } from "../src/server/laneKey.ts"
import { bracha, bytesOf, Nodes, request, session } from "./support/engines.ts"

const NEXT = bytesOf("two")
const stand = (nodes: Nodes, id: NodeId, state: EpochState): void =>
  nodes.input(id, { kind: "epoch", standing: { kind: "epoch", state, next: NEXT } })
const call = (text: string, index = 1) => request("rb", "broadcast", { text }, { index })
const told = (nodes: Nodes): ReadonlyArray<string> =>
  nodes.replies.map(({ from, reply }) => `${from}: ${reply.code} ${laneOfBytes(reply.body)}`)
const standings = (nodes: Nodes, at: NodeId): ReadonlyArray<string> =>
  nodes.outputs.flatMap(({ from, output }) =>
    from === at && output.kind === "epoch" ? [`${output.of} ${output.standing.state}`] : []
  )

describe("an engine in a closing epoch", () => {
  it("runs what it is sent, and says that there is a next epoch", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) stand(nodes, id, "closing")
    for (const id of nodes.ids) nodes.call(id, call("a"))
    expect(told(nodes)).toEqual([1, 2, 3, 4].map((id) => `${id}: epoch_closing two`))
    nodes.settle()
    expect(nodes.answers().filter((answer) => answer.includes("{"))).toHaveLength(4)
  })

  it("tells its peers where it stands, now and over each new link", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    stand(nodes, 1, "closing")
    nodes.settle()
    expect(standings(nodes, 2)).toEqual(["1 closing"])
    expect(standings(nodes, 1)).toEqual(["1 closing"])
    nodes.cut(1, 2)
    nodes.link(1, 2)
    nodes.settle()
    expect(standings(nodes, 2)).toEqual(["1 closing", "1 closing"])
  })

  it("tells its protocols, once", () => {
    let hooks = 0
    const world: WorldSpec = {
      epoch: ({ ignore }) => {
        hooks++
        return ignore
      }
    }
    const nodes = new Nodes({ ...bracha, world }, 4, "byzantine")
    for (const state of ["closing", "closing", "over"] as const) stand(nodes, 1, state)
    expect(hooks).toBe(1)
  })

  it("never goes back, in no life", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    stand(nodes, 1, "over")
    stand(nodes, 1, "closing")
    expect(standings(nodes, 1)).toEqual(["1 over"])
    nodes.boot(1)
    expect(standings(nodes, 1)).toEqual(["1 over", "1 over"])
    stand(nodes, 1, "active")
    nodes.call(1, call("a"))
    expect(told(nodes)).toEqual(["1: epoch_ended two"])
  })
})

describe("an engine whose epoch is over", () => {
  it("ends what it knows, and never has a part in what it refused", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, call("a"))
    for (const id of [1, 2, 3]) nodes.call(id, call("b", 2))
    stand(nodes, 4, "over")
    nodes.call(4, call("b", 2))
    expect(told(nodes)).toEqual(["4: epoch_ended two"])
    nodes.settle()
    const full = nodes.answers().filter((answer) => answer.includes("{"))
    expect(full.map((answer) => answer[0]).join("")).toBe("1122334")
    const spoke = nodes.outputs.some(
      ({ from, output }) =>
        from === 4 &&
        output.kind === "send" &&
        output.message.kind === "word" &&
        output.message.index === 2
    )
    expect(spoke).toBe(false)
  })

  it("refuses the same call in every life, with the same words", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    stand(nodes, 1, "over")
    nodes.call(1, call("a"))
    nodes.boot(1)
    nodes.call(1, call("a"))
    expect(told(nodes)).toEqual(["1: epoch_ended two", "1: epoch_ended two"])
    const finals = nodes.logs.get(1)!.flatMap(({ entries }) => entries)
    expect(finals.filter(({ kind }) => kind === "final")).toHaveLength(1)
  })

  it("is so, and refuses what it refused, after its log was cut to a checkpoint", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    stand(nodes, 1, "over")
    nodes.call(1, call("a"))
    const record = decodeRecord(encodeRecord(nodes.engines.get(1)!.checkpoint()))!
    nodes.logs.get(1)!.splice(0, Number.POSITIVE_INFINITY, record)
    nodes.boot(1)
    for (const id of [2, 3, 4]) nodes.call(id, call("a"))
    for (const id of [2, 3, 4]) nodes.link(1, id)
    nodes.settle()
    nodes.call(1, call("a"))
    nodes.call(1, call("b", 2))
    expect(told(nodes).filter((answer) => answer.startsWith("1"))).toEqual(
      new Array(3).fill("1: epoch_ended two")
    )
    const entries = nodes.logs.get(1)!.flatMap((it) => it.entries)
    expect(entries.some(({ kind }) => kind === "word")).toBe(false)
  })

  it("takes part in a call that its peers' words opened here before the client's copy came", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of [1, 2, 3]) nodes.call(id, call("a"))
    nodes.settle()
    stand(nodes, 4, "over")
    nodes.call(4, call("a"))
    expect(nodes.answers().filter((answer) => answer.startsWith("4: {"))).toHaveLength(1)
  })
})

describe("an engine in an announced epoch", () => {
  it("asks clients to wait, and takes its peers' words", () => {
    const nodes = new Nodes(bracha, 4, "byzantine", {}, [4])
    for (const id of nodes.ids) nodes.call(id, call("a"))
    expect(told(nodes)).toEqual(["4: not_ready "])
    nodes.settle()
    nodes.input(4, {
      kind: "epoch",
      standing: { kind: "epoch", state: "active", next: new Uint8Array(0) }
    })
    nodes.call(4, { ...call("a"), session: session(1) })
    expect(nodes.answers()).toHaveLength(5)
    expect(nodes.answers().filter((answer) => answer.startsWith("4: {"))).toHaveLength(1)
  })
})
