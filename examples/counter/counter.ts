/**
 * A replicated counter whose leader is replaced when it is silent.
 * @source Lamport, Paxos made simple, 2001, sections 2.2, 2.3 and 3
 */
import type { NodeId, System } from "quorate"
import { apply, callKey, initial } from "./application.ts"
import {
  Counter,
  type Entry,
  EntrySchema,
  type Proposal,
  RecordSchema
} from "./gen/counter/v1/counter_quorate.ts"

/** Slots that may be open at once. */
const WINDOW = 16
/** A leader proposes at least this often, if need be nothing: so silence means that it is gone. */
const BEAT_MS = 100

interface State {
  /** It follows nobody below this ballot. */
  promised: number
  /** What it accepted last, by slot, in the highest `WINDOW` slots. */
  readonly accepted: Map<number, Proposal>
  /** The ballot in which it asked for promises, in this life. */
  asked: number
  /** The ballot in which it got them. */
  leading: number
  /** The slot it proposes next. */
  next: number
  /** Calls that it took as a leader, and the ballot in which each is proposed; 0: in none yet. */
  readonly taken: Map<string, { readonly entry: Entry; ballot: number }>
}
const leads = ({ leading, promised }: State): boolean => leading > 0 && leading === promised

/** Ballots are taken in turns: of n nodes that of rank r has n + r, 2n + r, … */
const leaderOf = (ballot: number, system: System): NodeId => system.member(ballot % system.size)
const ballotAfter = (promised: number, self: NodeId, system: System): number =>
  (Math.floor(promised / system.size) + 1) * system.size + system.rank(self)
const keyOf = (entry: Entry | undefined): string =>
  entry?.call === undefined ? "" : callKey(entry.call)
/** Not all nodes at once, or none would get its promises. */
const silenceMs = (self: NodeId, system: System): number => 500 + 200 * system.rank(self)

export const CounterNode = Counter.protocol(
  {
    state: (): State => ({
      promised: 0,
      accepted: new Map(),
      asked: 0,
      leading: 0,
      next: 1,
      taken: new Map()
    }),
    record: RecordSchema,
    evolve: (state, { record }) => {
      switch (record.case) {
        case "promised":
          state.promised = record.value
          return
        case "accepted": {
          const { ballot, slot, entry } = record.value
          state.promised = ballot
          state.accepted.set(slot, record.value)
          for (const old of state.accepted.keys()) {
            if (old <= slot - WINDOW) state.accepted.delete(old)
          }
          state.next = Math.max(state.next, slot + 1)
          const call = state.taken.get(keyOf(entry))
          if (call !== undefined) call.ballot = ballot
          return
        }
        case "asked":
          state.asked = record.value
          return
        case "leadsFrom":
          state.leading = state.promised
          state.next = record.value
          return
        case "taken":
          state.taken.set(keyOf(record.value), { entry: record.value, ballot: 0 })
          return
        case "chosen":
          state.taken.delete(keyOf(record.value))
      }
    },
    lanes: {
      slots: { window: WINDOW, rounds: "latest", floor: "set" },
      ballots: { rounds: "latest" }
    },
    booted: ({ self, system, arm }) => arm("silence", silenceMs(self, system)),
    timers: {
      silence: ({ state, self, system, note, forward, arm }) => {
        const ballot = ballotAfter(state.promised, self, system)
        return [
          note({ record: { case: "asked", value: ballot } }),
          forward.prepare({ ballot }),
          arm("silence", silenceMs(self, system))
        ]
      },
      beat: ({ state, lanes, forward, arm, wait }) => {
        if (!leads(state)) return wait
        const again = arm("beat", BEAT_MS)
        if (state.next > lanes.slots.last) return again
        return [forward.accept({ ballot: state.promised, slot: state.next }), again]
      }
    },
    turnEnd: ({ state, lanes: { slots }, floor, forward }) => {
      // Whoever runs a slot has told everybody what was chosen for it, and needs it no more.
      const passed = slots.applied < slots.own ? [] : [floor("slots", slots.applied + 1)]
      if (!leads(state)) return passed
      const { promised: ballot, next } = state
      const calls = [...state.taken.values()].filter((call) => call.ballot !== ballot)
      const proposals = calls
        .slice(0, Math.max(0, slots.last + 1 - next))
        .map(({ entry }, i) => forward.accept({ ballot, slot: next + i, entry }))
      return [...passed, ...proposals]
    },
    application: { command: EntrySchema, initial, apply }
  },
  {
    add: ({ message, call, state, self, system, refuse, note }) => {
      const leader = leaderOf(state.promised, system)
      if (leader !== self) return refuse.redirect(leader)
      if (!leads(state) || state.taken.size === WINDOW) return refuse.overloaded()
      const { acknowledgedBelow } = call
      // No refusal: it is this node's now, also when another leads, until it is chosen.
      const value = { call, acknowledgedBelow, amount: message.amount }
      return note({ record: { case: "taken", value } })
    },
    prepare: {
      lane: "ballots",
      index: () => 1,
      round: (m) => m.ballot,
      each: ({ message: { ballot }, author, state, self, system, store, forward, arm, ignore }) =>
        ballot <= state.promised
          ? ignore("an old ballot")
          : [
              store({ record: { case: "promised", value: ballot } }),
              forward.promise({ ballot, accepted: [...state.accepted.values()] }, { to: author }),
              arm("silence", silenceMs(self, system))
            ]
    },
    promise: {
      lane: "ballots",
      index: () => 1,
      round: (m) => m.ballot,
      // No two need say the same: a quorum of promises is enough.
      agreeOn: () => true,
      quorum: ({ votes, round: ballot, state, system, lanes, note, forward, arm, wait }) => {
        // Promises of old come again after a restart. Who proposed then does not know it now.
        if (ballot !== state.asked || ballot !== state.promised || leads(state)) return wait
        if (!votes.agreed(system.quorum)) return wait
        const accepted = highest(votes.certificate.flatMap(({ message }) => message.accepted))
        const { own, last } = lanes.slots
        const next = Math.max(own, ...[...accepted.keys()].map((slot) => slot + 1))
        // Others are ahead. Within its window they have told all that they accepted from `own` on.
        if (next > last + 1) return wait
        const proposals = []
        for (let slot = own; slot < next; slot++) {
          const entry = accepted.get(slot)?.entry
          proposals.push(forward.accept({ ballot, slot, ...(entry && { entry }) }))
        }
        return [note({ record: { case: "leadsFrom", value: next } }), ...proposals, arm("beat", 0)]
      }
    },
    accept: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      each: ({ message, author, state, self, system, store, forward, arm, ignore }) =>
        message.ballot < state.promised
          ? ignore("an old ballot")
          : [
              store({ record: { case: "accepted", value: message } }),
              forward.accepted(message, { to: author }),
              arm("silence", silenceMs(self, system))
            ]
    },
    accepted: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      quorum: ({ votes, system, forward, wait }) =>
        votes.agreed(system.quorum) ? forward.chosen(votes.value) : wait
    },
    chosen: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      // Told on before it runs: who told it may be gone before all have heard it.
      each: ({ message, forward, note, apply }) => {
        const { entry } = message
        const onward = forward.chosen(message)
        if (entry?.call === undefined) return [onward, apply([])]
        return [
          onward,
          note({ record: { case: "chosen", value: entry } }),
          apply(entry, { call: entry.call })
        ]
      }
    }
  }
)

/** Of each slot the proposal of the highest ballot: nothing else can have been chosen for it. */
const highest = (proposals: ReadonlyArray<Proposal>): ReadonlyMap<number, Proposal> => {
  const bySlot = new Map<number, Proposal>()
  for (const proposal of proposals) {
    const { ballot = 0 } = bySlot.get(proposal.slot) ?? {}
    if (proposal.ballot >= ballot) bySlot.set(proposal.slot, proposal)
  }
  return bySlot
}
