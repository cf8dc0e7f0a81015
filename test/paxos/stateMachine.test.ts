import { create } from "@bufbuild/protobuf"
import { describe, expect, it } from "vitest"
import { parseCommand } from "../../apps/paxos/command.ts"
import { apply, callKey, initial, type State } from "../../apps/paxos/stateMachine.ts"
import { EntrySchema, Result_Outcome } from "../../gen/paxos/v1/paxos_quorate.ts"

const { OK, ABSENT, CONFLICT } = Result_Outcome
const id = (client: number) => new Uint8Array(22).fill(client)

const run = (
  state: State,
  line: string,
  index: number,
  more = { client: 1, acknowledgedBelow: 1 }
) => {
  const parsed = parseCommand(line)
  if (parsed === undefined || "error" in parsed) throw new Error(line)
  const { client, acknowledgedBelow } = more
  const call = { session: id(client), index, method: "submit" }
  return apply(state, create(EntrySchema, { call, acknowledgedBelow, command: parsed.command }))
}

describe("the store", () => {
  it("puts, gets, deletes, compares and sets", () => {
    const state = initial()
    const lines = ["get a", "put a 1", "get a", "cas a 2 3", "cas a 1 2", "get a", "del a", "get a"]
    expect(lines.map((line, i) => run(state, line, i + 1))).toEqual([
      { outcome: ABSENT, value: "" },
      { outcome: OK, value: "" },
      { outcome: OK, value: "1" },
      { outcome: CONFLICT, value: "" },
      { outcome: OK, value: "" },
      { outcome: OK, value: "2" },
      { outcome: OK, value: "" },
      { outcome: ABSENT, value: "" }
    ])
  })

  it("a compare-and-set on an absent key is a conflict", () => {
    expect(run(initial(), "cas a 1 2", 1)).toEqual({ outcome: CONFLICT, value: "" })
  })

  it("a call that comes in two slots runs once and is answered alike", () => {
    const state = initial()
    run(state, "put a 1", 1)
    const first = run(state, "cas a 1 2", 2)
    run(state, "put a 1", 3)
    expect(run(state, "cas a 1 2", 2)).toEqual(first)
    expect(state.values.get("a")).toBe("1")
  })

  it("the same number of another client is another call", () => {
    const state = initial()
    run(state, "put a 1", 1)
    run(state, "put a 2", 1, { client: 2, acknowledgedBelow: 1 })
    expect(state.values.get("a")).toBe("2")
  })

  it("what a client has acknowledged is forgotten and never runs again", () => {
    const state = initial()
    run(state, "put a 1", 1)
    run(state, "put a 2", 2, { client: 1, acknowledgedBelow: 2 })
    const answers = [...state.sessions.values()].map((session) => [...session.answers.keys()])
    expect(answers).toEqual([[2]])
    expect(run(state, "put a 1", 1)).toBeUndefined()
    expect(state.values.get("a")).toBe("2")
  })

  it("a key names a call, and no two calls share it", () => {
    const keys = [1, 2].flatMap((client) =>
      [1, 11].map((index) => ({ session: id(client), index }))
    )
    expect(new Set(keys.map(callKey)).size).toBe(4)
  })
})
