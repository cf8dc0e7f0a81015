/** What must not compile in a world's hooks and timers. */
import { Effect } from "effect"
import { ReliableBroadcast } from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import {
  type Note,
  NoteSchema,
  type Proposal,
  Slots
} from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import { idle, is } from "./is.ts"

const handlers = {
  submit: idle,
  accept: { lane: "slots", index: (m: Proposal) => m.slot, each: idle },
  learn: { lane: "slots", index: (m: Proposal) => m.slot, quorum: idle }
} as const

// what hooks see is inferred from the world they stand in
export const timed = Slots.protocol(
  {
    state: ({ self }) => ({ self, leading: 0 }),
    record: NoteSchema,
    evolve: (state, record) => {
      state.leading = record.next
    },
    lanes: { slots: { window: 256 } },
    booted: ({ state, arm, note, ...context }) => {
      is<typeof state, { self: number; leading: number }>(true)
      // @ts-expect-error "silenc" is no timer
      arm("silenc", 500)
      // @ts-expect-error 'nest' does not exist in type 'MessageInit<Note>'
      note({ nest: 1 })
      // @ts-expect-error no call is at hand
      context.reply
      // @ts-expect-error no message came
      context.message
      return arm("silence", 500)
    },
    behind: ({ lane, own, lanes, wait }) => (lanes.slots.own > own + lane.length ? wait : []),
    turnEnd: ({ forward, state, disarm }) => [
      forward.accept({ slot: state.leading }),
      disarm("silence")
    ],
    timers: {
      silence: ({ state, forward, arm, lanes }) => {
        // @ts-expect-error submit is no phase
        forward.submit({})
        return state.leading === 0
          ? arm("silence", 500)
          : forward.accept({ slot: lanes.slots.last })
      },
      other: ({ wait }) => wait
    }
  },
  {
    ...handlers,
    submit: ({ arm, floor, wait }) => {
      // @ts-expect-error "slot" is no lane
      floor("slot", 1)
      // @ts-expect-error "silent" is no timer
      arm("silent", 500)
      return [arm("other", 1), wait]
    }
  }
)

const evolve = (state: { next: number }, record: Note) => {
  state.next = record.next
}
export const world = { state: () => ({ next: 1 }), record: NoteSchema, evolve }
Slots.protocol(
  // @ts-expect-error hooks return a step at once, no Effect
  { ...world, lanes: { slots: { window: 4 } }, booted: ({ wait }) => Effect.succeed(wait) },
  handlers
)
// @ts-expect-error a step
Slots.protocol({ ...world, lanes: { slots: { window: 4 } }, timers: { beat: () => 1 } }, handlers)
export const laneless = ReliableBroadcast.protocol(
  {
    timers: {
      // @ts-expect-error without lanes a timer has no call whose phase it were
      beat: ({ forward }) => forward.echo({ text: "a" })
    }
  },
  { broadcast: idle, echo: idle, ready: idle }
)
