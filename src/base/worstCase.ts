/** What one node of a group keeps in memory at worst, table by table: nothing here grows beyond. */
import type { Limits } from "./limits.ts"

export interface WorstGroup {
  readonly members: number
  /** Phases of its protocols, with the rounds kept of each. */
  readonly rows: number
  /** Windows of the protocols' own lanes, together. */
  readonly laneInstances: number
  /** Its protocols' applications. */
  readonly applications: number
}

export interface WorstRow {
  readonly what: string
  /** How many, as `table` of the engine's size counts them where it is given. */
  readonly count: number
  readonly table?: string
  /** Of one, with what the runtime takes for it; measured on V8, rounded up. */
  readonly bytesEach: number
  readonly bytes: number
}

/** An object with a few fields, a place in a table, a body's header. */
const ENTRY_BYTES = 256
/** One place in each of a session's rings, and in its set of late calls. */
const RING_BYTES = 96
/** A member's part of a tally row. */
const VOTE_BYTES = 96
const TRACKED_BYTES = 60
/** Of a message: its bytes, and an entry for each 64 of them, which hold one signature. */
const VERIFIED = 1 + ENTRY_BYTES / 64

export const worstCase = (l: Limits, group: WorstGroup): ReadonlyArray<WorstRow> => {
  const peers = group.members - 1
  const links = peers + l.routesMax
  const answers = l.sessionsMax * l.windowCalls
  const instances = l.callsMax + group.laneInstances
  const votes = instances * group.rows * group.members
  // As far as an application may be behind, and a window behind a hole; as many run ahead.
  const undecided = 2 * (group.applications * l.applyAheadMax + group.laneInstances)
  const applies = Math.min(1, group.applications)
  const waiting = 2 * l.cursorBytesMax
  const rows: ReadonlyArray<readonly [string, number, number, string?]> = [
    [
      "sessions",
      l.sessionsMax,
      4 * ENTRY_BYTES + 8 * group.members + RING_BYTES * l.windowCalls,
      "sessions"
    ],
    [
      "bytes of open calls (again as decoded) and kept answers",
      l.clientsBytesMax,
      2,
      "clientBytes"
    ],
    ["kept answers, without bodies", answers, ENTRY_BYTES, "answers"],
    ["open calls without phases, without bodies", l.callsMax, ENTRY_BYTES, "running"],
    ["open instances, without votes", instances, ENTRY_BYTES * (1 + group.rows), "instances"],
    ["votes of open instances, without bodies", votes, VOTE_BYTES],
    ["bodies of these votes", votes, l.bodyBytesMax],
    ["early votes, without bodies", peers * l.earlyVotesMax, ENTRY_BYTES, "early"],
    ["bytes of early votes", peers, l.cursorBytesMax],
    // Four times as many, as in src/server/sought.ts.
    ["instances that members named", 4 * peers * l.earlyVotesMax, ENTRY_BYTES, "sought"],
    ["of these, found no room", l.earlyVotesMax, ENTRY_BYTES, "crowdedOut"],
    ["parked messages, without bodies", group.members * l.parkedMax, ENTRY_BYTES, "parked"],
    ["bytes of parked messages", group.members, l.cursorBytesMax],
    ["decisions that applications have not run", undecided, l.bodyBytesMax, "decided"],
    ["reads that wait", group.applications * l.readsMax, ENTRY_BYTES, "reads"],
    ["members' words that are tracked", peers * l.unfinishedMax, TRACKED_BYTES],
    ["bytes of said words that members have not taken", l.tailBytesMax, 1],
    ["blobs that are offered", applies * l.fetchOffersMax, l.fetchBytesMax],
    ["answers to fetches, on their way", 2 * applies * peers * l.fetchAsksMax, l.fetchChunkBytes],
    // What an earlier fetch had is kept for the next one.
    ["blobs that are fetched", 2 * group.applications, l.fetchBytesMax],
    ["handlers' Effects that run", l.runsMax, 4 * ENTRY_BYTES, "runs"],
    ["bytes on the way to members and from them", peers, l.linkBytes + l.creditBytes],
    ["bytes on the way to clients and from them", l.routesMax, 3 * l.creditBytes + l.bodyBytesMax],
    ["bytes of members' calls before their turn (transport unary)", peers, l.linkBytes],
    ["members' messages that are verified", peers, VERIFIED * (waiting + l.bodyBytesMax)],
    ["bytes of clients' messages that are verified", l.unverifiedBytesMax, VERIFIED],
    ["rates of members and clients", links, 2 * ENTRY_BYTES],
    ["addresses that are remembered", l.addressesMax, 2 * ENTRY_BYTES],
    ["events of traced calls", l.tracesMax * l.traceEventsMax, ENTRY_BYTES],
    ["equivocations kept", l.evidenceMax, 2 * l.bodyBytesMax],
    ["descriptions of next epochs, by member", group.members * l.epochsMax, l.bodyBytesMax]
  ]
  return rows.map(([what, count, bytesEach, table]) => ({
    what,
    count,
    ...(table === undefined ? undefined : { table }),
    bytesEach,
    bytes: count * bytesEach
  }))
}

/** The rows as a Markdown table. */
export const worstCaseTable = (rows: ReadonlyArray<WorstRow>): string =>
  [
    "| what | at most | each | together |",
    "|---|---|---|---|",
    ...rows
      .filter(({ count }) => count > 0)
      .map(
        ({ what, count, bytesEach, bytes }) =>
          `| ${what} | ${grouped(count)} | ${sized(bytesEach)} | ${sized(bytes)} |`
      )
  ].join("\n")

const grouped = (count: number): string => String(count).replace(/\B(?=(\d{3})+$)/g, ",")

const UNITS = ["bytes", "KiB", "MiB", "GiB", "TiB"] as const
const sized = (bytes: number): string => {
  let [size, unit] = [bytes, 0]
  for (; size >= 1024 && unit < UNITS.length - 1; unit++) size /= 1024
  return `${size < 10 ? Math.ceil(size * 10) / 10 : Math.ceil(size)} ${UNITS[unit]}`
}
