/**
 * The main doors as an editor shows them: hover.test.ts asks for each word named in a comment that
 * begins with `//?`, in the line of code above it, and compares with hover.txt.
 */
import { Effect } from "effect"
import { Quorum } from "quorate"
import { NodeGroup } from "quorate/platform-node"
import { Replica } from "quorate/server"
import { type Delivery, ReliableBroadcast } from "../plugin/golden/ts/rb/v1/broadcast_quorate.ts"
import { CommandSchema, NoteSchema, Slots } from "../plugin/golden/ts/slots/v1/slots_quorate.ts"
import { Audit, idle } from "./is.ts"

const ok = (audit: Audit["Service"]) => audit.ok

export const make = ReliableBroadcast.protocol
//? protocol
export const Bracha = ReliableBroadcast.protocol({
  //? Bracha
  broadcast: ({ message, forward }) => {
    const said = forward.echo(message)
    //? echo
    return Effect.as(Audit.use(ok), said)
  },
  echo: {
    agreeOn: (m) => m.text,
    //? agreeOn m
    quorum: (context) => {
      //? context
      const { votes, system, forward, wait } = context
      //? votes system
      return votes.agreed(system.quorum) ? forward.ready({ text: votes.value }) : wait
      //? agreed quorum ready value
    }
  },
  ready: (context) => context.reply({ text: context.message.text })
  //? context reply
})

export const keyed = Slots.protocol(
  {
    state: () => ({ next: 1 }),
    record: NoteSchema,
    evolve: (state, record) => {
      //? state record
      state.next = record.next
    },
    lanes: { slots: { window: 256, rounds: 8 } },
    application: {
      command: CommandSchema,
      initial: () => [""],
      apply: (log, command, { index }) => {
        //? log command
        log.push(command.text)
        return { slot: index }
      }
    }
  },
  {
    submit: (context) => {
      //? context
      const free = context.lanes.slots.last > 0
      //? slots last
      return free ? context.note({ next: 1 }) : context.wait
      //? note
    },
    accept: { lane: "slots", index: (m) => m.slot, each: idle },
    //? lane index each
    learn: {
      lane: "slots",
      index: (m) => m.slot,
      quorum: ({ votes, system, apply, wait }) =>
        //? apply
        votes.agreed(system.quorum) ? apply(votes.message.command ?? {}) : wait
    }
  }
)

export const server = Replica.layer(Bracha)
//? server

export const program = Effect.gen(function* () {
  //? program
  const rb = yield* ReliableBroadcast
  //? rb
  const policy = Quorum.matching((d: Delivery) => d.text)
  //? policy
  const delivery = yield* rb.broadcast({ text: "hello" }, policy)
  //? delivery broadcast
  const byDefault = yield* rb.broadcast({ text: "hello" })
  //? byDefault broadcast
  const replies = rb.broadcast.replies({ text: "hello" })
  //? replies
  return [delivery, byDefault, replies]
})
export const client = ReliableBroadcast.layer
//? layer
export const mock = ReliableBroadcast.mock
//? mock
export const second = ReliableBroadcast.named("second")
//? second
export const file = NodeGroup.layerFile
//? layerFile
