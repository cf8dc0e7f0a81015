/** What must not compile in protocols with a world: state, records, lanes, an application. */
import { Effect } from "effect"
import type { CallName, Service, Vote } from "quorate"
import { SlotSchema } from "../plugin/golden/ts/kv/v1/types_pb.ts"
import { ReliableBroadcast } from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import {
  type Command,
  CommandSchema,
  type Note,
  NoteSchema,
  type Proposal,
  Slots
} from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import { Audit, idle, is } from "./is.ts"

// state and records, inferred; phases still belong to calls
export const stateful = ReliableBroadcast.protocol(
  {
    state: ({ self, system }) => ({ self, seen: new Map<string, number>([["", system.size]]) }),
    record: SlotSchema,
    evolve: (state, record) => {
      state.seen.set(record.parent?.above?.hint.case ?? "", record.slot)
      // @ts-expect-error Property 'txt' does not exist on type 'Slot'
      record.txt
      // @ts-expect-error Property 'sean' does not exist: the state is what `state` returned
      state.sean
    }
  },
  {
    broadcast: ({ message, forward, state, store, note, ...context }) => {
      is<typeof state, { self: number; seen: Map<string, number> }>(true)
      // @ts-expect-error 'slotx' does not exist in type 'MessageInit<Slot>'
      store({ slotx: 1 })
      // @ts-expect-error Type 'bigint' is not assignable to type 'number'
      note({ slot: 1n })
      // @ts-expect-error Property 'arm' does not exist
      context.arm
      const step = [store({ slot: 1 }), note({}), forward.echo(message)]
      return Effect.as(
        Audit.use((a) => a.ok),
        step
      )
    },
    echo: {
      agreeOn: (m) => m.text,
      quorum: ({ votes, state, forward, call }) =>
        state.seen.has(votes.value) || call.index > 1 ? forward.ready({ text: votes.value }) : []
    },
    ready: ({ message, reply, state }) => reply({ text: message.text + state.seen.size })
  }
)
is<typeof stateful, Service.Protocol<ReliableBroadcast, Audit>>(true)
const rest = { echo: idle, ready: idle }
ReliableBroadcast.protocol(
  { state: () => 1 },
  {
    // @ts-expect-error '{ a: number }' is not assignable to 'never': there is no record
    broadcast: ({ store }) => store({ a: 1 }),
    ...rest
  }
)
// @ts-expect-error a record is a message
ReliableBroadcast.protocol({ record: {} }, { broadcast: idle, ...rest })

// lanes: every phase names its own
const world = {
  state: () => ({ leading: 0, next: 1, pending: new Set<string>() }),
  record: NoteSchema,
  evolve: (state: { next: number }, record: Note) => {
    state.next = record.next
  },
  lanes: { slots: { window: 256 }, views: { window: 1, rounds: 8 } }
}
export const keyed = Slots.protocol(
  {
    ...world,
    application: {
      command: CommandSchema,
      initial: () => ({ log: [""] }),
      apply: (state, command, { index, lane, call }) => {
        is<typeof state, { log: Array<string> }>(true)
        is<typeof command, Command>(true)
        is<typeof call, CallName | undefined>(true)
        state.log.push(`${lane}/${index} ${call?.key} ${command.text}`)
        return { slot: index }
      }
    }
  },
  {
    submit: ({ message, call, state, lanes, refuse, note, forward, wait, ...context }) => {
      // @ts-expect-error Property 'slot' does not exist on type '{ readonly slots: LaneView, … }'
      lanes.slot
      // @ts-expect-error Property 'apply' does not exist: nothing is decided when a call comes
      context.apply
      if (state.pending.has(call.key)) return wait
      if (state.next > lanes.slots.last) return refuse.overloaded()
      const proposal = { ballot: state.leading, slot: state.next, command: message, call }
      return [note({ next: state.next + 1 }), forward.accept(proposal)]
    },
    accept: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      each: ({ message, author, index, round, forward, store, ignore }) => {
        is<typeof message, Proposal>(true)
        return author + index + round < 0
          ? ignore("")
          : [store({ next: 1 }), forward.learn(message)]
      }
    },
    learn: {
      lane: "slots",
      index: (m) => m.slot,
      round: (m) => m.ballot,
      agreeOn: (m) => m.ballot,
      quorum: ({ votes, index, round, system, reply, apply, wait, ...context }) => {
        is<typeof votes.value, number>(true)
        is<typeof votes.all, ReadonlyArray<Vote<Proposal>>>(true)
        // @ts-expect-error Property 'call' does not exist: in a lane no call is at hand
        context.call
        // @ts-expect-error Expected 2 arguments, but got 1: which call?
        reply({ slot: index })
        // @ts-expect-error 'txt' does not exist in type 'MessageInit<Command>'
        apply({ txt: "" })
        const { command, call } = votes.message
        if (round < 0 && call !== undefined) return reply({ slot: 1 }, { call })
        return votes.agreed(system.quorum) ? apply(command ?? {}, { call }) : wait
      }
    }
  }
)
is<typeof keyed, Service.Protocol<Slots, never>>(true)

const accept = { lane: "slots", index: (m: Proposal) => m.slot, each: idle } as const
const learn = { lane: "slots", index: (m: Proposal) => m.slot, quorum: idle } as const
Slots.protocol(world, { submit: idle, accept, learn })
// @ts-expect-error Property 'lane' is missing
Slots.protocol(world, { submit: idle, accept, learn: { index: (m) => m.slot, quorum: idle } })
// @ts-expect-error Property 'index' is missing
Slots.protocol(world, { submit: idle, accept, learn: { lane: "slots", quorum: idle } })
// @ts-expect-error Type '"slot"' is not assignable to type '"slots" | "views"'
Slots.protocol(world, { submit: idle, accept, learn: { ...learn, lane: "slot" } })
// @ts-expect-error a function has no lane
Slots.protocol(world, { submit: idle, accept, learn: idle })
// @ts-expect-error one of `each` and `quorum`
Slots.protocol(world, { submit: idle, accept, learn: { ...learn, ...accept } })
// @ts-expect-error agreeOn goes with votes
Slots.protocol(world, { submit: idle, accept: { ...accept, agreeOn: () => 1 }, learn })
// @ts-expect-error Type 'string' is not assignable to type 'number'
Slots.protocol(world, { submit: idle, accept, learn: { ...learn, index: () => "1" } })
// @ts-expect-error Property 'sloth' does not exist on type 'Proposal'
Slots.protocol(world, { submit: idle, accept, learn: { ...learn, round: (m) => m.sloth } })
Slots.protocol(world, {
  submit: idle,
  // @ts-expect-error an Effect is no Step: phases are synchronous
  accept: { ...accept, each: ({ wait }) => Effect.succeed(wait) },
  learn
})
// @ts-expect-error 'size' does not exist in type 'LaneSpec'
Slots.protocol({ lanes: { slots: { size: 1 } } }, { submit: idle, accept, learn })

const application = { command: CommandSchema, initial: () => 0, apply: () => undefined }
Slots.protocol({ ...world, application }, { submit: idle, accept, learn })
Slots.protocol(
  {
    ...world,
    // @ts-expect-error Type '{ slut: number }' is not assignable to type 'MessageInit<Result>'
    application: { ...application, apply: (_: number, command: Command) => ({ slut: command }) }
  },
  { submit: idle, accept, learn }
)
Slots.protocol(
  {
    ...world,
    // @ts-expect-error Property 'command' is missing
    application: { initial: () => 0, apply: () => undefined }
  },
  { submit: idle, accept, learn }
)
