import { describe, expect, it } from "vitest"
import { bracha, Nodes, request } from "./support/engines.ts"

describe("engine", () => {
  it("all correct nodes deliver a broadcast", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, request("rb", "broadcast", { text: "a" }))
    nodes.settle()
    expect(nodes.answers()).toEqual([1, 2, 3, 4].map((n) => `${n}: {"text":"a"}`))
  })
})
