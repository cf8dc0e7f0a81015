import { expect, it } from "vitest"
import { frozen } from "../../src/runtime/internal/frozen.ts"
import { bracha, bytesOf } from "../support/engines.ts"

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
