/** A client goes on; a node that was away still hears what it missed below the acknowledged. */
import { expect, it } from "vitest"
import { LIMITS } from "../src/base/limits.ts"
import { Sessions } from "../src/server/sessions.ts"
import { session } from "./support/engines.ts"

it("P5: words dropped above the window are asked for when the client has acknowledged them", () => {
  const late = new Sessions({ ...LIMITS, windowCalls: 4 }, 4).add(session(1))
  for (const index of [5, 6, 7]) late.drop(2, index)
  expect(late.regain(2)).toBeUndefined()
  // Others told that the client needs no answer below 8: calls 4 to 7 are late, not finished.
  late.acknowledge(8)
  expect([4, 5, 6, 7].filter((index) => late.finished(index))).toEqual([])
  expect(late.regain(2)).toEqual({ from: 5, to: 8 })
})
