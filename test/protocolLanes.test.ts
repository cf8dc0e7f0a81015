import { describe, expect, it } from "vitest"
import { counterOf } from "./support/counter.ts"
import type { Codec } from "../src/server/Protocol.ts"
import { json, Nodes, request } from "./support/engines.ts"

const counter = counterOf(4)
const add = (index: number, by = 1) => request("ctr", "add", { by }, { index })

describe("protocol lanes", () => {
  it("what is decided runs in order on every node, and its result is the reply", () => {
    const nodes = new Nodes(counter, 3, "crash")
    for (const index of [1, 2, 3]) for (const id of nodes.ids) nodes.call(id, add(index, index))
    nodes.settle()
    const totals = [1, 3, 6].flatMap((total) => nodes.ids.map((n) => `${n}: {"total":${total}}`))
    const redirects = [2, 3].flatMap((n) => [1, 2, 3].map(() => `${n}: redirect`))
    expect(nodes.answers()).toEqual([...totals, ...redirects].sort())
  })

  it("a window that is full refuses, and moves with what is applied", () => {
    const nodes = new Nodes(counter, 3, "crash")
    for (let index = 1; index <= 6; index++) nodes.call(1, add(index))
    expect(nodes.answers()).toEqual(["1: overloaded", "1: overloaded"])
    nodes.settle()
    for (let index = 5; index <= 6; index++) nodes.call(1, add(index))
    nodes.settle()
    expect(nodes.answers().filter((a) => a === '1: {"total":6}')).toHaveLength(1)
  })

  it("a node that was away catches up with everything, in order", () => {
    const nodes = new Nodes(counter, 3, "crash")
    for (const id of [1, 2]) nodes.cut(id, 3)
    for (let index = 1; index <= 40; index++) {
      nodes.call(1, add(index))
      nodes.settle()
    }
    for (const id of [1, 2]) nodes.link(id, 3)
    nodes.settle()
    const decided = (id: number) =>
      nodes.logs
        .get(id)!
        .flatMap((r) => r.entries)
        .filter((e) => e.kind === "decided")
    expect(decided(3).map((d) => d.index)).toEqual(Array.from({ length: 40 }, (_, i) => i + 1))
    expect(decided(3).map((d) => d.items)).toEqual(decided(1).map((d) => d.items))
  })

  it("after a restart the application is rebuilt and a retry gets the same reply", () => {
    const nodes = new Nodes(counter, 3, "crash")
    for (const index of [1, 2]) nodes.call(1, add(index))
    nodes.settle()
    nodes.boot(1)
    nodes.replies.length = 0
    nodes.call(1, add(2))
    nodes.call(1, add(3))
    nodes.settle()
    for (const id of [2, 3]) nodes.link(1, id)
    nodes.settle()
    expect(nodes.answers()).toEqual(['1: {"total":2}', '1: {"total":3}'])
  })

  it("a result that is no reply fails its call alone, on every node alike", () => {
    const output: Codec = {
      ...json,
      encode: (message: any) => {
        if (message.total === 1) throw new Error("no")
        return message.total === 2 ? new Uint8Array(1_000) : json.encode(message)
      }
    }
    const methods = counter.methods.map((method) => ({ ...method, output }))
    const nodes = new Nodes({ ...counter, methods }, 3, "crash", { bodyBytesMax: 500 })
    for (const index of [1, 2, 3]) nodes.call(1, add(index))
    nodes.settle()
    expect(nodes.answers()).toEqual(["1: poisoned", "1: poisoned", '1: {"total":3}'])
    expect(nodes.outputs.some(({ output: { kind } }) => kind === "halt")).toBe(false)
  })

  it("an application that throws halts its node", () => {
    const broken = {
      ...counter,
      world: {
        ...counter.world!,
        application: {
          ...counter.world!.application!,
          apply: () => {
            throw new Error("no")
          }
        }
      }
    }
    const nodes = new Nodes(broken, 1, "crash")
    nodes.call(1, add(1))
    expect(nodes.outputs.filter(({ output }) => output.kind === "halt")).toMatchObject([
      { output: { reason: "the application threw at slots/1: Error: no" } }
    ])
  })

  it.each([
    ["slots", { window: 0 }, 'lane "slots" of ctr needs a window from 1 to 4096'],
    ["slots", { window: 5_000 }, 'lane "slots" of ctr needs a window from 1 to 4096'],
    ["slots", { window: 4, rounds: 65 }, 'lane "slots" of ctr needs rounds from 1 to 64'],
    ["No", { window: 4 }, 'lane "No" of ctr must match /^[a-z][a-zA-Z0-9]{0,19}$/']
  ])("a lane beyond the limits is refused at the start: %s %j", (name, lane, message) => {
    const world = { ...counter.world!, lanes: { [name]: lane } }
    expect(() => new Nodes({ ...counter, world }, 3, "crash")).toThrow(message)
  })
})
