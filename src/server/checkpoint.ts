/**
 * What a node keeps when its log is cut: the one list. Whatever a boot must find again is here, or
 * in a record after the checkpoint. Early votes, effects under way, routes, counters and what was
 * only noted are not: a restart forgets them anyway.
 */
import { mark } from "../base/mark.ts"
import { decodePlain, encodePlain } from "../base/plainData.ts"
import type { Core } from "./core.ts"
import type { Execution } from "./execution.ts"
import type { Lane } from "./lanes.ts"
import type { Kept, LogEntry, LogRecord } from "./LogRecord.ts"
import type { Word } from "./Message.ts"
import type { Recovery } from "./recovery.ts"
import type { Session } from "./sessions.ts"

export interface Tables {
  readonly core: Core
  readonly recovery: Recovery
  readonly execution: Execution
}

/** @throws NotPlain where a world's or an application's state is no plain data */
export const checkpoint = ({ core, recovery, execution }: Tables): LogRecord => {
  const { says, sessions, lanes, handlers, epoch } = core
  const entries: Array<LogEntry> = [
    { kind: "checkpoint", tailFirst: says.first, last: says.last },
    { kind: "horizon", horizonMs: sessions.horizonMs },
    ...recovery.members()
  ]
  if (epoch.told !== undefined) entries.push(epoch.told)
  for (const session of sessions.table.values()) entries.push(...kept(session))
  for (const lane of lanes.values()) entries.push(lane.kept)
  for (const [protocol, { logged }] of handlers.protocols) {
    if (logged !== undefined) entries.push({ kind: "state", protocol, body: encodePlain(logged) })
  }
  entries.push(...execution.entries())
  // After all that says which of them still count.
  entries.push(...standing(core))
  return { entries }
}

const kept = (session: Session): ReadonlyArray<LogEntry> => [
  {
    kind: "session",
    session: session.key,
    ackedBelow: session.ackedBelow,
    late: session.lateCalls
  },
  ...session.answers.keys().map((index): LogEntry => {
    return { kind: "final", session: session.key, index, ...session.answers.get(index)! }
  })
]

/**
 * The tail, and what was said in unfinished instances and left it: it stands, and is this node's
 * own vote.
 */
const standing = ({ says, sessions, lanes }: Core): ReadonlyArray<Word> => {
  const words = new Map<number, Word>()
  const said = (lane: Lane): void => {
    for (const instance of lane.open.values()) {
      for (const word of instance.words()) words.set(word.position, word)
    }
  }
  for (const session of sessions.table.values()) said(session)
  for (const lane of lanes.values()) said(lane)
  for (const word of says.words()) words.set(word.position, word)
  return [...words.values()].sort((a, b) => a.position - b.position)
}

/** At boot. What a newer protocol no longer has is passed over. */
export const restore = ({ core, recovery }: Omit<Tables, "execution">, entry: Kept): void => {
  switch (entry.kind) {
    case "checkpoint":
      mark("engine: began with a checkpoint")
      return core.says.begin(entry.tailFirst, entry.last)
    case "member":
      return recovery.remember(entry)
    case "session":
      core.sessions.add(entry.session).restore(entry.ackedBelow, entry.late)
      return
    case "lane":
      return core.lanes.get(entry.lane)?.restore(entry.own, entry.ahead)
    case "state": {
      const protocol = core.handlers.protocols.get(entry.protocol)
      if (protocol === undefined) return
      protocol.state = decodePlain(entry.body)
      protocol.logged = protocol.state
    }
  }
}
