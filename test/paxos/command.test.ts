import { describe, expect, it } from "vitest"
import { parseCommand, printResult } from "../../apps/paxos/command.ts"
import { Result_Outcome } from "../../gen/paxos/v1/paxos_quorate.ts"

const put = (key: string, value: string) => ({
  verb: "put",
  command: { command: { case: "put", value: { key, value } } }
})
const cas = (key: string, expected: string, value: string) => ({
  verb: "cas",
  command: { command: { case: "compareAndSet", value: { key, expected, value } } }
})
const one = (verb: string, name: string, key: string) => ({
  verb,
  command: { command: { case: name, value: { key } } }
})

describe("a line is a command", () => {
  it.each([
    ["put a 1", put("a", "1")],
    ["put a one two  three", put("a", "one two  three")],
    ["put a  1", put("a", " 1")],
    ["  put   a 1", put("a", "1")],
    ["put ключ zäh € 🎉", put("ключ", "zäh € 🎉")],
    ["put a 1\r", put("a", "1")],
    ["put\ta\t1", put("a", "1")],
    ["get a", one("get", "get", "a")],
    ["get a ", one("get", "get", "a")],
    ["del a", one("del", "delete", "a")],
    ["cas a 1 2", cas("a", "1", "2")],
    ["cas a 1 two words", cas("a", "1", "two words")]
  ])("%j", (line, parsed) => {
    expect(parseCommand(line)).toEqual(parsed)
  })

  it.each([
    ["put", "expected: put KEY VALUE"],
    ["put a", "expected: put KEY VALUE"],
    ["get", "expected: get KEY"],
    ["get a b", "expected: get KEY"],
    ["del", "expected: del KEY"],
    ["cas a 1", "expected: cas KEY OLD NEW"],
    ["PUT a 1", 'unknown command "PUT"; expected put, get, del or cas'],
    ["constructor a", 'unknown command "constructor"; expected put, get, del or cas']
  ])("%j is none, and says why", (line, error) => {
    expect(parseCommand(line)).toEqual({ error })
  })

  it.each(["", " ", "\t", "\r"])("%j is empty", (line) => {
    expect(parseCommand(line)).toBeUndefined()
  })
})

describe("a result is a line", () => {
  it.each([
    ["put", Result_Outcome.OK, "", "ok"],
    ["get", Result_Outcome.OK, "one two", "one two"],
    ["get", Result_Outcome.ABSENT, "", "(nil)"],
    ["del", Result_Outcome.OK, "", "ok"],
    ["cas", Result_Outcome.OK, "", "ok"],
    ["cas", Result_Outcome.CONFLICT, "", "conflict"]
  ] as const)("%s %s", (verb, outcome, value, line) => {
    expect(printResult(verb, { outcome, value })).toBe(line)
  })
})
