/** The application: a number, and the answers of calls that may come again. */
import { base64Encode } from "@bufbuild/protobuf/wire"
import type { CallId } from "quorate/gen/quorate/v1/call_pb.js"
import type { Entry } from "./gen/counter/v1/counter_quorate.ts"

/** One client's calls. */
interface Session {
  /** Calls below it are answered, and never come back: their answers are forgotten. */
  below: number
  readonly totals: Map<number, number>
}
interface Totals {
  total: number
  readonly sessions: Map<string, Session>
}

export const initial = (): Totals => ({ total: 0, sessions: new Map() })

/** A call may be in several slots, when leaders change: it is counted in the first. */
export const apply = (state: Totals, entry: Entry): { readonly total: number } | undefined => {
  const { call, acknowledgedBelow, amount } = entry
  if (call === undefined) return undefined
  const session = sessionOf(state, base64Encode(call.session))
  session.below = Math.max(session.below, acknowledgedBelow)
  for (const index of session.totals.keys()) {
    if (index < session.below) session.totals.delete(index)
  }
  if (call.index < session.below) return undefined
  const before = session.totals.get(call.index)
  if (before !== undefined) return { total: before }
  state.total += amount
  session.totals.set(call.index, state.total)
  return { total: state.total }
}

const sessionOf = ({ sessions }: Totals, key: string): Session => {
  const session = sessions.get(key) ?? { below: 1, totals: new Map<number, number>() }
  sessions.set(key, session)
  return session
}

export const callKey = ({ session, index }: Pick<CallId, "session" | "index">): string =>
  `${base64Encode(session)}/${index}`
