import { describe, expect, it } from "vitest"
import { frozen } from "../../src/runtime/internal/frozen.ts"
import { bracha, bytesOf, protocolOf } from "../support/engines.ts"

it("a handler that writes into a message throws in the simulator, whatever the depth", () => {
  const { decode } = frozen(bracha).methods[0]!.input
  const message = decode(bytesOf('{"text":"a","deep":{"list":[{"n":1}]}}')) as {
    text: string
    deep: { list: Array<{ n: number }> }
  }
  expect(() => (message.text = "b")).toThrow(TypeError)
  expect(() => message.deep.list.push({ n: 2 })).toThrow(TypeError)
  expect(() => (message.deep.list[0]!.n = 2)).toThrow(TypeError)
  expect(message).toEqual({ text: "a", deep: { list: [{ n: 1 }] } })
})

it("bytes in a message stay as they are", () => {
  const { decode } = frozen(bracha).methods[0]!.input
  expect(decode(bytesOf('{"session":{"hex":"ab"}}'))).toEqual({ session: bytesOf("ab") })
})

describe("a handler that writes into its state", () => {
  const initial = () => ({
    left: 0,
    list: [1],
    seen: new Map([["a", { n: 1 }]]),
    all: new Set([1])
  })
  const runs = (write: (state: any) => unknown): unknown => {
    const state = initial()
    const spec = protocolOf("w", { call: ["multiparty", ({ state: it }) => write(it) as never] })
    const { handler } = frozen(spec).methods[0]!
    const result = (handler as (context: object) => unknown)({ state })
    // Nothing of it was written.
    expect(state).toEqual(initial())
    return result
  }

  it.each<[string, (state: any) => unknown]>([
    ["assigns", (it) => (it.left = 1)],
    ["assigns below", (it) => (it.list[0] = 2)],
    ["pushes", (it) => it.list.push(2)],
    ["deletes", (it) => delete it.left],
    ["sets", (it) => it.seen.set("b", {})],
    ["clears", (it) => it.seen.clear()],
    ["adds", (it) => it.all.add(2)],
    ["writes into what a map holds", (it) => (it.seen.get("a").n = 2)]
  ])("that %s, throws in the simulator", (_, write) => {
    expect(() => runs(write)).toThrow("a handler wrote into the state")
  })

  it("reads it as it is", () => {
    expect(
      runs((it) => [it.left, ...it.list, ...it.seen.keys(), it.seen.size, [...it.all]])
    ).toEqual([0, 1, "a", 1, [1]])
    expect(runs((it) => it.list.map((n: number) => n + 1).concat(it.seen.get("a").n))).toEqual([
      2, 1
    ])
  })
})
