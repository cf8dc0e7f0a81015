/** Calls that end at the nodes with their clients' interest, where the method says so. */
import { createFileRegistry } from "@bufbuild/protobuf"
import { describe, expect, it } from "vitest"
import { methodsOf } from "../src/runtime/internal/methods.ts"
import type { ProtocolSpec } from "../src/server/Protocol.ts"
import { compileProtos } from "./plugin/generate.ts"
import { bracha, Nodes, request, session } from "./support/engines.ts"

const abandoning: ProtocolSpec = {
  ...bracha,
  methods: bracha.methods.map((method) =>
    method.name === "broadcast" ? { ...method, abandon: true } : method
  )
}
const broadcast = (more = {}) => request("rb", "broadcast", { text: "a" }, more)
const open = (nodes: Nodes, id: number) => nodes.engines.get(id)!.size()["instances"]
const cancel = { kind: "cancel", route: 1, session: session(1), index: 1 } as const

describe("on_cancel", () => {
  it("CONTINUE: a cancelled call goes on, unheard", () => {
    const nodes = new Nodes(bracha, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, broadcast())
    for (const id of nodes.ids) nodes.input(id, cancel)
    nodes.settle()
    expect(nodes.answers()).toEqual([])
    nodes.call(1, broadcast())
    expect(nodes.answers()).toEqual(['1: {"text":"a"}'])
  })

  it("ABANDON: a cancelled call is finished and silent at the nodes that hear of it", () => {
    const nodes = new Nodes(abandoning, 4, "byzantine")
    for (const id of nodes.ids) nodes.call(id, broadcast())
    for (const id of [1, 2]) nodes.input(id, cancel)
    expect(nodes.logged(1)).toEqual(["word", "final"])
    nodes.settle()
    // Two echoes and two who still listen: no quorum speaks.
    expect([1, 2, 3, 4].map((id) => open(nodes, id))).toEqual([0, 0, 1, 1])
    expect(nodes.logged(1)).toEqual(["word", "final"])
    expect(nodes.answers()).toEqual([])
    nodes.call(1, broadcast())
    expect(nodes.answers()).toEqual(["1: cancelled"])
    nodes.boot(1)
    nodes.replies.length = 0
    nodes.call(1, broadcast())
    expect([nodes.answers(), open(nodes, 1)]).toEqual([["1: cancelled"], 0])
  })

  it("ABANDON: so is one whose deadline is over; a later copy may put it off", () => {
    const nodes = new Nodes(abandoning, 4, "byzantine")
    for (const id of [1, 2]) nodes.call(id, broadcast({ deadlineMs: 100 }))
    nodes.call(3, broadcast())
    nodes.atMs += 60
    nodes.call(2, broadcast({ deadlineMs: 100 }))
    nodes.atMs += 60
    for (const id of nodes.ids) nodes.input(id, { kind: "tick" })
    expect([1, 2, 3].map((id) => open(nodes, id))).toEqual([0, 1, 1])
    nodes.call(1, broadcast({ deadlineMs: 100 }))
    expect(nodes.answers()).toEqual(["1: deadline_exceeded"])
  })

  it("ABANDON: an answered call stays answered", () => {
    const nodes = new Nodes(abandoning, 1, "byzantine")
    nodes.call(1, broadcast({ deadlineMs: 10 }))
    nodes.input(1, cancel)
    nodes.atMs += 60
    nodes.input(1, { kind: "tick" })
    nodes.call(1, broadcast())
    expect(nodes.answers()).toEqual(['1: {"text":"a"}', '1: {"text":"a"}'])
  })
})

describe("the option", () => {
  const service = (kind: string) => {
    const text = `syntax = "proto3"; package p; import "quorate/v1/options.proto"; message M {}
      service S {
        rpc A(M) returns (M) {
          option (quorate.v1.call) = ${kind}; option (quorate.v1.on_cancel) = ABANDON;
        }
        rpc P(M) returns (M) { option (quorate.v1.call) = PHASE; }
      }`
    return createFileRegistry(compileProtos({ "p.proto": text })).getService("p.S")!
  }
  it("is read off the descriptor, and refused where a call has no phases", () => {
    expect(methodsOf(service("MULTIPARTY")).map(({ abandon }) => abandon)).toEqual([true, false])
    expect(() => methodsOf(service("QUORUM"))).toThrow(
      "p.S.A says on_cancel; only MULTIPARTY methods do"
    )
  })
})
