/** What an operator may write of penalties, and what is wrong with anything else. */
import { describe, expect, it } from "vitest"
import type { FaultModel } from "../src/quorum/FaultModel.ts"
import { makeSystem } from "../src/quorum/QuorumSystem.ts"
import { type Penalties, penaltiesProblem } from "../src/runtime/Penalties.ts"

const problem = (penalties: object, model: FaultModel = "byzantine"): string | undefined => {
  const system = makeSystem([1, 2, 3, 4], model)
  const found = penaltiesProblem(penalties as Penalties, model, system)
  return found && `${found.what}; ${found.remedy}`
}

describe("penalties of a member", () => {
  it("are taken where they fit the group", () => {
    expect(problem({})).toBeUndefined()
    const all = { onSpam: "throttle", onFault: "disconnect", onProof: "ban", banned: [4] }
    expect(problem(all)).toBeUndefined()
    expect(
      problem({ onSpam: "disconnect", onProof: "report", banned: [1] }, "crash")
    ).toBeUndefined()
  })

  it.each([
    [{ onSpam: "ban" }, 'onSpam is "ban"; write "report" or "throttle" or "disconnect"'],
    [{ onFault: true }, 'onFault is true; write "report" or "disconnect"'],
    [{ onProof: "disconnect" }, 'onProof is "disconnect"; write "report" or "ban"'],
    [{ banned: [1, 9] }, "node 9 is banned, and no member; its members are 1, 2, 3, 4"]
  ])("%o is refused, with what to write", (penalties, text) => {
    expect(problem(penalties)).toBe(`penalties: ${text}`)
  })

  it("no ban happens by itself in a crash group: there is nobody who lies", () => {
    expect(problem({ onProof: "ban" }, "crash")).toBe(
      'penalties: onProof is "ban", and no member of a crash group lies; ' +
        'leave it out, or write "faults": "byzantine" in the group file'
    )
  })
})
