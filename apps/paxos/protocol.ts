/**
 * Multi-Paxos with a fixed leader: the second phase only, slot by slot.
 * @source Lamport, Paxos made simple, 2001, sections 2.2 and 3
 *
 * The leader is the lowest member. Its `accept` is written before it is sent, as everything a
 * node says is; it accepts its own proposals like anybody else, so after a restart the highest
 * slot it accepted is the highest it proposed.
 */
import {
  type Command,
  EntrySchema,
  KeyValue,
  RecordSchema
} from "../../gen/paxos/v1/paxos_quorate.ts"
import { apply, callKey, initial } from "./stateMachine.ts"

export { KeyValue }

/** Slots that may be undecided at once. */
const WINDOW = 1024
/** Of a command's keys and values together: a proposal of it fits a message in any alphabet. */
const COMMAND_CHARS_MAX = 262_144
/** Around a state in its message. A larger one is fetched instead. */
const AROUND_BYTES = 32
/** Who has the state may be away as well. */
const ASK_AGAIN_MS = 1_000

export const Paxos = KeyValue.protocol(
  {
    state: ({ system }) => ({
      leader: system.member(0),
      /** Next slot to propose. */
      next: 1,
      /** Keys of calls that are in a slot, so that another copy gets no second one. */
      proposed: new Set<string>(),
      /** The last request for a state, and the last answer to one: rounds in which it spoke. */
      attempt: 0,
      answer: 0,
      /** The highest slot that was over elsewhere when this replica was told that it is behind. */
      missing: 0
    }),
    record: RecordSchema,
    evolve: (state, { record }) => {
      if (record.case === "accepted") state.next = Math.max(state.next, record.value + 1)
      else if (record.case === "proposed") state.proposed.add(record.value)
      else if (record.case === "settled") state.proposed.delete(record.value)
      else if (record.case === "missing") {
        state.attempt = record.value.attempt
        state.missing = record.value.slot
      } else if (record.case === "installed") {
        state.next = Math.max(state.next, record.value + 1)
        state.proposed.clear()
      } else if (record.case === "answered") state.answer = record.value
    },
    lanes: { slots: { window: WINDOW }, states: { rounds: "latest" } },
    timers: {
      ask: ({ state, lanes, store, forward, arm, wait }) => {
        if (lanes.slots.own > state.missing) return wait
        // Nobody makes a state for a replica that is fetching one.
        if (lanes.slots.fetching > 0) return arm("ask", ASK_AGAIN_MS)
        const missing = { attempt: state.attempt + 1, slot: state.missing }
        return [
          store({ record: { case: "missing", value: missing } }),
          forward.fetch(missing, { to: "others" }),
          arm("ask", ASK_AGAIN_MS)
        ]
      }
    },
    booted: ({ arm }) => arm("ask", 0),
    behind: ({ lane, own, state, store, arm, wait }) => {
      if (lane !== "slots" || own - 1 <= state.missing) return wait
      const missing = { attempt: state.attempt, slot: own - 1 }
      return [store({ record: { case: "missing", value: missing } }), arm("ask", 0)]
    },
    installed: ({ index, store }) => store({ record: { case: "installed", value: index } }),
    application: {
      command: EntrySchema,
      initial,
      apply
    }
  },
  {
    submit: ({ message: command, call, state, self, lanes, fail, refuse, note, forward, wait }) => {
      const wrong = wrongWith(command)
      if (wrong !== undefined) return fail("invalid", wrong)
      if (self !== state.leader) return refuse.redirect(state.leader)
      if (state.proposed.has(callKey(call))) return wait
      if (state.next > lanes.slots.last) return refuse.overloaded()
      return [
        note({ record: { case: "proposed", value: callKey(call) } }),
        forward.accept({
          slot: state.next,
          entry: { call, acknowledgedBelow: call.acknowledgedBelow, command }
        })
      ]
    },
    accept: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      each: ({ message, author, state, store, forward, ignore }) =>
        author !== state.leader
          ? ignore("a proposal from who is not the leader")
          : [store({ record: { case: "accepted", value: message.slot } }), forward.learn(message)]
    },
    learn: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      quorum: ({ votes, system, note, apply, wait }) => {
        const { entry } = votes.value
        if (!votes.agreed(system.quorum) || entry?.call === undefined) return wait
        const settled = note({ record: { case: "settled", value: callKey(entry.call) } })
        return [apply(entry, { call: entry.call }), settled]
      }
    },
    fetch: {
      lane: "states",
      index: () => 1,
      round: (m) => m.attempt,
      each: (context) => {
        const { message, author, self, state, snapshot, store, offer, forward, ignore } = context
        const made = snapshot()
        const { index: slot, bytes, digest, length } = made
        if (slot < message.slot) return ignore("missing here too")
        const answer = state.answer + 1
        const answered = store({ record: { case: "answered", value: answer } })
        if (length > context.bodyBytesMax - AROUND_BYTES) {
          return [
            answered,
            offer(made),
            forward.install({ answer, slot, digest, length }, { to: author })
          ]
        }
        // One answers: without the leader nothing goes on anyway.
        if (self !== state.leader && author !== state.leader) return ignore("asked by another")
        return [answered, forward.install({ answer, slot, state: bytes }, { to: author })]
      }
    },
    install: {
      lane: "states",
      index: () => 1,
      round: (m) => m.answer,
      each: ({ message, author, state, lanes, install, fetch, ignore }) => {
        const { slot: index, state: bytes, digest, length } = message
        if (lanes.slots.own > state.missing) return ignore("nothing is missing")
        return length === 0
          ? install({ index, bytes })
          : fetch({ index, digest, length, from: author })
      }
    }
  }
)

/** Every replica says the same, so that the call ends at once. */
const wrongWith = ({ command }: Command): string | undefined => {
  if (command.case === undefined) return "no command"
  const chars = lengthOf(command)
  if (chars <= COMMAND_CHARS_MAX) return undefined
  return `${chars} characters of keys and values; at most ${COMMAND_CHARS_MAX}`
}

const lengthOf = (command: Exclude<Command["command"], { case: undefined }>): number => {
  const { key } = command.value
  if (command.case === "put") return key.length + command.value.value.length
  if (command.case !== "compareAndSet") return key.length
  return key.length + command.value.expected.length + command.value.value.length
}
