/** What must not compile in what handlers return beside words, replies and records. */
import { type CallName, Quorum, type Service } from "quorate"
import {
  type Note,
  NoteSchema,
  type Proposal,
  Slots
} from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import {
  type Message,
  MessageSchema,
  ReliableBroadcast
} from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import { idle, is } from "./is.ts"

// tentative replies: of calls with phases
ReliableBroadcast.protocol({
  broadcast: ({ reply }) => reply.tentative({ text: "" }),
  echo: ({ call, reply }) => reply.tentative({ text: "" }, { call }),
  // @ts-expect-error 'txt' does not exist in type 'MessageInit<Delivery>'
  ready: ({ reply }) => reply.tentative({ txt: "" })
})
export const soon = Quorum.matching((m: Message) => m.text, { tentative: true })
// @ts-expect-error Type 'number' is not assignable to type 'boolean'
Quorum.matching((m: Message) => m.text, { tentative: 3 })

// park: a phase's message; wake: everywhere
ReliableBroadcast.protocol({
  broadcast: ({ wake, ...context }) => {
    // @ts-expect-error Property 'park' does not exist: the client repeats its call
    context.park
    return wake("view 1")
  },
  echo: ({ park, wake }) => [park(1), wake("view 1")],
  // @ts-expect-error Type 'Message' is not assignable to type 'string | number'
  ready: { quorum: ({ votes, park }) => park(votes.value) }
})

// deliver: a message of the world's, in phases alone
const deliver = {
  message: NoteSchema,
  to: (message: Note, { self, lane, index, call }: Service.Delivery) => {
    is<typeof call, CallName | undefined>(true)
    return [message.next, self + index, lane]
  }
}
const inSession = ReliableBroadcast.protocol(
  { deliver },
  {
    broadcast: ({ message, forward, ...context }) => {
      // @ts-expect-error Property 'deliver' does not exist: nothing is agreed when a call comes
      context.deliver
      return forward.echo(message)
    },
    echo: ({ message, author, forward, deliver }) =>
      author > 1 ? [deliver({ next: author }), forward.ready(message)] : [],
    ready: {
      agreeOn: (m) => m.text,
      quorum: ({ votes, call, deliver, reply }) => {
        is<typeof votes.value, string>(true)
        // @ts-expect-error 'nxt' does not exist in type 'MessageInit<Note>'
        deliver({ nxt: 1 })
        return [deliver({ next: call.index }), reply({ text: votes.value })]
      }
    }
  }
)
is<typeof inSession, Service.Protocol<ReliableBroadcast, never>>(true)
const at = { lane: "slots", index: (m: Proposal) => m.slot } as const
Slots.protocol(
  { lanes: { slots: { window: 8 } }, deliver },
  {
    submit: idle,
    accept: { ...at, each: ({ index, deliver }) => deliver({ next: index }) },
    learn: {
      ...at,
      // @ts-expect-error Expected 2 arguments, but got 1: which call?
      quorum: ({ reply }) => reply.tentative({})
    }
  }
)
ReliableBroadcast.protocol(
  { state: () => 1 },
  // @ts-expect-error Property 'deliver' does not exist: the world declares none
  { broadcast: idle, echo: idle, ready: ({ deliver }) => deliver({}) }
)
ReliableBroadcast.protocol(
  // @ts-expect-error Property 'to' is missing
  { deliver: { message: MessageSchema } },
  { broadcast: idle, echo: idle, ready: idle }
)
ReliableBroadcast.protocol(
  // @ts-expect-error Type 'Note' is not assignable to type 'Message': `to` takes what is delivered
  { deliver: { message: NoteSchema, to: (message: Message) => message.text } },
  { broadcast: idle, echo: idle, ready: idle }
)
