/** A promise that is not on disk: two leaders count on one node, which restarted in between. */
import { expect, it } from "vitest"
import { CounterNode } from "../../examples/counter/counter.ts"
import { methodId, type PeerMessage } from "../../src/server/Message.ts"
import type { ProtocolSpec } from "../../src/server/Protocol.ts"
import { Nodes, request } from "../support/engines.ts"

const { spec } = CounterNode
const [add, accept, chosen] = ["add", "accept", "chosen"].map(
  (name) => spec.methods.find((method) => method.name === name)!
)
const isWord = (message: PeerMessage, { fullName }: { readonly fullName: string }): boolean =>
  message.kind === "word" && message.method === methodId(fullName)

/** What slot 2 is at each node that has decided it: the number of its commands. */
const secondSlot = (spec: ProtocolSpec): ReadonlyArray<string> => {
  const nodes = new Nodes(spec, 3, "crash")
  const until = (atMs: number, only?: Parameters<Nodes["settle"]>[0]): void => {
    for (; ; nodes.atMs += 100) {
      nodes.settle(only)
      for (const id of nodes.ids) nodes.input(id, { kind: "turnEnd" })
      if (nodes.atMs >= atMs) return
    }
  }
  until(2_500)
  // Node 1 leads, and has left slot 1 empty. Cut off, it proposes a call for slot 2.
  nodes.cut(1, 2)
  nodes.cut(1, 3)
  const body = add!.input.encode({ amount: 1 })
  nodes.call(1, { ...request("", "", {}), method: methodId(add!.fullName), body })
  nodes.input(1, { kind: "turnEnd" })
  // Node 3 promises node 2 to follow nobody below, and restarts. Node 2 leaves slot 2 empty.
  until(3_300, (_, to, message) => to !== 3 || !isWord(message, accept!))
  nodes.cut(2, 3)
  nodes.boot(3)
  // Node 1 still leads, for all it knows.
  nodes.link(1, 3)
  nodes.settle((_, to, message) => to !== 3 || !isWord(message, chosen!))
  nodes.cut(1, 3)
  nodes.link(2, 3)
  nodes.settle()
  return nodes.ids.flatMap((id) => {
    const entries = nodes.logs.get(id)!.flatMap((record) => record.entries)
    return entries.flatMap((entry) =>
      entry.kind === "decided" && entry.index === 2 ? [`${id}: ${entry.items.length}`] : []
    )
  })
}

it("a promise that is on disk lets nothing else be chosen", () => {
  expect(secondSlot(spec)).toEqual(["2: 0", "3: 0"])
})

it("a promise that is forgotten lets two proposals be chosen", () => {
  const methods = spec.methods.map((method) => {
    if (method.name !== "prepare") return method
    const { each, ...rest } = method.handler as any
    const noted = (context: any) => Object.create(context, { store: { value: context.note } })
    return { ...method, handler: { ...rest, each: (context: any) => each(noted(context)) } }
  })
  expect(secondSlot({ ...spec, methods })).toEqual(["1: 1", "2: 0", "3: 0"])
})
