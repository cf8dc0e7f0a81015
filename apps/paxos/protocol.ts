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

export const Paxos = KeyValue.protocol(
  {
    state: ({ system }) => ({
      leader: system.member(0),
      /** Next slot to propose. */
      next: 1,
      /** Keys of calls that are in a slot, so that another copy gets no second one. */
      proposed: new Set<string>()
    }),
    record: RecordSchema,
    evolve: (state, { record }) => {
      if (record.case === "accepted") state.next = Math.max(state.next, record.value + 1)
      else if (record.case === "proposed") state.proposed.add(record.value)
      else if (record.case === "settled") state.proposed.delete(record.value)
    },
    lanes: { slots: { window: WINDOW } },
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
