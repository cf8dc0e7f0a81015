/** The command line of the store: a line to a command, a result to a line. */
import type { MessageInitShape } from "@bufbuild/protobuf"
import {
  type CommandSchema,
  type Result,
  Result_Outcome
} from "../../gen/paxos/v1/paxos_quorate.ts"

export type CommandInit = MessageInitShape<typeof CommandSchema>

/** A line that is no command: what is wrong, and what would be right. */
export interface Unreadable {
  readonly error: string
}

/** The first word of a line, e.g. "put". */
export type Verb = "put" | "get" | "del" | "cas"

export interface Parsed {
  readonly verb: Verb
  readonly command: CommandInit
}

export const USAGE = [
  "put KEY VALUE     write; VALUE is the rest of the line",
  "get KEY           read; prints the value, or (nil)",
  "del KEY           delete",
  "cas KEY OLD NEW   write NEW (the rest of the line) where OLD stands; else prints conflict"
] as const

/** `undefined`: an empty line. */
export const parseCommand = (line: string): Parsed | Unreadable | undefined => {
  const text = line.replace(/\r$/, "")
  if (text.trim() === "") return undefined
  const [verb, rest] = word(text)
  switch (verb) {
    case "put": {
      const [key, value] = word(rest)
      if (key === "" || value === "") return expected("put KEY VALUE")
      return { verb, command: { command: { case: "put", value: { key, value } } } }
    }
    case "get":
    case "del": {
      const [key, more] = word(rest)
      if (key === "" || more !== "") return expected(`${verb} KEY`)
      const name = verb === "get" ? "get" : "delete"
      return { verb, command: { command: { case: name, value: { key } } } }
    }
    case "cas": {
      const [key, afterKey] = word(rest)
      const [old, value] = word(afterKey)
      if (key === "" || old === "" || value === "") return expected("cas KEY OLD NEW")
      return {
        verb,
        command: { command: { case: "compareAndSet", value: { key, expected: old, value } } }
      }
    }
    default:
      return { error: `unknown command "${verb}"; expected put, get, del or cas` }
  }
}

/** The first word, and what stands behind the one space after it. */
const word = (text: string): readonly [string, string] => {
  const trimmed = text.trimStart()
  const end = trimmed.search(/\s/)
  return end < 0 ? [trimmed, ""] : [trimmed.slice(0, end), trimmed.slice(end + 1)]
}

const expected = (usage: string): Unreadable => ({ error: `expected: ${usage}` })

export const printResult = (verb: Verb, result: Pick<Result, "outcome" | "value">): string => {
  switch (result.outcome) {
    case Result_Outcome.OK:
      return verb === "get" ? result.value : "ok"
    case Result_Outcome.ABSENT:
      return "(nil)"
    default:
      return "conflict"
  }
}
