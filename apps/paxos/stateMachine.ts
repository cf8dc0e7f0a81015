/**
 * The application: a map of strings, and the answers of calls that may come again. Every replica
 * runs the same entries in the same order, so all of them are in the same state.
 */
import { base64Encode } from "@bufbuild/protobuf/wire"
import type { CallId } from "quorate/gen/quorate/v1/call_pb.js"
import type { Command, Entry, Result } from "../../gen/paxos/v1/paxos_quorate.ts"
import { Result_Outcome } from "../../gen/paxos/v1/paxos_quorate.ts"

type Answer = Pick<Result, "outcome" | "value">

/** One client's calls: a retry may reach a second slot, and must not run again. */
interface Session {
  acknowledgedBelow: number
  readonly answers: Map<number, Answer>
}

export interface State {
  readonly values: Map<string, string>
  /** By session id in base 64. Bounded: nodes admit at most `sessionsMax` sessions. */
  readonly sessions: Map<string, Session>
}

export const initial = (): State => ({ values: new Map(), sessions: new Map() })

/** Runs the entry, or repeats its answer. `undefined`: its client has the answer already. */
export const apply = (state: State, entry: Entry): Answer | undefined => {
  if (entry.command === undefined || entry.call === undefined) return undefined
  const session = sessionOf(state, entry.call.session)
  const { index } = entry.call
  acknowledge(session, entry.acknowledgedBelow)
  if (index < session.acknowledgedBelow) return undefined
  const before = session.answers.get(index)
  if (before !== undefined) return before
  const answer = run(state.values, entry.command)
  session.answers.set(index, answer)
  return answer
}

/** The same for every copy of a call, on every node. */
export const callKey = (call: Pick<CallId, "session" | "index">): string =>
  `${base64Encode(call.session)}/${call.index}`

const sessionOf = (state: State, id: Uint8Array): Session => {
  const key = base64Encode(id)
  let session = state.sessions.get(key)
  if (session === undefined) {
    session = { acknowledgedBelow: 1, answers: new Map() }
    state.sessions.set(key, session)
  }
  return session
}

const acknowledge = (session: Session, below: number): void => {
  if (below <= session.acknowledgedBelow) return
  session.acknowledgedBelow = below
  for (const index of session.answers.keys()) if (index < below) session.answers.delete(index)
}

const { OK, ABSENT, CONFLICT } = Result_Outcome

const run = (values: Map<string, string>, { command }: Command): Answer => {
  switch (command.case) {
    case "put":
      values.set(command.value.key, command.value.value)
      return { outcome: OK, value: "" }
    case "get": {
      const value = values.get(command.value.key)
      return value === undefined ? { outcome: ABSENT, value: "" } : { outcome: OK, value }
    }
    case "delete":
      values.delete(command.value.key)
      return { outcome: OK, value: "" }
    case "compareAndSet": {
      const { key, expected, value } = command.value
      if (values.get(key) !== expected) return { outcome: CONFLICT, value: "" }
      values.set(key, value)
      return { outcome: OK, value: "" }
    }
    case undefined:
      return { outcome: CONFLICT, value: "" }
  }
}
