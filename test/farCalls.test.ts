/** A client numbers its calls as it likes; their names must fit into messages that bear them. */
import { expect, it } from "vitest"
import { alone } from "./support/tries.ts"
import { protocolOf } from "./support/engines.ts"

it("P15: a call numbered above what a CallId holds never reaches its handler", () => {
  const ran: Array<number> = []
  const spec = protocolOf("far", {
    ask: ["multiparty", ({ call, reply, message }) => [ran.push(call.index), reply(message)][1]]
  })
  const { codes, call } = alone(spec)
  const far = 2 ** 32
  expect(codes(call("ask", far - 1, { ackedBelow: far - 1 }))).toEqual(["answer"])
  expect(codes(call("ask", far, { ackedBelow: far - 1 }))).toEqual(["window"])
  expect(codes(call("ask", 2 ** 40, { ackedBelow: 2 ** 40 }))).toEqual(["window"])
  expect(ran).toEqual([far - 1])
})
