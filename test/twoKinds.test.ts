/** A client that gives one name to calls of two kinds hurts nobody but itself. */
import { expect, it } from "vitest"
import { bracha, json, Nodes, protocolOf, request } from "./support/engines.ts"

const methods = Object.fromEntries(
  bracha.methods.map(({ name, call, handler }) => [name, [call, handler]] as const)
)
const spec = protocolOf("rb", { ...methods, info: ["rpc", ({ reply }) => reply({ up: true })] })

it("P6: a call that one node was asked as another kind of call is still delivered there", () => {
  const nodes = new Nodes(spec, 4, "byzantine")
  nodes.settle()
  nodes.call(1, request("rb", "info", {}))
  for (const id of [2, 3, 4]) nodes.call(id, request("rb", "broadcast", { text: "a" }))
  // Nothing of node 1 is done before it has delivered.
  nodes.settle((_from, to) => to === 1)
  const told = nodes.queues
    .get("1>2")!
    .filter(({ kind }) => kind === "taken")
    .at(-1)
  expect(told).toMatchObject({ taken: 1, done: 0 })
  nodes.settle()
  expect(nodes.logged(1)).toEqual(["word", "final"])
  nodes.replies.length = 0
  nodes.call(1, request("rb", "broadcast", { text: "a" }))
  nodes.call(1, request("rb", "info", {}))
  expect(nodes.replies.map(({ reply }) => json.decode(reply.body))).toEqual([
    { text: "a" },
    { up: true }
  ])
})
